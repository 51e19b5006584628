/*
 * loadBalancerSourceRanges in one family: who may use the load balancer's
 * addresses.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "watchers/plan/plan.h"

struct cidr_list { /* embedded; scratch that is used again and again */
	struct cidr *items;
	size_t n, cap;
};

void cidr_list_fini(struct cidr_list *list);

/*
 * What was in the list goes.  Empty means "everybody": no ranges of this
 * family, or one that is everything.  node_ip is this node's address, or NULL.
 */
void source_ranges_fill(struct cidr_list *list, const struct object_service *service,
			enum family family, const struct addr *node_ip);
