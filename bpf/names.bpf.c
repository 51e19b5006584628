// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * recvmsg() and getpeername() show the frontend that the socket asked for, not
 * the endpoint that answered.
 */
#include "bpf/connections.bpf.h"
#include "bpf/routes.bpf.h"

static __always_inline bool find_name(struct bpf_sock_addr *ctx,
				      const struct ebpf_place *endpoint,
				      struct ebpf_place *ret)
{
	return (ctx->protocol == IPPROTO_TCP &&
		ebpf_find_connection_name(bpf_get_socket_cookie(ctx), endpoint, ret)) ||
	       ebpf_find_name(ctx->sk, endpoint, ret);
}

static __always_inline int show4(struct bpf_sock_addr *ctx)
{
	struct ebpf_place from, name;

	ebpf_place4(&from, ctx);
	if (find_name(ctx, &from, &name))
		ebpf_write4(ctx, name.addr, name.port);
	return 1;
}

static __always_inline int show6(struct bpf_sock_addr *ctx)
{
	struct ebpf_place from, name;

	ebpf_place6(&from, ctx);
	if (find_name(ctx, &from, &name))
		ebpf_write6(ctx, name.addr, name.port);
	return 1;
}

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr *ctx)
{
	return show4(ctx);
}

SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr *ctx)
{
	return show6(ctx);
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *ctx)
{
	return show4(ctx);
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *ctx)
{
	return show6(ctx);
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
