/*
 * Finds new claims of an address and port that another Service has, when the number of
 * claims changes, and logs them; if it keeps changing, only now and then.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/log_limiter.h"

struct state;
struct state_conflict;

#define CONFLICT_LOG_KNOWN 1000

struct conflict_log {			    /* embedded, zeroed */
	size_t n;			    /* claims at the last update */
	uint64_t known[CONFLICT_LOG_KNOWN]; /* hashes of the first ones */
	size_t n_known;
	struct log_limiter limiter;
	/* A claim that is new; may be NULL. */
	void (*found)(void *data, const struct state_conflict *conflict);
	void *data;
};

void conflict_log_update(struct conflict_log *log, const struct state *state);
