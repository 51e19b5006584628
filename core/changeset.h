/*
 * The input of a sink.  Either a delta (old -> new for each service that
 * changed, and changed node addresses), or full: these are all services; the sink
 * removes everything else that it ever made.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"
#include "core/environment.h"
#include "core/service.h"

struct change {
	const struct service
		*old; /* NULL: the sink holds nothing of it; always, when full */
	const struct service *new; /* NULL: removed */
};

/* An address that env->node_addresses has now, or has no longer. */
struct node_change {
	struct addr addr;
	bool is_added;
};

struct changeset {
	bool full;
	const struct environment *env;
	const struct change *changes;
	size_t n;
	/*
	 * Of a delta.  Frontends at all node addresses move with them, their services
	 * are not among the changes.
	 */
	const struct node_change *node_changes;
	size_t n_node_changes;
	/* A new service is left out; why is for the log, NULL: nothing to log. May be NULL. */
	void (*refuse)(void *data, const struct service *service, const char *why);
	void *data;
};

/* For sinks, see there: the sink holds nothing of this service. */
static inline void changeset_refuse(const struct changeset *cs,
				    const struct service *service, const char *why)
{
	if (cs->refuse)
		cs->refuse(cs->data, service, why);
}
