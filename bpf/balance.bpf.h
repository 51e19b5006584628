/*
 * From a destination to an endpoint. Whatever cannot be decided here passes
 * untouched, keeps its service address, and nftables decides.
 *
 * Fields are copied out of map values early, and pointers are never merged:
 * clang moves member offsets across the NULL test, and the verifier refuses.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/in.h>
#include <stdbool.h>

#include "bpf/ebpf_layout.h"
#include "bpf/maps.bpf.h"

#define NS_PER_SEC 1000000000ull

struct ebpf_choice {
	struct ebpf_place endpoint;
	__u32 endpoint_id, generation, service, options;
	bool is_new; /* not the one that the socket used last */
};

enum ebpf_verdict {
	EBPF_VERDICT_PASS,
	EBPF_VERDICT_REFUSE,
	EBPF_VERDICT_BALANCE,
};

static __always_inline bool ebpf_same_place(const __be32 a[4], __be16 a_port,
					    const struct ebpf_place *b)
{
	/* one branch: each costs the verifier a state in all that follows */
	return !((a[0] ^ b->addr[0]) | (a[1] ^ b->addr[1]) | (a[2] ^ b->addr[2]) |
		 (a[3] ^ b->addr[3]) | (__u32)(a_port ^ b->port));
}

/*
 * The context's address. is_ipv6 is a constant of each program: a program of IPv4 may not
 * touch the fields of IPv6, and clang leaves that branch out.
 */
static __always_inline void ebpf_read_place(struct ebpf_place *p,
					    struct bpf_sock_addr *ctx, bool is_ipv6)
{
	p->addr[0] = is_ipv6 ? ctx->user_ip6[0] : 0;
	p->addr[1] = is_ipv6 ? ctx->user_ip6[1] : 0;
	p->addr[2] = is_ipv6 ? ctx->user_ip6[2] : bpf_htonl(0xffff);
	p->addr[3] = is_ipv6 ? ctx->user_ip6[3] : ctx->user_ip4;
	p->port = (__be16)ctx->user_port;
	p->zero = 0;
}

static __always_inline void ebpf_write_place(struct bpf_sock_addr *ctx,
					     const __be32 addr[4], __be16 port,
					     bool is_ipv6)
{
	/* clang must not share a pointer into it: the verifier refuses */
	barrier_var(ctx);
	if (is_ipv6) {
		ctx->user_ip6[0] = addr[0];
		ctx->user_ip6[1] = addr[1];
		ctx->user_ip6[2] = addr[2];
		ctx->user_ip6[3] = addr[3];
	} else {
		ctx->user_ip4 = addr[3];
	}
	ctx->user_port = port;
}

/* Is it the place that this socket knows? One of IPv4 knows no others than those of IPv4. */
static __always_inline bool ebpf_is_at(struct bpf_sock_addr *ctx, const __be32 addr[4],
				       __be16 port, bool is_ipv6)
{
	struct ebpf_place place;

	if (!is_ipv6)
		return !((ctx->user_ip4 ^ addr[3]) |
			 (__u32)(port ^ (__be16)ctx->user_port));
	ebpf_read_place(&place, ctx, is_ipv6);
	return ebpf_same_place(addr, port, &place);
}

/* Copies a record that still is this endpoint, and in this pool. */
static __always_inline bool ebpf_take_endpoint(__u32 id, __u16 pool_flag, __u32 service,
					       const __u32 *generation,
					       struct ebpf_choice *choice)
{
	struct ebpf_endpoint *e = bpf_map_lookup_elem(&endpoints, &id);

	if (!e || !(e->flags & pool_flag) ||
	    (e->service ^ service) | (generation ? e->generation ^ *generation : 0))
		return false;
	choice->endpoint.addr[0] = e->addr[0];
	choice->endpoint.addr[1] = e->addr[1];
	choice->endpoint.addr[2] = e->addr[2];
	choice->endpoint.addr[3] = e->addr[3];
	choice->endpoint.port = e->port;
	choice->endpoint.zero = 0;
	choice->endpoint_id = id;
	choice->generation = e->generation;
	choice->options = e->options;
	choice->service = service;
	return true;
}

/* Counts a connection that goes to the chosen endpoint. */
static __always_inline void ebpf_count(const struct ebpf_choice *choice)
{
	__u32 id = choice->endpoint_id;
	struct ebpf_endpoint *e = bpf_map_lookup_elem(&endpoints, &id);

	if (e && choice->is_new)
		__sync_fetch_and_add(&e->n_connections, 1);
}

static __always_inline bool ebpf_pick_once(const volatile __u64 *word, __u16 pool_flag,
					   __u32 service, struct ebpf_choice *choice)
{
	__u64 pool = *word;
	__u32 n = pool >> 32, at = (__u32)pool;
	struct ebpf_slot *slot;
	__u32 id;

	if (n == 0)
		return false;
	at += bpf_get_prandom_u32() % n;
	slot = bpf_map_lookup_elem(&slots, &at);
	if (!slot)
		return false;
	id = slot->endpoint;
	return ebpf_take_endpoint(id, pool_flag, service, NULL, choice);
}

/* The endpoint may leave between the two look-ups; by then the pool is another one. */
static __always_inline bool ebpf_pick(const volatile __u64 *word, __u16 pool_flag,
				      __u32 service, struct ebpf_choice *choice)
{
	return ebpf_pick_once(word, pool_flag, service, choice) ||
	       ebpf_pick_once(word, pool_flag, service, choice);
}

/* The endpoint that this client is bound to, which renews the binding. */
static __always_inline bool ebpf_find_bound(const struct ebpf_client *client,
					    __u16 pool_flag, __u32 affinity_sec,
					    struct ebpf_choice *choice)
{
	struct ebpf_binding *bound = bpf_map_lookup_elem(&affinity, client);
	__u64 now_ns = bpf_ktime_get_ns();
	__u32 id, generation;

	/* Another processor may have renewed it since the clock was read: signed. */
	if (!bound ||
	    (__s64)(now_ns - bound->last_ns) >= (__s64)(affinity_sec * NS_PER_SEC))
		return false;
	id = bound->endpoint;
	generation = bound->generation;
	if (!ebpf_take_endpoint(id, pool_flag, client->service, &generation, choice))
		return false;
	bound->last_ns = now_ns;
	return true;
}

static __always_inline void ebpf_bind(const struct ebpf_client *client,
				      const struct ebpf_choice *choice)
{
	const struct ebpf_binding fresh = {
		.last_ns = bpf_ktime_get_ns(),
		.endpoint = choice->endpoint_id,
		.generation = choice->generation,
	};

	(void)bpf_map_update_elem(&affinity, client, &fresh, BPF_ANY);
}

/* The endpoint that a socket used before for this frontend. */
struct ebpf_last {
	__u32 endpoint_id, generation;
	bool is_set;
};

/* The frontend's decision for this client. */
static __always_inline enum ebpf_verdict
ebpf_decide(struct bpf_sock_addr *ctx, const struct ebpf_frontend *frontend, __u8 proto,
	    const struct ebpf_last *last, struct ebpf_choice *choice)
{
	__u64 cookie = bpf_get_netns_cookie(ctx);
	__u32 service = frontend->service, row = frontend->row & (EBPF_ROWS - 1);
	struct ebpf_client client = {.netns_cookie = cookie, .service = service};
	bool is_node = cookie == node_cookie;
	struct ebpf_frontend other;
	struct ebpf_service *s;
	__u32 action, affinity_sec, pool;
	__u16 pool_flag;
	const volatile __u64 *word;

	if (is_host_only && !is_node)
		return EBPF_VERDICT_PASS;
	s = bpf_map_lookup_elem(&services, &service);
	if (!s)
		return EBPF_VERDICT_PASS;
	action = *(volatile __u64 *)&s->rows >> (row * 8 + !is_node * 4) & 0xf;
	if (action == EBPF_REFUSE && proto == IPPROTO_TCP && can_refuse) {
		__sync_fetch_and_add(&s->n_refused, 1);
		return EBPF_VERDICT_REFUSE;
	}
	if (action != EBPF_CLUSTER && action != EBPF_LOCAL)
		return EBPF_VERDICT_PASS;
	/* no branch: each doubles what the verifier has to walk through */
	_Static_assert(EBPF_LOCAL - EBPF_CLUSTER == EBPF_POOL_LOCAL && EBPF_POOL_N == 2,
		       "a pool for each action");
	pool = (action - EBPF_CLUSTER) & (EBPF_POOL_N - 1);
	word = &s->pool[pool];
	pool_flag = 1 << pool;
	affinity_sec = s->affinity_sec;
	/* as a flow of conntrack: until it serves no longer, in a pool or not */
	if (last->is_set &&
	    ebpf_take_endpoint(last->endpoint_id, pool_flag | EBPF_ENDPOINT_SERVING,
			       service, &last->generation, choice)) {
		choice->is_new = false;
		return EBPF_VERDICT_BALANCE;
	}
	if (!affinity_sec || !ebpf_find_bound(&client, pool_flag, affinity_sec, choice)) {
		if (!ebpf_pick(word, pool_flag, service, choice))
			return EBPF_VERDICT_PASS;
		if (affinity_sec)
			ebpf_bind(&client, choice);
	}
	/* An endpoint that is a frontend, too: nftables would balance the packet again. */
	if (ebpf_find_frontend(&choice->endpoint, proto, &other))
		return EBPF_VERDICT_PASS;
	choice->is_new = true;
	return EBPF_VERDICT_BALANCE;
}
