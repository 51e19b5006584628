/*
 * All Kubernetes policy: a pure function from objects, node and options to
 * services.  The rules are kube-proxy 1.36's, see docs/SEMANTICS.md.
 * No clock, no system call, no global.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/environment.h"
#include "core/service.h"
#include "watchers/objects.h"

struct cluster;
struct reject;
struct state;

/*
 * The health of endpoints by active checks: of those of TCP ports, for Services that
 * ask for it.  Both functions are called while Services are planned.
 */
struct plan_health {
	/* The Service as it is planned now; NULL: it is deleted, or not served. */
	void (*planned)(void *data, const char *ns, const char *name,
			const struct object_service *s,
			const struct object_slice *const *slices, size_t n_slices);
	/*
	 * Why the endpoint is down; NULL: it is up, or not known yet. The text is valid
	 * until the loop's next event.
	 */
	const char *(*why_down)(void *data, const struct object_service *s,
				const struct addr *addr, uint16_t port);
	void *data;
};

/* --nodeport-addresses, parsed */
struct nodeport_addresses {
	bool primary, localhost, all; /* keywords */
	struct cidr *cidrs;
	size_t n_cidrs;
};
/* "" is the default (primary). One line in *ret_error (caller frees) on -EINVAL. */
int nodeport_addresses_parse(const char *const *items, size_t n,
			     struct nodeport_addresses *ret, char **ret_error);
void nodeport_addresses_fini(struct nodeport_addresses *np);

struct plan_options {
	const char *node_name;
	enum pod_detector detector;
	bool has_detector[FAMILY_N]; /* a detector exists for the family */
	bool masquerade_all;
	bool use_node_hints;	 /* gate PreferSameTrafficDistribution, on by default */
	bool allow_external_ips; /* gate AllowServiceExternalIPs, on by default */
	const struct nodeport_addresses *nodeports;
	/*
	 * Addresses on this host's interfaces.  Node ports are everywhere if several
	 * are selected, or with keep_nodeports; see struct frontend.
	 */
	const struct addr *host_addresses;
	size_t n_host_addresses;
	bool keep_nodeports;
	bool loopback_nodeports; /* the data plane can serve them; nftables can't */
	/* the primary node address by family, from the Node or --bind-address; unspecified when unknown */
	struct addr node_ip[FAMILY_N];
	const struct reject *reject; /* gets a Service over its budget; may be NULL */
	const struct plan_health *health; /* NULL: nothing is checked */
	/* After this name was planned, also without a Service; NULL: not called. */
	void (*planned)(void *data, const char *ns, const char *name);
	void *planned_data;
};

/*
 * Plans at most max dirty Services of the cluster into the state; returns how many.
 * Each becomes at most ports x families services; none if it is hidden, headless, …
 * or over its budget.
 */
size_t plan_dirty(struct cluster *cluster, const struct plan_options *options,
		  struct state *state, size_t max);

/* The host addresses that serve node ports; the caller frees the array. */
struct addr *plan_nodeport_addresses(const struct plan_options *options,
				     const struct object_node *node, enum family family,
				     size_t *ret_n);
/* Where node ports are: the only one of these, or unspecified; false if there are none. */
bool plan_nodeport_address(const struct plan_options *options,
			   const struct object_node *node, enum family family,
			   struct addr *ret);

/* The reason why an endpoint is in or out of a pool, for `explain`. */
struct plan_endpoint_reason {
	struct addr addr;
	uint16_t port;
	const char *node;
	bool in_cluster_pool, in_local_pool;
	const char
		*reason; /* static text: "ready", "not ready", "other zone (hints)", … */
	const char *down; /* by health checks, and why; valid as that of plan_health */
};
/* For one port and family of a Service; the caller frees the array. */
struct plan_endpoint_reason *plan_explain(const struct object_service *svc,
					  const struct object_slice *const *slices,
					  size_t n_slices, const struct object_node *node,
					  const struct plan_options *options,
					  const char *port_name, uint8_t proto,
					  enum family family, size_t *ret_n);
