/*
 * Finds new claims of an address and port that another Service has, when claims have
 * changed, and logs them; if they keep changing, only now and then.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/log_limiter.h"

struct state;
struct state_conflict;

struct conflict_log {	  /* embedded, zeroed */
	uint64_t version; /* of the claims at the last update */
	uint64_t *known;  /* hashes of all of them, sorted */
	size_t n_known;
	struct log_limiter limiter;
	/* A claim that is new; may be NULL. */
	void (*found)(void *data, const struct state_conflict *conflict);
	void *data;
};

void conflict_log_fini(struct conflict_log *log);
void conflict_log_update(struct conflict_log *log, const struct state *state);
