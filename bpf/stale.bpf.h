/*
 * Sockets whose endpoint or frontend is gone. The few fields of kernel structures that are
 * read here are found by the kernel's own BTF when the programs are loaded.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "bpf/ebpf_layout.h"
#include "bpf/frontends.bpf.h"

#define AF_INET	  2
#define AF_INET6  10
#define PROTO_TCP 6
#define PROTO_UDP 17

#define TCP_ESTABLISHED 1 /* also of a connected UDP socket */

#define KERNEL_STRUCT __attribute__((preserve_access_index))

struct ns_common {
	unsigned int inum;
} KERNEL_STRUCT;

struct net {
	struct ns_common ns;
	__u64 net_cookie;
} KERNEL_STRUCT;

typedef struct {
	struct net *net;
} KERNEL_STRUCT possible_net_t;

struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
} KERNEL_STRUCT;

struct sock_common {
	__be32 skc_daddr;
	__be16 skc_dport;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
} KERNEL_STRUCT;

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
} KERNEL_STRUCT;

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
} KERNEL_STRUCT;

/* The same maps that the hooks have: the daemon hands them over. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ebpf_socket);
} sockets __attribute__((section(".maps"), used));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct ebpf_endpoint);
} endpoints __attribute__((section(".maps"), used));

/* True when the endpoint of this route does not serve any more. */
static __always_inline bool ebpf_is_stale(const struct ebpf_route *r, bool *ret_resets)
{
	__u32 id = r->endpoint_id;
	struct ebpf_endpoint *e;

	if (!r->endpoint_port)
		return false;
	e = bpf_map_lookup_elem(&endpoints, &id);
	if (!e)
		return false;
	*ret_resets = e->generation == r->generation && e->options & EBPF_ENDPOINT_RESETS;
	return e->generation != r->generation || !(e->flags & EBPF_ENDPOINT_SERVING);
}

/* True when the frontend of this UDP socket leads elsewhere by now, or nowhere. */
static __always_inline bool ebpf_is_lost(const struct ebpf_socket *s)
{
	struct ebpf_place place = {
		.addr = {s->route.frontend[0], s->route.frontend[1], s->route.frontend[2],
			 s->route.frontend[3]},
		.port = s->route.frontend_port,
	};
	struct ebpf_frontend now;

	return s->route.endpoint_port && (!ebpf_find_frontend(&place, PROTO_UDP, &now) ||
					  now.service != s->service);
}

/* Is the socket connected to the endpoint of this route, and not to another place by now? */
static __always_inline bool ebpf_is_peer(const struct sock_common *c,
					 const struct ebpf_route *r)
{
	if (c->skc_dport != r->endpoint_port)
		return false;
	if (c->skc_family == AF_INET)
		return c->skc_daddr == r->endpoint[3] &&
		       r->endpoint[2] == bpf_htonl(0xffff) && r->endpoint[1] == 0 &&
		       r->endpoint[0] == 0;
	return c->skc_v6_daddr.in6_u.u6_addr32[0] == r->endpoint[0] &&
	       c->skc_v6_daddr.in6_u.u6_addr32[1] == r->endpoint[1] &&
	       c->skc_v6_daddr.in6_u.u6_addr32[2] == r->endpoint[2] &&
	       c->skc_v6_daddr.in6_u.u6_addr32[3] == r->endpoint[3];
}
