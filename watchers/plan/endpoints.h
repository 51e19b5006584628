/*
 * The endpoints behind one port of a Service in one family, merged from all
 * slices: one for each address and port.
 *
 * An address may be there twice: while a pod moves between slices, or because
 * the network gave a dying pod's address to a new one.  Then what is not
 * terminating counts before what is, what is on our node before what isn't, and
 * among the rest the last (of the terminating the first; slices come sorted by
 * name), as far as kube-proxy defines it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/service.h"
#include "watchers/objects.h"

struct merged {
	struct addr addr;
	uint16_t port;
	uint8_t flags; /* enum object_endpoint_flag */
	bool is_local; /* on our node */
	bool in_pool[POOL_N];
	uint32_t order; /* in which it was met */
	const struct object_endpoint *endpoint;
	const struct object_slice_port *slice_port;
};

struct merged_list { /* embedded; scratch that is used again and again */
	struct merged *items;
	size_t n, cap;
};

struct slices { /* borrowed */
	const struct object_slice *const *items;
	size_t n;
	const char *node_name;
};

void merged_fini(struct merged_list *list);

/* What was in the list goes. Sorted by address and port; in no pool yet. */
void merged_collect(struct merged_list *list, const struct slices *slices,
		    enum family family, const char *port_name, uint8_t proto);

/* How many distinct addresses on our node are ready, whatever the port. Uses the list as scratch. */
uint32_t merged_local_ready(struct merged_list *list, const struct slices *slices,
			    enum family family);

static inline bool merged_is_ready(const struct merged *m)
{
	return m->flags & OBJECT_ENDPOINT_READY;
}

/* On its way out, but still answering: of use when nothing is ready. */
static inline bool merged_is_fallback(const struct merged *m)
{
	return (m->flags & OBJECT_ENDPOINT_SERVING) &&
	       (m->flags & OBJECT_ENDPOINT_TERMINATING);
}
