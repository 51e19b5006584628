/*
 * The maps that all hooks share. Sizes are set by the daemon before it loads
 * the programs; these are the smallest.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/ebpf_layout.h"
#include "bpf/frontends.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct ebpf_service);
} services EBPF_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct ebpf_slot);
} slots EBPF_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct ebpf_endpoint);
} endpoints EBPF_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct ebpf_client);
	__type(value, struct ebpf_binding);
} affinity EBPF_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ebpf_socket);
} sockets EBPF_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ebpf_more_routes);
} more_routes EBPF_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebpf_meta);
} meta EBPF_MAP;

/* Constants of this node, set before the programs are loaded. */
const volatile __u64 node_cookie __weak;  /* of the node's network namespace */
const volatile __u8 can_refuse __weak;	  /* the kernel has bpf_set_retval() */
const volatile __u8 is_host_only __weak;  /* pods are left to nftables */
const volatile __u8 can_read_sock __weak; /* without a call: bpf/kernel_sock.bpf.h */
