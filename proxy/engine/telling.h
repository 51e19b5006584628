/*
 * Tells the sinks of a data plane what changed, in order.  One that fails, and
 * those after it, are stale and get everything next time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/engine/dataplane.h"

struct changeset;
struct state;

struct telling { /* embedded; borrows both */
	struct dataplane *dataplane;
	const struct state *state; /* what "everything" is */
	uint64_t retry_us;	   /* a failure is made up for within, for the log */
	bool is_stale[DATAPLANE_MAX_SINKS];
};

bool telling_has_stale(const struct telling *t);
/*
 * delta is for those that hold what they were told before. 0, -EREMOTEIO (some
 * services were refused), or the first other error; each has been told.
 */
int telling_tell(struct telling *t, const struct changeset *delta);
