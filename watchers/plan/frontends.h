/*
 * Where one port of a Service can be reached in one family, and what happens
 * there to whom.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/service.h"
#include "watchers/plan/plan.h"
#include "watchers/plan/topology.h"

/* What of a Service is the same for all its ports in one family. */
struct exposure {
	const struct object_service *service;
	enum family family;
	bool external_local; /* externalTrafficPolicy Local, and it has a meaning here */
	bool has_addresses;  /* external ones: load balancer or externalIPs */
};

void exposure_init(struct exposure *e, const struct object_service *service,
		   enum family family, const struct plan_options *options);
/* Which pools a port of it can need at all. */
void exposure_pools(const struct exposure *e, const struct object_service_port *port,
		    bool ret_uses[POOL_N]);

struct frontend_list { /* embedded; scratch that is used again and again */
	struct frontend *items;
	size_t n, cap;
};

struct frontend_input {
	const struct exposure *exposure;
	const struct object_service_port *port;
	const struct selection *selection;
	const struct plan_options *options;
	bool is_limited;	      /* load balancer addresses have source ranges */
	const struct addr *nodeports; /* addresses that serve node ports */
	size_t n_nodeports;
};

void frontend_list_fini(struct frontend_list *list);
/*
 * What was in the list goes.  One frontend for each address and port: where a
 * Service names an address twice, the cluster IP stays before the load
 * balancer's (whose source ranges must hold), externalIPs, node ports.
 */
void frontend_list_fill(struct frontend_list *list, const struct frontend_input *in);
