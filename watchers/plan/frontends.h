/*
 * The frontends of one port of a Service in one family, and their decisions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/service.h"
#include "watchers/plan/plan.h"
#include "watchers/plan/topology.h"

/* The properties that all ports of a Service share in one family. */
struct exposure {
	const struct object_service *service;
	enum family family;
	bool external_local; /* externalTrafficPolicy Local, and it applies */
	bool has_addresses;  /* external ones: load balancer or externalIPs */
};

void exposure_init(struct exposure *e, const struct object_service *service,
		   enum family family, const struct plan_options *options);
/* The pools that a port may use. */
void exposure_pools(const struct exposure *e, const struct object_service_port *port,
		    bool ret_uses[POOL_N]);

struct frontend_list { /* embedded; reused scratch memory */
	struct frontend *items;
	size_t n, cap;
};

struct frontend_input {
	const struct exposure *exposure;
	const struct object_service_port *port;
	const struct selection *selection;
	const struct plan_options *options;
	bool is_limited;	     /* load balancer addresses have source ranges */
	const struct addr *nodeport; /* where node ports are; NULL: nowhere */
};

void frontend_list_fini(struct frontend_list *list);
/*
 * Replaces the list.  There is one frontend for each address and port.  For
 * duplicates the order is: cluster IP, load balancer (its source ranges must
 * apply), externalIPs, node ports.
 */
void frontend_list_fill(struct frontend_list *list, const struct frontend_input *in);
