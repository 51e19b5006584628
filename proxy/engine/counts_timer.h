/*
 * Reads the counters of all services every ten seconds, in steps of about a
 * millisecond, so that a loss of the kernel's tables costs little, and rates are
 * known.  Endpoints are read only for services that had connections since.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct counts;
struct environment;
struct state;

struct counts_timer { /* embedded */
	ev_timer timer;
	struct counts *counts; /* all borrowed */
	const struct state *state;
	const struct environment *env;
	size_t next; /* service of this round */
	uint64_t started_us;
};

void counts_timer_init(struct counts_timer *t, struct counts *counts,
		       const struct state *state, const struct environment *env);
void counts_timer_start(struct counts_timer *t, struct ev_loop *loop);
void counts_timer_stop(struct counts_timer *t, struct ev_loop *loop);
