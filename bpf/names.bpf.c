// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * recvmsg() and getpeername() show the frontend that the socket asked for, not
 * the endpoint that answered.
 */
#include "bpf/connections.bpf.h"
#include "bpf/routes.bpf.h"

static __always_inline struct ebpf_connection *find_connection(struct bpf_sock_addr *ctx)
{
	return ctx->protocol == IPPROTO_TCP
		       ? ebpf_find_connection(bpf_get_socket_cookie(ctx))
		       : NULL;
}

static __always_inline int show4(struct bpf_sock_addr *ctx)
{
	struct ebpf_place from, name;

	ebpf_place4(&from, ctx);
	if (ebpf_find_name(ctx->sk, &from, &name))
		ebpf_write4(ctx, name.addr, name.port);
	return 1;
}

static __always_inline int show6(struct bpf_sock_addr *ctx)
{
	struct ebpf_place from, name;

	ebpf_place6(&from, ctx);
	if (ebpf_find_name(ctx->sk, &from, &name))
		ebpf_write6(ctx, name.addr, name.port);
	return 1;
}

/* Mostly it is the only route of the socket, in the same 64 bytes as its endpoint. */
SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr *ctx)
{
	struct ebpf_socket *s = bpf_sk_storage_get(&sockets, ctx->sk, NULL, 0);

	if (!s)
		return 1;
	if (!s->route.endpoint_port ||
	    !ebpf_is_at4(ctx, s->route.endpoint, s->route.endpoint_port))
		return show4(ctx);
	ebpf_write4(ctx, s->route.frontend, s->route.frontend_port);
	return 1;
}

SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr *ctx)
{
	struct ebpf_socket *s = bpf_sk_storage_get(&sockets, ctx->sk, NULL, 0);

	if (!s)
		return 1;
	if (!s->route.endpoint_port ||
	    !ebpf_is_at6(ctx, s->route.endpoint, s->route.endpoint_port))
		return show6(ctx);
	ebpf_write6(ctx, s->route.frontend, s->route.frontend_port);
	return 1;
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *ctx)
{
	struct ebpf_connection *c = find_connection(ctx);

	if (!c || !ebpf_is_at4(ctx, c->endpoint.addr, c->endpoint.port))
		return show4(ctx);
	ebpf_write4(ctx, c->frontend.addr, c->frontend.port);
	return 1;
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *ctx)
{
	struct ebpf_connection *c = find_connection(ctx);

	if (!c || !ebpf_is_at6(ctx, c->endpoint.addr, c->endpoint.port))
		return show6(ctx);
	ebpf_write6(ctx, c->frontend.addr, c->frontend.port);
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
