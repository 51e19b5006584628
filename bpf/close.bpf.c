// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Closing the sockets of endpoints and UDP frontends that are gone, in two steps, because
 * the iterator over a storage map may not destroy sockets: first the namespaces
 * that have such sockets, then in each of those its UDP or TCP sockets.
 */
#include "bpf/stale.bpf.h"

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
} KERNEL_STRUCT;

struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct sock *udp_sk;
} KERNEL_STRUCT;

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
} KERNEL_STRUCT;

extern int bpf_sock_destroy(struct sock_common *sk) __ksym; /* 6.5 */

__u64 n_closed; /* ever */

/*
 * The records of this pass, so that thousands of sockets of a namespace are
 * one record: an iterator whose output fills the reader's buffer starts its
 * bucket from the front again. The daemon zeroes it before each pass.
 */
__u64 written[256];

static __always_inline bool is_written(const struct ebpf_netns *found)
{
	__u64 key = found->cookie * 2 + found->has_tcp;
	__u64 *place = &written[key % 256];

	if (*place == key)
		return true;
	*place = key;
	return false;
}

/* TCP connections outlive their frontend, and their endpoint unless the Service resets them. */
static __always_inline bool is_to_close(const struct sock_common *sk,
					const struct ebpf_socket *s, bool is_tcp)
{
	bool resets = false;
	bool is_stale = ebpf_is_stale(&s->route, &resets);

	if (!ebpf_is_peer(sk, &s->route))
		return false;
	return is_tcp ? is_stale && resets : is_stale || ebpf_is_lost(s);
}

SEC("iter/bpf_sk_storage_map")
int find_namespaces(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;
	struct ebpf_socket *value = ctx->value;
	struct ebpf_netns found = {0};
	struct ebpf_socket copy;

	if (!sk || !value)
		return 0;
	copy = *value;
	found.has_tcp = sk->sk_protocol == PROTO_TCP;
	if (!found.has_tcp && sk->__sk_common.skc_state != TCP_ESTABLISHED)
		return 0;
	if (!is_to_close(&sk->__sk_common, &copy, found.has_tcp))
		return 0;
	found.cookie = sk->__sk_common.skc_net.net->net_cookie;
	found.inode = sk->__sk_common.skc_net.net->ns.inum;
	if (!is_written(&found))
		(void)bpf_seq_write(ctx->meta->seq, &found, sizeof(found));
	return 0;
}

static __always_inline int close_stale(struct sock_common *sk, bool is_tcp)
{
	struct ebpf_socket *value;
	struct ebpf_socket copy;

	if (!sk)
		return 0;
	value = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (!value)
		return 0;
	copy = *value;
	if (is_to_close(sk, &copy, is_tcp) && bpf_sock_destroy(sk) == 0)
		__sync_fetch_and_add(&n_closed, 1);
	return 0;
}

SEC("iter/udp")
int close_udp(struct bpf_iter__udp *ctx)
{
	return close_stale((struct sock_common *)ctx->udp_sk, false);
}

SEC("iter/tcp")
int close_tcp(struct bpf_iter__tcp *ctx)
{
	return close_stale(ctx->sk_common, true);
}

char _license[] SEC("license") = "Dual BSD/GPL";
