/*
 * Says who waits for what, and for whom, when the number of frontends that are
 * claimed twice changes.
 */
#pragma once

#include <stddef.h>

struct state;

struct conflict_log { /* embedded, zeroed */
	size_t n_told;
};

void conflict_log_update(struct conflict_log *log, const struct state *state);
