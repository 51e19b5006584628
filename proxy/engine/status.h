/*
 * The state of the daemon as one JSON object, for `sluice status` and /status: in
 * sync or not and since when, the mode and why, the source, the last runs, counts,
 * and what needs attention.
 *
 * In sync: all objects have been read and are programmed, no sink lacks changes, and
 * the source answers. A change counts as missing when it has waited for a second.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/nf_chain.h"

struct engine;

struct status { /* embedded; the first four are set before, borrowed */
	const struct engine *engine;
	/* Reports every chain of netfilter on this host; NULL: they are not looked at. */
	int (*list_chains)(nf_chain_fn fn, void *data);
	bool (*is_healthy)(void *data); /* as /healthz says */
	void *data;
	bool is_in_sync; /* at the last update */
	int64_t since_us;
};

/* After each run, so that the time since when is known. */
void status_update(struct status *s);
json_t *status_json(struct status *s);
/* One line: "in sync, 12 Services", "not in sync: PROBLEM". The caller frees it. */
char *status_line(struct status *s);
