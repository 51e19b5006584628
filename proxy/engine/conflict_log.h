/*
 * Logs which Services claim the same address and port, when the number of such
 * claims changes; if it keeps changing, only now and then.
 */
#pragma once

#include <stddef.h>

#include "core/log_limiter.h"

struct state;

struct conflict_log { /* embedded, zeroed */
	size_t n;     /* claims at the last update */
	struct log_limiter limiter;
};

void conflict_log_update(struct conflict_log *log, const struct state *state);
