/*
 * Keys and values of the maps, shared by the programs and the daemon: fixed
 * sizes, explicit padding. A change of them raises EBPF_LAYOUT_VERSION: a daemon
 * that finds maps of another version makes new ones.
 *
 * Addresses are IPv4-mapped as in struct addr, so that one map serves both
 * families. Ports are in network order here, as the hooks have them.
 */
#pragma once

#include <linux/types.h>

#define EBPF_LAYOUT_VERSION 5u

/*
 * A node port at all node addresses is one element, at the unspecified address, and
 * each node address is one.  So a destination without a frontend of its own is looked
 * up as a node address, and then its port everywhere.
 */
enum ebpf_key_kind { EBPF_KEY_EXACT, EBPF_KEY_NODE_ADDRESS, EBPF_KEY_EVERYWHERE };

/*
 * An element of the frontends' hash is never overwritten: the kernel reuses
 * the memory of a deleted element immediately, and a program may still hold a
 * pointer to it.
 */
struct ebpf_frontend_key {
	__be32 addr[4];
	__be16 port;
	__u8 proto;
	__u8 kind; /* enum ebpf_key_kind; a node address has neither port nor proto */
};

#define EBPF_NO_SERVICE ((__u32)-1) /* of a node address */

struct ebpf_frontend {
	__u32 service; /* index into the services */
	__u8 row;      /* which of its decisions; everywhere it is the node address's */
	__u8 zero[3];
};

enum ebpf_pool { EBPF_POOL_CLUSTER, EBPF_POOL_LOCAL, EBPF_POOL_N };

enum ebpf_action {
	EBPF_PASS, /* the packet goes out untouched; nftables decides */
	EBPF_CLUSTER,
	EBPF_LOCAL,
	EBPF_REFUSE,
};

#define EBPF_ROWS 8u /* of one byte each: action of the node | action of a pod << 4 */

/* Each 8-byte word is valid by itself: a change is one aligned store. */
struct ebpf_service {
	__u64 pool[EBPF_POOL_N]; /* first slot | number of slots << 32 */
	__u64 rows;
	__u32 affinity_sec; /* 0: no affinity */
	__u32 zero;
	__u64 n_refused;
	__u64 n_removed; /* connections of endpoints that it has no longer; only the daemon writes it */
};

/* Array elements are 8-byte aligned in a mapping, whatever their size. */
struct ebpf_slot {
	__u32 endpoint; /* index into the endpoints */
	__u32 zero;
};

enum ebpf_endpoint_flag {
	EBPF_ENDPOINT_CLUSTER = 1 << EBPF_POOL_CLUSTER, /* a member of that pool */
	EBPF_ENDPOINT_LOCAL = 1 << EBPF_POOL_LOCAL,
	EBPF_ENDPOINT_SERVING = 1 << 2, /* its sockets live on */
};

/* Its TCP connections are reset when it goes, not only its UDP sockets closed. */
#define EBPF_ENDPOINT_RESETS 1u

/* An endpoint of one service, for as long as it is one. */
struct ebpf_endpoint {
	__be32 addr[4];
	__be16 port;
	__u16 flags;
	__u32 generation; /* a new one whenever the record gets another endpoint */
	__u32 service;
	__u32 options; /* EBPF_ENDPOINT_RESETS; stays when the endpoint goes */
	__u64 n_connections;
};

/* Affinity of a local client: its network namespace stands for its address. */
struct ebpf_client {
	__u64 netns_cookie;
	__u32 service;
	__u32 zero;
};

struct ebpf_binding {
	__u64 last_ns;
	__u32 endpoint, generation;
};

/*
 * The upper bits of a socket's flags are the epoch in which its route was decided. The
 * daemon starts a new epoch after each change, so a datagram in the same one needs no
 * second decision.
 */
enum ebpf_socket_flag {
	EBPF_SOCKET_OPTED_OUT = 1 << 0,
	EBPF_SOCKET_HAS_MORE = 1 << 1, /* has an ebpf_more_routes besides */
};
#define EBPF_EPOCH_STEP 256u
#define EBPF_EPOCH_MASK (~(EBPF_EPOCH_STEP - 1)) /* 0: none */

/* Where the traffic of a socket to a frontend goes. All zero: unused. */
struct ebpf_route {
	__be32 frontend[4], endpoint[4];
	__be16 frontend_port, endpoint_port;
	__u32 endpoint_id, generation;
};

/* Below 57 bytes this fits a small slab object. */
struct ebpf_socket {
	struct ebpf_route route;
	__u32 service;
	__u32 flags;   /* enum ebpf_socket_flag | epoch */
	__u32 is_busy; /* a thread writes routes */
};

/* Only for a UDP socket that sends to a second frontend. */
#define EBPF_MORE_ROUTES 3u
struct ebpf_more_routes {
	struct ebpf_route route[EBPF_MORE_ROUTES];
	__u32 service[EBPF_MORE_ROUTES];
	__u32 next; /* the one to replace when all are in use */
};

struct ebpf_place { /* where a socket wants to go, or comes from */
	__be32 addr[4];
	__be16 port;
	__u16 zero;
};

/*
 * The names of a TCP connection, or of the first route of an unconnected UDP socket, at the
 * place that the socket's cookie gives. An endpoint's port of 0: forgotten.
 */
#define EBPF_CONNECTIONS 16384u
struct ebpf_connection {
	__u64 cookie;	/* the socket's; 0: of none */
	__u32 n_claims; /* 0: free, 1: taken; more while sockets try */
	__u32 epoch;	/* of UDP: the last one in which its route was decided */
	struct ebpf_place frontend, endpoint;
	__u64 zero; /* a cache line for each: the array is mapped, so it starts with a page */
};

/* A network namespace with sockets of endpoints that are gone. */
struct ebpf_netns {
	__u64 cookie;
	__u32 inode;
	__u32 has_tcp; /* 1: TCP connections to reset, 0: UDP sockets */
};

/* The only element of the map `meta`. */
struct ebpf_meta {
	__u32 version;
	__u32 zero;
};

/* A helper that no kernel has: calls of it are made calls of bpf_rdonly_cast(). */
#define EBPF_CALL_OF_CAST 0x7fff0000

_Static_assert(sizeof(struct ebpf_frontend_key) == 20, "no padding in keys");
_Static_assert(sizeof(struct ebpf_frontend) == 8, "read by one load");
_Static_assert(sizeof(struct ebpf_service) == 48, "layout");
_Static_assert(sizeof(struct ebpf_slot) == 8, "layout");
_Static_assert(sizeof(struct ebpf_endpoint) == 40, "layout");
_Static_assert(sizeof(struct ebpf_client) == 16, "no padding in keys");
_Static_assert(sizeof(struct ebpf_binding) == 16, "layout");
_Static_assert(sizeof(struct ebpf_connection) == 64, "layout");
_Static_assert(sizeof(struct ebpf_route) == 44, "layout");
_Static_assert(sizeof(struct ebpf_socket) == 56,
	       "fits a slab object of 64 with its header");
