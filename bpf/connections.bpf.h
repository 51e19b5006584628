/*
 * Which frontend a socket asked for, and which endpoint it was given: a place in an
 * array, found by the socket's cookie. Cookies are counted up, so sockets that are
 * open at the same time rarely share a place. A TCP socket that finds its place taken gets a
 * storage, which costs two allocations and a grace period. An unconnected UDP socket always
 * has one; its place spares each datagram the call that finds the storage.
 *
 * A place is claimed by an atomic addition: the socket that makes the number 1 has it, until
 * it is closed. Sockets of the kernel itself (a subflow of MPTCP) close without a hook and
 * keep theirs, which costs speed only: no cookie comes twice.
 */
#pragma once

#include "bpf/balance.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EBPF_CONNECTIONS);
	__type(key, __u32);
	__type(value, struct ebpf_connection);
} connections EBPF_MAP;

static __always_inline struct ebpf_connection *ebpf_connection_at(__u64 cookie)
{
	__u32 at = cookie & (EBPF_CONNECTIONS - 1);

	return bpf_map_lookup_elem(&connections, &at);
}

/* This socket's place, if it has one. Cookie 0: of no socket. */
static __always_inline struct ebpf_connection *ebpf_find_connection(__u64 cookie)
{
	struct ebpf_connection *c;

	if (!cookie)
		return NULL;
	c = ebpf_connection_at(cookie);
	if (!c || *(volatile __u64 *)&c->cookie != cookie)
		return NULL;
	barrier();
	return c;
}

/* The socket does not lead to that endpoint any more; its place remains. */
static __always_inline void ebpf_forget_connection(__u64 cookie)
{
	struct ebpf_connection *c = ebpf_find_connection(cookie);

	if (c)
		c->endpoint.port = 0;
}

/* The socket has ended. Its cookie may stay: it does not come again. */
static __always_inline void ebpf_release_connection(__u64 cookie)
{
	struct ebpf_connection *c = ebpf_find_connection(cookie);

	if (c)
		__sync_fetch_and_add(&c->n_claims, -1);
}

/* The socket's place, new or old; NULL: another socket has it. */
static __always_inline struct ebpf_connection *ebpf_claim_connection(__u64 cookie)
{
	struct ebpf_connection *c = ebpf_connection_at(cookie);

	if (!c || c->cookie == cookie)
		return c;
	if (*(volatile __u32 *)&c->n_claims)
		return NULL;
	__sync_fetch_and_add(&c->n_claims, 1);
	if (*(volatile __u32 *)&c->n_claims == 1)
		return c;
	__sync_fetch_and_add(&c->n_claims, -1);
	return NULL;
}

/*
 * The route of an unconnected socket, which threads read while others decide: its addresses
 * are written once, before the cookie, and never change. Another route is not kept here.
 */
static __always_inline void ebpf_remember_route(__u64 cookie, const struct ebpf_route *r,
						__u32 epoch)
{
	struct ebpf_connection *c = ebpf_claim_connection(cookie);

	if (!c)
		return;
	if (c->cookie != cookie) {
		__builtin_memcpy(c->frontend.addr, r->frontend, sizeof(r->frontend));
		__builtin_memcpy(c->endpoint.addr, r->endpoint, sizeof(r->endpoint));
		c->frontend.port = r->frontend_port;
		c->endpoint.port = r->endpoint_port;
		c->epoch = epoch;
		barrier();
		*(volatile __u64 *)&c->cookie = cookie;
	} else if (ebpf_same_place(r->frontend, r->frontend_port, &c->frontend) &&
		   ebpf_same_place(r->endpoint, r->endpoint_port, &c->endpoint)) {
		c->epoch = epoch;
	} else {
		c->endpoint.port = 0;
	}
}

static __always_inline bool ebpf_remember_connection(__u64 cookie,
						     const struct ebpf_place *frontend,
						     const struct ebpf_place *endpoint)
{
	struct ebpf_connection *c = ebpf_claim_connection(cookie);

	if (!c)
		return false;
	c->frontend = *frontend;
	c->endpoint = *endpoint;
	c->cookie = cookie;
	return true;
}
