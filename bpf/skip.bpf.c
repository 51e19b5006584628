// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Attached to the cgroup of a pod (or of several) that wants no short cut:
 * programs of a child cgroup run before ours, and mark the socket.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/ebpf_layout.h"

/* The same map that the hooks have: the daemon hands it over. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ebpf_socket);
} sockets __attribute__((section(".maps"), used));

static __always_inline int mark(struct bpf_sock_addr *ctx)
{
	struct ebpf_socket *s =
		bpf_sk_storage_get(&sockets, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (s)
		s->flags |= EBPF_SOCKET_OPTED_OUT;
	return 1;
}

SEC("cgroup/connect4")
int skip_connect4(struct bpf_sock_addr *ctx)
{
	return mark(ctx);
}

SEC("cgroup/connect6")
int skip_connect6(struct bpf_sock_addr *ctx)
{
	return mark(ctx);
}

SEC("cgroup/sendmsg4")
int skip_sendmsg4(struct bpf_sock_addr *ctx)
{
	return mark(ctx);
}

SEC("cgroup/sendmsg6")
int skip_sendmsg6(struct bpf_sock_addr *ctx)
{
	return mark(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
