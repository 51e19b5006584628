/*
 * loadBalancerSourceRanges in one family: the clients that may use the load
 * balancer's addresses.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "watchers/plan/plan.h"

struct cidr_list { /* embedded; reused scratch memory */
	struct cidr *items;
	size_t n, cap;
};

void cidr_list_fini(struct cidr_list *list);

/*
 * Replaces the list.  An empty list allows all clients: there are no ranges of
 * this family, or one of them is /0.  node_ip is this node's address, or NULL.
 */
void source_ranges_fill(struct cidr_list *list, const struct object_service *service,
			enum family family, const struct addr *node_ip);
