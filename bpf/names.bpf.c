// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * recvmsg() and getpeername() show the frontend that the socket asked for, not
 * the endpoint that answered.
 */
#include "bpf/connections.bpf.h"
#include "bpf/kernel_sock.bpf.h"
#include "bpf/routes.bpf.h"

static __always_inline struct ebpf_connection *find_connection(struct bpf_sock_addr *ctx)
{
	return ctx->protocol == IPPROTO_TCP
		       ? ebpf_find_connection(bpf_get_socket_cookie(ctx))
		       : NULL;
}

static __always_inline int show(struct bpf_sock_addr *ctx, bool is_ipv6)
{
	struct ebpf_place from, name;

	ebpf_read_place(&from, ctx, is_ipv6);
	if (ebpf_find_name(ctx->sk, &from, &name))
		ebpf_write_place(ctx, name.addr, name.port, is_ipv6);
	return 1;
}

/* c: of this socket, or NULL. Another thread may forget it meanwhile: its port is read once. */
static __always_inline bool show_connection(struct bpf_sock_addr *ctx,
					    const struct ebpf_connection *c, bool is_ipv6)
{
	__be16 port;

	if (!c)
		return false;
	port = *(const volatile __be16 *)&c->endpoint.port;
	if (!port || !ebpf_is_at(ctx, c->endpoint.addr, port, is_ipv6))
		return false;
	ebpf_write_place(ctx, c->frontend.addr, c->frontend.port, is_ipv6);
	return true;
}

static __always_inline bool show_as_before(struct bpf_sock_addr *ctx, bool is_ipv6)
{
	return show_connection(ctx, ebpf_find_connection(ebpf_read_cookie(ctx->sk)),
			       is_ipv6);
}

/* Mostly it is the only route of the socket, in the same 64 bytes as its endpoint. */
static __always_inline int show_sender(struct bpf_sock_addr *ctx, bool is_ipv6)
{
	struct ebpf_socket *s = bpf_sk_storage_get(&sockets, ctx->sk, NULL, 0);
	if (!s)
		return 1;
	if (!s->route.endpoint_port ||
	    !ebpf_is_at(ctx, s->route.endpoint, s->route.endpoint_port, is_ipv6))
		return show(ctx, is_ipv6);
	ebpf_write_place(ctx, s->route.frontend, s->route.frontend_port, is_ipv6);
	return 1;
}

static __always_inline int show_peer(struct bpf_sock_addr *ctx, bool is_ipv6)
{
	return show_connection(ctx, find_connection(ctx), is_ipv6) ? 1
								   : show(ctx, is_ipv6);
}

static __noinline int show_sender4(struct bpf_sock_addr *ctx)
{
	return show_sender(ctx, false);
}

static __noinline int show_sender6(struct bpf_sock_addr *ctx)
{
	return show_sender(ctx, true);
}

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr *ctx)
{
	if (!show_as_before(ctx, false) && ebpf_may_have_storage(ctx->sk))
		show_sender4(ctx);
	return 1;
}

SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr *ctx)
{
	if (!show_as_before(ctx, true) && ebpf_may_have_storage(ctx->sk))
		show_sender6(ctx);
	return 1;
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *ctx)
{
	return show_peer(ctx, false);
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *ctx)
{
	return show_peer(ctx, true);
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
