/*
 * Finds stale UDP flows: those to a frontend of ours whose reply does not come
 * from a serving endpoint of the service that holds the frontend now.  Policy
 * and pools don't matter: a flow continues while its endpoint serves.
 *
 * It remembers the UDP frontends of earlier change sets, so that a full one shows
 * which were removed meanwhile.  Pure: no system call.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/changeset.h"
#include "core/cleanup.h"

struct flow_match;

struct flow_ends {
	struct addr src, dst;
	uint16_t src_port, dst_port;
};

/* A flow as conntrack has it: its ends, and those of the replies. */
struct flow {
	uint8_t proto;
	bool is_opening; /* TCP and SCTP: not answered yet */
	struct flow_ends original, reply;
};

struct flow_match *flow_match_new(void);
void flow_match_free(struct flow_match *m);
DEFINE_CLEANUP(struct flow_match *, flow_match_free);

/*
 * Reads the UDP services of a change set, and returns whether flows can have
 * become stale by it: a frontend was added or removed, or an endpoint stopped
 * serving. flow_match_end() must follow; the change sets before it add up.
 */
bool flow_match_begin(struct flow_match *m, const struct changeset *cs);
/* Can there be stale flows of this family? */
bool flow_match_has_family(const struct flow_match *m, enum family family);
bool flow_match_is_stale(struct flow_match *m, const struct flow *flow);
/* done: the stale flows were deleted. Otherwise the next change set should be a full one. */
void flow_match_end(struct flow_match *m, bool done);
