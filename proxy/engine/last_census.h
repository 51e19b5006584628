/*
 * The last count of the current connections of all services, for those that read it
 * often and do not wait: /metrics and `top`.  Reading it starts the next count in the
 * background, if the last one started at least five seconds and 50 times its own duration ago.
 * So it takes at most 2 % of a core, whatever the number of connections, and nothing
 * while it is not read.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/hash.h"
#include "core/sink_view.h"

struct dataplane;
struct environment;
struct ev_loop;
struct last_census;
struct service;
struct state;

/* All borrowed. */
struct last_census *last_census_new(struct ev_loop *loop, const struct dataplane *dp,
				    const struct state *state,
				    const struct environment *env);
void last_census_free(struct last_census *l);

struct current {		     /* connections */
	struct hash services;	     /* those that have some; see current_of() */
	struct sink_flows all;	     /* the sum */
	bool has_bytes, has_packets; /* they are counted, or there was no connection */
	uint64_t age_us;	     /* since the count started, when it was read */
};

/*
 * NULL: not known, because the first count has not ended, the last one failed (which is
 * logged), or it was not read for minutes. Else valid until the loop continues.
 */
const struct current *last_census_read(struct last_census *l, uint64_t now_us);
/* The numbers are not known, but a count runs. */
bool last_census_is_pending(struct last_census *l, uint64_t now_us);
/* 0 also for a service that did not exist then. */
struct sink_flows current_of(const struct current *c, const struct service *s);
