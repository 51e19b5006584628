// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * sendto() and sendmsg() of an unconnected UDP socket. A socket that asked a
 * frontend before keeps its endpoint for as long as that serves. Where no change was
 * written since, its own memory says so, without a look-up of the frontend.
 */
#include "bpf/connections.bpf.h"
#include "bpf/kernel_sock.bpf.h"
#include "bpf/routes.bpf.h"

#define TCP_ESTABLISHED 1 /* also the state of a connected UDP socket */

/*
 * The daemon raises it after each change, and each second. Each load of the programs starts
 * with another one, so that a decision of earlier programs does not count.
 */
__u32 epoch;

/*
 * The peer of a connected socket: connect() has decided about it, and answers of
 * another address would not reach the socket. An IPv6 socket with an IPv4-mapped
 * peer passes here with each send().
 */
static __always_inline bool is_peer(const struct bpf_sock *sk,
				    const struct ebpf_place *to, bool is_ipv6)
{
	if (!sk || sk->state != TCP_ESTABLISHED || sk->dst_port != to->port)
		return false;
	if (!is_ipv6)
		return sk->dst_ip4 == to->addr[3];
	return sk->dst_ip6[0] == to->addr[0] && sk->dst_ip6[1] == to->addr[1] &&
	       sk->dst_ip6[2] == to->addr[2] && sk->dst_ip6[3] == to->addr[3];
}

/*
 * The only route of an unconnected socket, if it was decided in this epoch: the endpoint's
 * record is not read, because the next epoch follows the change that ends it, in the same
 * sync. Mostly that is all that a datagram needs, so it is short: it has 64 bytes of the
 * socket to read.
 */
static __always_inline bool is_decided(const struct bpf_sock *sk,
				       const struct ebpf_socket *s, __u32 now)
{
	return s && (s->flags & (EBPF_EPOCH_MASK | EBPF_SOCKET_OPTED_OUT)) == now &&
	       s->route.endpoint_port && sk && sk->state != TCP_ESTABLISHED;
}

static __always_inline void remember_epoch(struct bpf_sock_addr *ctx,
					   struct ebpf_socket *s, __u32 now,
					   const struct ebpf_place *frontend)
{
	if (!ebpf_is_route_to(&s->route, frontend))
		return;
	s->flags = (s->flags & ~EBPF_EPOCH_MASK) | now;
	if (can_read_sock)
		ebpf_remember_route(bpf_get_socket_cookie(ctx), &s->route, now);
}

/* The socket goes there directly now: answers from there are not those of a frontend. */
static __always_inline void forget(struct bpf_sock_addr *ctx, struct ebpf_socket *s,
				   const struct ebpf_place *to)
{
	if (ebpf_is_route_from(&s->route, to))
		ebpf_forget_connection(bpf_get_socket_cookie(ctx));
	ebpf_forget(ctx->sk, s, to);
}

static __always_inline bool choose(struct bpf_sock_addr *ctx, struct ebpf_socket *s,
				   __u32 now, const struct ebpf_frontend *frontend,
				   struct ebpf_place *to)
{
	struct ebpf_place frontend_place = *to, name;
	struct ebpf_choice choice;
	struct ebpf_last last = {0};

	ebpf_find_last(ctx->sk, s, to, &last);
	if (ebpf_decide(ctx, frontend, IPPROTO_UDP, &last, &choice) !=
	    EBPF_VERDICT_BALANCE)
		return false;
	if (choice.is_new) {
		/*
		 * Two frontends of one endpoint: its answers look the same. In packets,
		 * conntrack distinguishes them.
		 */
		if (ebpf_find_name(ctx->sk, &choice.endpoint, &name) &&
		    !ebpf_same_place(name.addr, name.port, &frontend_place))
			return false;
		ebpf_count(&choice);
		ebpf_add_route(ctx->sk, s, &frontend_place, &choice);
	}
	remember_epoch(ctx, s, now, &frontend_place);
	*to = choice.endpoint;
	return true;
}

static __always_inline bool find_endpoint(struct bpf_sock_addr *ctx,
					  struct ebpf_socket *s, __u32 now,
					  struct ebpf_place *to)
{
	struct ebpf_frontend frontend;
	bool is_found;

	if (ctx->protocol != IPPROTO_UDP) /* UDP-Lite has this hook, too */
		return false;
	if (!ebpf_find_frontend(to, IPPROTO_UDP, &frontend)) {
		if (s && ctx->sk->state != TCP_ESTABLISHED)
			forget(ctx, s, to);
		return false;
	}
	if (s && s->flags & EBPF_SOCKET_OPTED_OUT)
		return false;
	if (!s)
		s = bpf_sk_storage_get(&sockets, ctx->sk, NULL,
				       BPF_SK_STORAGE_GET_F_CREATE);
	if (!s || !ebpf_take_socket(s))
		return false;
	is_found = choose(ctx, s, now, &frontend, to);
	ebpf_give_socket(s);
	return is_found;
}

/* The same without the storage. */
static __always_inline bool send_as_before(struct bpf_sock_addr *ctx, __u32 now,
					   bool is_ipv6)
{
	struct ebpf_connection *c = ebpf_find_connection(ebpf_read_cookie(ctx->sk));
	__be16 port;

	if (!c || c->epoch != now || !ctx->sk || ctx->sk->state == TCP_ESTABLISHED)
		return false;
	port = *(volatile __be16 *)&c->endpoint.port;
	if (!port || !ebpf_is_at(ctx, c->frontend.addr, c->frontend.port, is_ipv6))
		return false;
	ebpf_write_place(ctx, c->endpoint.addr, port, is_ipv6);
	return true;
}

static __always_inline int send_to(struct bpf_sock_addr *ctx, __u32 now,
				   bool may_have_storage, bool is_ipv6)
{
	struct ebpf_socket *s = NULL;
	struct ebpf_place to;

	if (may_have_storage)
		s = bpf_sk_storage_get(&sockets, ctx->sk, NULL, 0);
	if (is_decided(ctx->sk, s, now) &&
	    ebpf_is_at(ctx, s->route.frontend, s->route.frontend_port, is_ipv6)) {
		ebpf_write_place(ctx, s->route.endpoint, s->route.endpoint_port, is_ipv6);
		return 1;
	}
	ebpf_read_place(&to, ctx, is_ipv6);
	if (!is_peer(ctx->sk, &to, is_ipv6) && find_endpoint(ctx, s, now, &to))
		ebpf_write_place(ctx, to.addr, to.port, is_ipv6);
	return 1;
}

/* Functions of their own: what a datagram mostly needs is short, and has no stack. */
__noinline int send4(struct bpf_sock_addr *ctx, __u32 now, bool may_have_storage)
{
	return send_to(ctx, now, may_have_storage, false);
}

__noinline int send6(struct bpf_sock_addr *ctx, __u32 now, bool may_have_storage)
{
	return send_to(ctx, now, may_have_storage, true);
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	__u32 now = *(volatile __u32 *)&epoch; /* before anything else is read */

	return send_as_before(ctx, now, false)
		       ? 1
		       : send4(ctx, now, ebpf_may_have_storage(ctx->sk));
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	__u32 now = *(volatile __u32 *)&epoch;

	return send_as_before(ctx, now, true)
		       ? 1
		       : send6(ctx, now, ebpf_may_have_storage(ctx->sk));
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
