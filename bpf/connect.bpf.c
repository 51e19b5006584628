// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * connect() of a TCP or UDP socket: a service's address becomes that of an
 * endpoint, once, for as long as the socket is connected.
 */
#include "bpf/connections.bpf.h"
#include "bpf/routes.bpf.h"

#define REFUSED 111 /* ECONNREFUSED */

/* connect(AF_UNSPEC) runs no hook: what an earlier connection left may show a wrong name. */
static __always_inline void forget(struct bpf_sock_addr *ctx, struct ebpf_socket *s,
				   const struct ebpf_place *to)
{
	if (s)
		ebpf_forget(ctx->sk, s, to);
	ebpf_forget_connection(bpf_get_socket_cookie(ctx));
}

/*
 * A TCP connection that lives on when its endpoint goes needs no more than its names.
 * Others are found by the storage of their socket when they are to be closed.
 */
static __always_inline bool remember(struct bpf_sock_addr *ctx, struct ebpf_socket *s,
				     const struct ebpf_place *frontend,
				     const struct ebpf_choice *choice)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);

	if (ctx->protocol == IPPROTO_TCP && !s &&
	    !(choice->options & EBPF_ENDPOINT_RESETS) &&
	    ebpf_remember_connection(cookie, frontend, &choice->endpoint))
		return true;
	ebpf_forget_connection(cookie);
	if (!s)
		s = bpf_sk_storage_get(&sockets, ctx->sk, NULL,
				       BPF_SK_STORAGE_GET_F_CREATE);
	if (!s || !ebpf_take_socket(s))
		return false;
	ebpf_set_route(s, frontend, choice);
	ebpf_give_socket(s);
	return true;
}

/* True: connect, perhaps to another *to; false: refuse. */
static __always_inline bool decide(struct bpf_sock_addr *ctx, struct ebpf_place *to,
				   bool *ret_rewrite)
{
	struct ebpf_place frontend_place = *to;
	__u8 proto = (__u8)ctx->protocol;
	struct ebpf_frontend frontend;
	struct ebpf_last none = {0};
	struct ebpf_choice choice;
	struct ebpf_socket *s;

	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return true;
	s = bpf_sk_storage_get(&sockets, ctx->sk, NULL, 0);
	if (!ebpf_find_frontend(to, proto, &frontend)) {
		forget(ctx, s, to);
		return true;
	}
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
	if (!remember(ctx, s, &frontend_place, &choice))
		return true;
	ebpf_count(&choice);
	*to = choice.endpoint;
	*ret_rewrite = true;
	return true;
}

static __always_inline int connect(struct bpf_sock_addr *ctx, bool is_ipv6)
{
	bool rewrite = false;
	struct ebpf_place to;

	ebpf_read_place(&to, ctx, is_ipv6);
	if (!decide(ctx, &to, &rewrite))
		return 0;
	if (rewrite)
		ebpf_write_place(ctx, to.addr, to.port, is_ipv6);
	return 1;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return connect(ctx, false);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	return connect(ctx, true);
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
