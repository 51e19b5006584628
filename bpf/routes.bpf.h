/*
 * The memory of a socket: which frontend it asked for and which endpoint it
 * was given. getpeername() and recvmsg() show the frontend; an unconnected UDP
 * socket keeps its endpoint for as long as it is one.
 *
 * One route is in the storage itself. A UDP socket that sends to a second
 * frontend gets room for three more: a resolver that asks two servers from one
 * socket must not get the first answer under the second server's name.
 */
#pragma once

#include "bpf/balance.bpf.h"

static __always_inline bool ebpf_is_route_to(const struct ebpf_route *r,
					     const struct ebpf_place *frontend)
{
	return ebpf_same_place(r->frontend, r->frontend_port, frontend);
}

static __always_inline bool ebpf_is_route_from(const struct ebpf_route *r,
					       const struct ebpf_place *endpoint)
{
	return r->endpoint_port &&
	       ebpf_same_place(r->endpoint, r->endpoint_port, endpoint);
}

static __always_inline void ebpf_fill_route(struct ebpf_route *r,
					    const struct ebpf_place *frontend,
					    const struct ebpf_choice *choice)
{
	r->frontend[0] = frontend->addr[0];
	r->frontend[1] = frontend->addr[1];
	r->frontend[2] = frontend->addr[2];
	r->frontend[3] = frontend->addr[3];
	r->frontend_port = frontend->port;
	r->endpoint[0] = choice->endpoint.addr[0];
	r->endpoint[1] = choice->endpoint.addr[1];
	r->endpoint[2] = choice->endpoint.addr[2];
	r->endpoint[3] = choice->endpoint.addr[3];
	r->endpoint_port = choice->endpoint.port;
	r->endpoint_id = choice->endpoint_id;
	r->generation = choice->generation;
}

static __always_inline struct ebpf_more_routes *ebpf_more(struct bpf_sock *sk,
							  __u64 flags)
{
	return bpf_sk_storage_get(&more_routes, sk, NULL, flags);
}

/*
 * Threads may decide about one socket concurrently. One that cannot write leaves the datagram to
 * nftables and does not wait.
 */
static __always_inline bool ebpf_take_socket(struct ebpf_socket *s)
{
	return __sync_val_compare_and_swap(&s->is_busy, 0, 1) == 0;
}

static __always_inline void ebpf_give_socket(struct ebpf_socket *s)
{
	(void)__sync_lock_test_and_set(&s->is_busy, 0); /* a full barrier, too */
}

/* Forgets a route to exactly this endpoint: the socket goes there directly now. */
static __always_inline void ebpf_forget(struct bpf_sock *sk, struct ebpf_socket *s,
					const struct ebpf_place *to)
{
	struct ebpf_more_routes *more;

	if (ebpf_is_route_from(&s->route, to))
		s->route.endpoint_port = 0;
	if (!(s->flags & EBPF_SOCKET_HAS_MORE))
		return;
	more = ebpf_more(sk, 0);
	if (!more)
		return;
#pragma unroll
	for (unsigned i = 0; i < EBPF_MORE_ROUTES; i++)
		if (ebpf_is_route_from(&more->route[i], to))
			more->route[i].endpoint_port = 0;
}

static __always_inline void ebpf_copy_last(struct ebpf_last *ret,
					   const struct ebpf_route *r)
{
	ret->endpoint_id = r->endpoint_id;
	ret->generation = r->generation;
	ret->is_set = true;
}

/* The endpoint that this socket used last for this frontend. */
static __always_inline void ebpf_find_last(struct bpf_sock *sk, struct ebpf_socket *s,
					   const struct ebpf_place *frontend,
					   struct ebpf_last *ret)
{
	struct ebpf_more_routes *more;

	if (s->route.endpoint_port && ebpf_is_route_to(&s->route, frontend)) {
		ebpf_copy_last(ret, &s->route);
		return;
	}
	if (!(s->flags & EBPF_SOCKET_HAS_MORE))
		return;
	more = ebpf_more(sk, 0);
	if (!more)
		return;
#pragma unroll
	for (unsigned i = 0; i < EBPF_MORE_ROUTES; i++)
		if (more->route[i].endpoint_port &&
		    ebpf_is_route_to(&more->route[i], frontend))
			ebpf_copy_last(ret, &more->route[i]);
}

static __always_inline void ebpf_add_more(struct bpf_sock *sk, struct ebpf_socket *s,
					  const struct ebpf_place *frontend,
					  const struct ebpf_choice *choice)
{
	struct ebpf_more_routes *more = ebpf_more(sk, BPF_SK_STORAGE_GET_F_CREATE);
	unsigned at = EBPF_MORE_ROUTES;

	if (!more)
		return;
	s->flags |= EBPF_SOCKET_HAS_MORE;
#pragma unroll
	for (unsigned i = 0; i < EBPF_MORE_ROUTES; i++)
		if (ebpf_is_route_to(&more->route[i], frontend) ||
		    (at == EBPF_MORE_ROUTES && !more->route[i].endpoint_port))
			at = i;
	if (at == EBPF_MORE_ROUTES)
		at = more->next++ % EBPF_MORE_ROUTES;
#pragma unroll
	for (unsigned i = 0; i < EBPF_MORE_ROUTES; i++) {
		if (i == at) {
			ebpf_fill_route(&more->route[i], frontend, choice);
			more->service[i] = choice->service;
		}
	}
}

/* The only route of a socket that connects. */
static __always_inline void ebpf_set_route(struct ebpf_socket *s,
					   const struct ebpf_place *frontend,
					   const struct ebpf_choice *choice)
{
	ebpf_fill_route(&s->route, frontend, choice);
	s->service = choice->service;
}

/* One more route of an unconnected socket. */
static __always_inline void ebpf_add_route(struct bpf_sock *sk, struct ebpf_socket *s,
					   const struct ebpf_place *frontend,
					   const struct ebpf_choice *choice)
{
	if (!s->route.endpoint_port || ebpf_is_route_to(&s->route, frontend))
		ebpf_set_route(s, frontend, choice);
	else
		ebpf_add_more(sk, s, frontend, choice);
}

/* The frontend that this socket knows an endpoint by. */
static __always_inline bool ebpf_find_name(struct bpf_sock *sk,
					   const struct ebpf_place *endpoint,
					   struct ebpf_place *ret)
{
	struct ebpf_socket *s = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	struct ebpf_more_routes *more;

	if (!s)
		return false;
	if (ebpf_is_route_from(&s->route, endpoint)) {
		__builtin_memcpy(ret->addr, s->route.frontend, sizeof(ret->addr));
		ret->port = s->route.frontend_port;
		return true;
	}
	if (!(s->flags & EBPF_SOCKET_HAS_MORE))
		return false;
	more = ebpf_more(sk, 0);
	if (!more)
		return false;
#pragma unroll
	for (unsigned i = 0; i < EBPF_MORE_ROUTES; i++) {
		if (ebpf_is_route_from(&more->route[i], endpoint)) {
			__builtin_memcpy(ret->addr, more->route[i].frontend,
					 sizeof(ret->addr));
			ret->port = more->route[i].frontend_port;
			return true;
		}
	}
	return false;
}
