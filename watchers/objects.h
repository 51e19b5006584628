/*
 * Kubernetes objects as far as a service proxy needs them: compact, immutable,
 * one block of memory each, shared by reference count.  Decoders make them,
 * the cluster holds them, plan() reads them.  All strings are never NULL
 * ("" when absent); everything in them has been checked.
 *
 * v1 Endpoints are decoded to slices (is_mirror set), as the endpointslice
 * mirroring controller would write them, one for each family.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/service_options.h"

enum object_kind {
	OBJECT_SERVICE,
	OBJECT_SLICE,
	OBJECT_NODE,
	OBJECT_SERVICE_CIDR,
	OBJECT_POD,
	OBJECT_NAMESPACE,
	OBJECT_KIND_N,
};

struct object {		       /* every object embeds it first */
	const char *ns, *name; /* first: a struct name_key */
	uint32_t refs;
	uint32_t size_len; /* of the whole block */
	uint32_t relist;   /* the cluster's mark, not part of the value */
	uint8_t kind;	   /* enum object_kind */
};

enum service_type {
	SERVICE_CLUSTER_IP,
	SERVICE_NODE_PORT,
	SERVICE_LOAD_BALANCER,
	SERVICE_EXTERNAL_NAME,
};

struct object_service_port {
	const char *name;
	uint16_t port;
	uint16_t node_port; /* 0: none */
	uint8_t proto;	    /* IPPROTO_* */
};

/* status.loadBalancer.ingress[] that have a usable ip */
struct object_ingress {
	struct addr addr;
	bool is_proxy_mode; /* ipMode Proxy, or an unknown one: not ours to program */
};

/* sluice.io/ annotations; the decoder makes none where all have their defaults */
struct object_options {
	const char *health_path; /* "" without HEALTH_CHECK_HTTP */
	struct service_options service;
	struct service_times times;
};

struct object_service {
	struct object base;
	int64_t created_sec; /* creationTimestamp, Unix time; 0 when absent */
	uint8_t type;	     /* enum service_type */
	bool is_headless;    /* clusterIP None, or missing with nothing else to serve */
	bool is_hidden;	     /* a label says that it isn't for us */
	bool internal_local; /* internalTrafficPolicy Local */
	bool external_local; /* externalTrafficPolicy Local */
	bool has_affinity;   /* sessionAffinity ClientIP */
	/* has a cluster IP of this family, by the rules of dual stack */
	bool has_family[FAMILY_N];
	uint32_t affinity_sec; /* 10800 when not given */
	uint16_t health_check_node_port;
	struct addr cluster_ip[FAMILY_N];
	const struct object_service_port *ports; /* no two of one name and protocol */
	const struct addr *external_ips;	 /* both families mixed */
	const struct object_ingress *ingress;
	const struct cidr *source_ranges;
	const uint64_t *labels;		      /* label_hash() of each */
	const struct object_options *options; /* at most one: object_service_options() */
	uint32_t n_ports, n_external_ips, n_ingress, n_source_ranges, n_labels, n_options;
};

struct object_slice_port {
	const char *name;
	uint16_t port; /* ports without name or number are dropped */
	uint8_t proto;
};

enum object_endpoint_flag {
	OBJECT_ENDPOINT_READY = 1,
	OBJECT_ENDPOINT_SERVING = 2,
	OBJECT_ENDPOINT_TERMINATING = 4,
};

struct object_endpoint {
	struct addr addr; /* addresses[0] */
	uint8_t flags;
	const char *node; /* nodeName, "" when unknown */
};

/* Of an endpoint: NUL-separated lists, each ended by an empty string; "" means none. */
struct object_hints {
	const char *zones; /* hints.forZones */
	const char *nodes; /* hints.forNodes */
};

struct object_slice {
	struct object base;
	const char *service; /* the label kubernetes.io/service-name */
	uint8_t family;	     /* addressType */
	bool is_hidden;	     /* a label says that it isn't for us */
	bool is_mirror;	     /* made from v1 Endpoints */
	uint32_t n_hints;    /* n_endpoints, or 0 if no endpoint has any */
	int64_t trigger_us; /* last-change-trigger-time, Unix time; 0 when absent or unusable */
	const struct object_slice_port *ports;
	const struct object_endpoint *endpoints;
	const struct object_hints *hints; /* object_slice_hints() */
	uint32_t n_ports, n_endpoints;
};

struct object_node {
	struct object base;
	const char *zone; /* topology.kubernetes.io/zone, "" when absent */
	const char *hostname;
	bool is_deleting;      /* has a deletionTimestamp */
	bool is_to_be_deleted; /* taint ToBeDeletedByClusterAutoscaler */
	const struct addr
		*addresses; /* in kube-proxy's order: InternalIP first, then ExternalIP */
	const struct cidr *pod_cidrs;
	uint32_t n_addresses, n_pod_cidrs;
};

struct object_service_cidr {
	struct object base;
	const struct cidr *cidrs;
	uint32_t n_cidrs;
};

/* The annotation sluice.io/socket-lb */
enum object_socket_lb {
	SOCKET_LB_UNSET,
	SOCKET_LB_ENABLED,
	SOCKET_LB_DISABLED,
};

struct object_pod {
	struct object base;
	const char *node;	/* "" when unknown: only its metadata was read */
	const char *cgroup_uid; /* the kubelet names the Pod's cgroup by it */
	uint8_t socket_lb;	/* enum object_socket_lb */
	bool is_finished;	/* has no process any more */
};

struct object_namespace {
	struct object base;
	uint8_t socket_lb;
};

struct object *object_ref(const struct object *o);
void object_unref(struct object *o);
/* Same kind and same content (refs aside). */
bool object_equal(const struct object *a, const struct object *b);
/* "Service", "EndpointSlice", … */
const char *object_kind_name(enum object_kind kind);
/* Its options, or the defaults. */
const struct object_options *object_service_options(const struct object_service *s);
/* Of the endpoint with this index. */
const struct object_hints *object_slice_hints(const struct object_slice *s,
					      uint32_t endpoint);

static inline const struct object_service *object_as_service(const struct object *o)
{
	return (const struct object_service *)(const void *)o;
}

static inline const struct object_slice *object_as_slice(const struct object *o)
{
	return (const struct object_slice *)(const void *)o;
}

static inline const struct object_node *object_as_node(const struct object *o)
{
	return (const struct object_node *)(const void *)o;
}

static inline const struct object_pod *object_as_pod(const struct object *o)
{
	return (const struct object_pod *)(const void *)o;
}

static inline const struct object_namespace *object_as_namespace(const struct object *o)
{
	return (const struct object_namespace *)(const void *)o;
}

static inline const struct object_service_cidr *
object_as_service_cidr(const struct object *o)
{
	return (const struct object_service_cidr *)(const void *)o;
}
