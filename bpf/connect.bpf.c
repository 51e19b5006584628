// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * connect() of a TCP or UDP socket: a service's address becomes that of an
 * endpoint, once, for as long as the socket is connected.
 */
#include "bpf/routes.bpf.h"

#define REFUSED 111 /* ECONNREFUSED */

/* True: connect, perhaps to another *to; false: refuse. */
static __always_inline bool connect(struct bpf_sock_addr *ctx, struct ebpf_place *to,
				    bool *ret_rewrite)
{
	struct ebpf_place frontend_place = *to;
	__u8 proto = (__u8)ctx->protocol;
	struct ebpf_frontend frontend;
	struct ebpf_last none = {0};
	struct ebpf_choice choice;
	bool is_kept = proto != IPPROTO_TCP || !keeps_no_tcp;
	struct ebpf_socket *s;

	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return true;
	if (!ebpf_find_frontend(to, proto, &frontend)) {
		/* connect(AF_UNSPEC) runs no hook: an old route may be left */
		s = bpf_sk_storage_get(&sockets, ctx->sk, NULL, 0);
		if (s)
			ebpf_forget(ctx->sk, s, to);
		return true;
	}
	s = bpf_sk_storage_get(&sockets, ctx->sk, NULL, 0);
	if (s && s->flags & EBPF_SOCKET_OPTED_OUT)
		return true;
	switch (ebpf_decide(ctx, &frontend, proto, &none, &choice)) {
	case EBPF_VERDICT_REFUSE:
		bpf_set_retval(-REFUSED);
		return false;
	case EBPF_VERDICT_BALANCE:
		break;
	default:
		return true;
	}
	if (is_kept && !s) {
		s = bpf_sk_storage_get(&sockets, ctx->sk, NULL,
				       BPF_SK_STORAGE_GET_F_CREATE);
		if (!s)
			return true;
	}
	ebpf_count(&choice);
	if (s)
		ebpf_set_route(s, &frontend_place, &choice);
	*to = choice.endpoint;
	*ret_rewrite = true;
	return true;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	bool rewrite = false;
	struct ebpf_place to;

	ebpf_place4(&to, ctx);
	if (!connect(ctx, &to, &rewrite))
		return 0;
	if (rewrite)
		ebpf_write4(ctx, to.addr, to.port);
	return 1;
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	bool rewrite = false;
	struct ebpf_place to;

	ebpf_place6(&to, ctx);
	if (!connect(ctx, &to, &rewrite))
		return 0;
	if (rewrite)
		ebpf_write6(ctx, to.addr, to.port);
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
