/*
 * The waist: one port of one Service in one IP family, all policy decided.
 * Left of it everything is Kubernetes, right of it nothing is.
 *
 * A struct service is one block of memory, immutable once built, shared by
 * reference count, compared by value.  Sinks translate it and never
 * decide anything.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/service_options.h"

/* Class of client.  Without a local-traffic detector no client is classed as a pod. */
enum client_class { CLIENT_POD, CLIENT_NODE, CLIENT_EXTERNAL, CLIENT_N };

enum action { ACTION_BALANCE, ACTION_REJECT, ACTION_DROP };

enum pool { POOL_CLUSTER, POOL_LOCAL, POOL_N };

enum frontend_kind {
	FRONTEND_CLUSTER_IP,
	FRONTEND_EXTERNAL_IP,
	FRONTEND_LOAD_BALANCER,
	FRONTEND_NODE_PORT,
};

/* The decision about a new flow.  pool and masquerade are 0 unless balanced. */
struct decision {
	uint8_t action;	    /* enum action */
	uint8_t pool;	    /* enum pool */
	uint8_t masquerade; /* 0 or 1 */
};

/*
 * An address and port where traffic enters.  A node port at the unspecified
 * address is at all of environment.node_addresses: then no other frontend has its
 * port at one of them, so that the order of look-ups does not matter.
 *
 * Only these combinations of masquerading exist, for (pod, node, external):
 * none; all; (0,1,1) for a ClusterIP with a detector; (0,1,0) for policy Local.
 * Pod and node have the same action and pool where a detector exists; without
 * one the pod row repeats the external row.  service_new() asserts both: the
 * sinks rely on them.
 */
struct frontend {
	struct addr addr;
	uint16_t port;
	uint8_t kind;	    /* enum frontend_kind */
	uint8_t is_limited; /* only sources in service_allowed() get in */
	struct decision from[CLIENT_N];
	uint8_t zero[3];
};

enum endpoint_flag {
	ENDPOINT_CLUSTER = 1 << POOL_CLUSTER, /* in the cluster pool */
	ENDPOINT_LOCAL = 1 << POOL_LOCAL,     /* in the node-local pool */
	ENDPOINT_SERVING = 1 << 2, /* existing flows continue, in a pool or not */
	ENDPOINT_HERE = 1 << 3,	   /* on this or an unknown node: may hairpin */
};

struct endpoint {
	struct addr addr;
	uint16_t port;
	uint16_t flags;
};

struct service {
	uint32_t refs;	   /* these two are not part of the value */
	uint32_t size_len; /* of the whole block */

	uint32_t affinity_sec;	    /* 0: no ClientIP affinity */
	uint32_t local_ready;	    /* distinct ready addresses on this node */
	uint16_t health_check_port; /* 0: none */
	uint8_t family;		    /* enum family */
	uint8_t proto;		    /* IPPROTO_TCP, _UDP, _SCTP */
	uint32_t n_frontends, n_endpoints;
	uint32_t n_pool[POOL_N];		/* how many endpoints each pool has */
	uint16_t name_offset, port_name_offset; /* from the start of the text */
	uint16_t n_allowed;
	struct service_options options;
	bool has_times; /* one of them is not 0 */
	/* then: frontends, endpoints, times, allowed, text; all padding is zero */
	struct frontend frontends[];
};

/* Frontends are ordered by kind, address, port; endpoints by address, port. */
const struct frontend *service_frontends(const struct service *s);
const struct endpoint *service_endpoints(const struct service *s);
/* All 0 if it has none. */
const struct service_times *service_times(const struct service *s);
/* loadBalancerSourceRanges, canonical; for frontends with is_limited. */
const struct cidr *service_allowed(const struct service *s);
const char *service_namespace(const struct service *s);
const char *service_name(const struct service *s);
const char *service_port_name(const struct service *s); /* "" when unnamed */
const char *
service_health_path(const struct service *s); /* "" without HEALTH_CHECK_HTTP */
/* "ns/name:port" or "ns/name"; points into buf. */
const char *service_label(const struct service *s, char *buf, size_t len);

struct service *service_ref(const struct service *s);
void service_unref(struct service *s);
bool service_equal(const struct service *a, const struct service *b);
/* Same namespace, name, port name, protocol and family. */
bool service_same_key(const struct service *a, const struct service *b);
/* namespace, name, port name, protocol (by its name), family. */
int service_compare_key(const struct service *a, const struct service *b);
/* The same for qsort() of an array of pointers. */
int service_compare_items(const void *a, const void *b);
/* Is it a node port at all node addresses? */
bool frontend_is_everywhere(const struct frontend *f);
/* "192.0.2.1:80", or "*:30080" if it is everywhere; points into buf. */
const char *frontend_format_place(const struct frontend *f,
				  char buf[static ADDR_PORT_TEXT_LEN]);
/* Of the same five, so that services with the same key have the same hash. */
uint64_t service_hash_key(const struct service *s);
/* address, port: no two endpoints of a service have both equal. */
int service_compare_endpoint(const struct endpoint *a, const struct endpoint *b);
/* Its index, or UINT32_MAX. */
uint32_t service_find_endpoint(const struct service *s, const struct addr *addr,
			       uint16_t port);
/* kind, address, port: no two frontends of a service have all of them equal. */
int service_compare_frontend(const struct frontend *a, const struct frontend *b);

/* Input of service_new().  Arrays and strings are borrowed for the call. */
struct service_spec {
	const char *ns, *name, *port_name;
	enum family family;
	uint8_t proto;
	uint32_t affinity_sec, local_ready;
	uint16_t health_check_port;
	struct service_options options;
	struct service_times times;
	const char *health_path; /* NULL: none */
	const struct frontend *frontends;
	const struct endpoint *endpoints;
	const struct cidr *allowed;
	size_t n_frontends, n_endpoints, n_allowed;
};

/* Sorts copies, counts the pools, zeroes the padding.  Returns one reference. */
struct service *service_new(const struct service_spec *spec);
/* A copy with these frontends instead. */
struct service *service_with_frontends(const struct service *s,
				       const struct frontend *frontends, size_t n);

/* True when some frontend balances some client over this pool. */
bool service_uses_pool(const struct service *s, enum pool pool);

/* As `plan` and `get` print them: "ClusterIP", "balance", "pod". */
const char *frontend_kind_name(uint8_t kind);
const char *action_name(uint8_t action);
const char *client_class_name(enum client_class client);
