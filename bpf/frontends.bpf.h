/*
 * The hash of frontends, and where a destination leads.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "bpf/ebpf_layout.h"

/* Each object file has them; the linker makes one of equal weak ones. */
#define EBPF_MAP __attribute__((section(".maps"), used, weak))

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct ebpf_frontend_key);
	__type(value, struct ebpf_frontend);
} frontends EBPF_MAP;

/* One 8-byte load: the element may go while the program runs. */
static __always_inline bool ebpf_look_up(const struct ebpf_frontend_key *key,
					 struct ebpf_frontend *ret)
{
	union {
		__u64 word;
		struct ebpf_frontend frontend;
	} copy;
	__u64 *value = bpf_map_lookup_elem(&frontends, key);

	if (!value)
		return false;
	copy.word = *(volatile __u64 *)value;
	*ret = copy.frontend;
	return true;
}

static __always_inline bool ebpf_find_frontend(const struct ebpf_place *to, __u8 proto,
					       struct ebpf_frontend *ret)
{
	struct ebpf_frontend_key key = {
		.addr = {to->addr[0], to->addr[1], to->addr[2], to->addr[3]},
		.port = to->port,
		.proto = proto,
	};
	struct ebpf_frontend node;
	bool is_ipv4 = !(to->addr[0] | to->addr[1] | (to->addr[2] ^ bpf_htonl(0xffff)));

	if (ebpf_look_up(&key, ret))
		return true;
	key.port = 0;
	key.proto = 0;
	key.kind = EBPF_KEY_NODE_ADDRESS;
	if (!ebpf_look_up(&key, &node))
		return false;
	key.addr[0] = 0;
	key.addr[1] = 0;
	key.addr[2] = is_ipv4 * bpf_htonl(0xffff);
	key.addr[3] = 0;
	key.port = to->port;
	key.proto = proto;
	key.kind = EBPF_KEY_EVERYWHERE;
	if (!ebpf_look_up(&key, ret))
		return false;
	ret->row = node.row;
	return true;
}
