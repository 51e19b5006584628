/*
 * Selects the merged endpoints that this node uses for a service port: the
 * cluster pool (reduced by topology hints), the node-local pool, and a fallback
 * to terminating endpoints if none is ready.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "watchers/plan/endpoints.h"

enum topology { TOPOLOGY_ANY, TOPOLOGY_SAME_NODE, TOPOLOGY_SAME_ZONE };

struct selection {
	/* in */
	bool uses[POOL_N];
	bool use_node_hints;
	const char *node_name, *zone; /* "" when unknown */
	/* out */
	enum topology topology; /* limit of the cluster pool, by hints */
	bool has_any;		/* there is a usable endpoint on some node */
	size_t n_pool[POOL_N];
};

/* Fills in_pool of the endpoints and the "out" half of the selection. */
void topology_select(struct selection *sel, struct merged_list *list);

/* Why an endpoint is in its pools, or in none; static text. */
const char *topology_reason(const struct selection *sel, const struct merged *m);
