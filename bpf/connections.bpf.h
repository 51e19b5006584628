/*
 * Which frontend a TCP socket asked for, and which endpoint it was given: a place in an
 * array, found by the socket's cookie. Cookies are counted up, so sockets that are
 * open at the same time rarely share a place. One that finds its place taken gets a socket
 * storage, which costs two allocations and a grace period.
 *
 * A place is claimed by an atomic addition: the socket that makes the number 1 has it, until
 * it is closed. Sockets of the kernel itself (a subflow of MPTCP) close without a hook and
 * keep theirs, which costs speed only: no cookie comes twice.
 */
#pragma once

#include "bpf/balance.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EBPF_CONNECTIONS);
	__type(key, __u32);
	__type(value, struct ebpf_connection);
} connections EBPF_MAP;

static __always_inline struct ebpf_connection *ebpf_connection_at(__u64 cookie)
{
	__u32 at = cookie & (EBPF_CONNECTIONS - 1);

	return bpf_map_lookup_elem(&connections, &at);
}

/* This socket's place, if it has one. */
static __always_inline struct ebpf_connection *ebpf_find_connection(__u64 cookie)
{
	struct ebpf_connection *c = ebpf_connection_at(cookie);

	return c && c->cookie == cookie ? c : NULL;
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
