/*
 * Hints are used only if every ready endpoint has one and at least one names this
 * node (or its zone), because a controller may have written only some of them.
 * The fallback to terminating endpoints ignores hints.  Each pool falls back
 * independently.
 */
#include "watchers/plan/topology.h"

#include <string.h>

/* list: consecutive strings, ended by an empty one. */
static bool list_has(const char *list, const char *what)
{
	for (; *list; list += strlen(list) + 1)
		if (!strcmp(list, what))
			return true;
	return false;
}

struct hint_count {
	size_t n_ready, n_with_node, n_with_zone;
	bool names_node, names_zone;
};

static enum topology topology_of(const struct selection *sel,
				 const struct merged_list *list)
{
	struct hint_count c = {0};

	for (size_t i = 0; i < list->n; i++) {
		const struct object_hints *hints = list->items[i].hints;

		if (!merged_is_ready(&list->items[i]))
			continue;
		c.n_ready++;
		c.n_with_node += *hints->nodes != '\0';
		c.n_with_zone += *hints->zones != '\0';
		c.names_node = c.names_node || list_has(hints->nodes, sel->node_name);
		c.names_zone = c.names_zone || list_has(hints->zones, sel->zone);
	}
	if (sel->use_node_hints && c.names_node && c.n_with_node == c.n_ready)
		return TOPOLOGY_SAME_NODE;
	if (c.names_zone && c.n_with_zone == c.n_ready)
		return TOPOLOGY_SAME_ZONE;
	return TOPOLOGY_ANY;
}

static bool is_near(const struct selection *sel, const struct merged *m)
{
	switch (sel->topology) {
	case TOPOLOGY_ANY:
		return true;
	case TOPOLOGY_SAME_NODE:
		return list_has(m->hints->nodes, sel->node_name);
	case TOPOLOGY_SAME_ZONE:
		return list_has(m->hints->zones, sel->zone);
	}
	return true;
}

static bool is_candidate(const struct selection *sel, enum pool pool,
			 const struct merged *m)
{
	return pool == POOL_LOCAL ? m->is_local : is_near(sel, m);
}

/* Hints do not apply to terminating endpoints. */
static bool is_fallback_candidate(enum pool pool, const struct merged *m)
{
	return merged_is_fallback(m) && (pool == POOL_CLUSTER || m->is_local);
}

static void fill_pool(struct selection *sel, struct merged_list *list, enum pool pool)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		struct merged *m = &list->items[i];

		m->in_pool[pool] = merged_is_ready(m) && is_candidate(sel, pool, m);
		n += m->in_pool[pool];
	}
	for (size_t i = 0; n == 0 && i < list->n; i++)
		list->items[i].in_pool[pool] =
			is_fallback_candidate(pool, &list->items[i]);
	sel->n_pool[pool] = 0;
	for (size_t i = 0; i < list->n; i++)
		sel->n_pool[pool] += list->items[i].in_pool[pool];
}

void topology_select(struct selection *sel, struct merged_list *list)
{
	sel->has_any = false;
	for (size_t i = 0; i < list->n; i++)
		sel->has_any = sel->has_any || merged_is_ready(&list->items[i]) ||
			       merged_is_fallback(&list->items[i]);
	sel->topology = TOPOLOGY_ANY;
	if (sel->uses[POOL_CLUSTER])
		sel->topology = topology_of(sel, list);
	for (enum pool pool = 0; pool < POOL_N; pool++) {
		sel->n_pool[pool] = 0;
		if (sel->uses[pool])
			fill_pool(sel, list, pool);
	}
}

static const char *const far_reasons[] = {
	[TOPOLOGY_ANY] = "ready, but on another node (policy Local)",
	[TOPOLOGY_SAME_NODE] = "ready, but hints keep traffic on this node",
	[TOPOLOGY_SAME_ZONE] = "ready, but hints keep traffic in this zone",
};

const char *topology_reason(const struct selection *sel, const struct merged *m)
{
	bool is_in = m->in_pool[POOL_CLUSTER] || m->in_pool[POOL_LOCAL];

	if (m->down)
		return is_in ? "down, but used because all are" : "down";
	if (merged_is_ready(m))
		return is_in ? "ready" : far_reasons[sel->topology];
	if (is_in)
		return "terminating but still serving, and nothing is ready";
	if (merged_is_fallback(m))
		return "terminating, and others are there";
	if (m->flags & OBJECT_ENDPOINT_TERMINATING)
		return "terminating, no longer serving";
	return "not ready";
}
