/*
 * A client that keeps connections open and makes new ones all the time, and
 * counts what did not go well.  It runs in a process of its own.
 */
#pragma once

#include <stdint.h>

#include "tests/kernel/probe.h"

struct load_plan {
	struct target target; /* TCP */
	unsigned n_flows;     /* open all the time, each asked ten times a second */
	unsigned per_second;  /* new connections: connect, ask, close */
};

struct load_result {
	uint64_t n_connections, n_refused, n_silent, n_failed;
	uint64_t worst_us;     /* of the connections that were answered */
	uint64_t n_slow;       /* answered only after a SYN was sent again */
	uint64_t n_asked;      /* over open flows */
	uint32_t n_flows_open; /* how many are open right now */
	uint32_t n_flows_broken;
	char first_error[ANSWER_TEXT_LEN];
};

struct load;

/* All flows are open when this returns. */
struct load *load_start(const struct world *w, const struct load_plan *plan);
/* The counts up to now. */
struct load_result load_look(const struct load *l);
/* Waits until this many more connections have been made: time for things to go wrong. */
void load_wait(const struct load *l, uint64_t n_connections);
/* Makes no more connections, and waits for the end of those that were started. */
struct load_result load_stop(struct load *l);
/* Prints the counts; fails the test if a flow was broken or a connection not served. */
void load_expect_unbroken(const char *what, const struct load_result *r);
