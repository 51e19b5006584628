/*
 * The endpoints of one port of a Service in one family, merged from all slices:
 * one for each address and port.
 *
 * An address can be in two slices: while a pod moves between slices, or because
 * a new pod has the address of a terminating one.  Endpoints that are not
 * terminating win over terminating ones, then local ones over remote ones, then
 * the last in the order of slice names (of terminating ones the first).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/service.h"
#include "watchers/objects.h"
#include "watchers/plan/plan.h"

struct merged {
	struct addr addr;
	uint16_t port;
	uint8_t flags; /* enum object_endpoint_flag */
	bool is_local; /* on our node */
	bool in_pool[POOL_N];
	uint32_t order; /* position in the slices */
	const struct object_endpoint *endpoint;
	const struct object_hints *hints; /* of the endpoint */
	const struct object_slice_port *slice_port;
	const char *down; /* by health checks, and why; NULL: it is not */
};

struct merged_list { /* embedded; reused scratch memory */
	struct merged *items;
	size_t n, cap;
};

struct slices { /* borrowed */
	const struct object_slice *const *items;
	size_t n;
	const char *node_name;
};

void merged_fini(struct merged_list *list);

/* Replaces the list. Sorted by address and port; not yet in a pool. */
void merged_collect(struct merged_list *list, const struct slices *slices,
		    enum family family, const char *port_name, uint8_t proto);

/*
 * Marks ready endpoints that health checks found down; they are no longer ready, unless
 * all are down.  health may be NULL.
 */
void merged_apply_health(struct merged_list *list, const struct object_service *s,
			 const struct plan_health *health);

/* How many distinct addresses on our node are ready, whatever the port. Uses the list as scratch. */
uint32_t merged_local_ready(struct merged_list *list, const struct object_service *s,
			    const struct slices *slices, enum family family,
			    const struct plan_health *health);

static inline bool merged_is_ready(const struct merged *m)
{
	return m->flags & OBJECT_ENDPOINT_READY;
}

/* Terminating but still serving: used if no endpoint is ready. */
static inline bool merged_is_fallback(const struct merged *m)
{
	return (m->flags & OBJECT_ENDPOINT_SERVING) &&
	       (m->flags & OBJECT_ENDPOINT_TERMINATING);
}
