/*
 * The state of one sink of a set: changes that it lacks, services that it refused,
 * changes made by other processes, and when it is applied next.  Others may read the
 * fields; sink_set*.c alone change them, with the functions below.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/backoff.h"
#include "core/log_limiter.h"
#include "proxy/engine/refused.h"
#include "proxy/engine/repair_pacer.h"

struct changeset;
struct sink;
struct sink_set;

/* A change of another process that was undone. */
struct sink_repair {
	const char *by;	      /* the process */
	const char *restored; /* the objects, or "" */
	uint64_t took_us;
};

struct sink_state {
	struct sink_set *set;
	ev_io io, work_io;
	bool is_working;	/* its last change set is not complete */
	bool is_stale;		/* it lacks changes: the next change set is full */
	bool is_changed;	/* by another process: the next one is full, too */
	int err;		/* why its last change set failed */
	uint64_t failed_us;	/* when it started to fail */
	struct backoff backoff; /* after failures */
	struct repair_pacer repair;
	struct log_limiter repair_lines;
	struct refused refused;
	struct backoff refused_backoff;
	bool has_new_refused; /* in the change set being applied */
	unsigned n_logged;    /* refusals of it */
	uint64_t n_failures, n_repairs, n_refused;
};

/* It lacks everything at first. */
void sink_state_init(struct sink_state *s, struct sink_set *set,
		     const struct backoff *backoff);
void sink_state_fini(struct sink_state *s);

struct sink *sink_state_sink(const struct sink_state *s);
/* The sink that must be up to date before is not. */
bool sink_state_must_wait(const struct sink_state *s);
/* Time left until it is due without a change; UINT64_MAX: it is not. */
uint64_t sink_state_delay(const struct sink_state *s, uint64_t random);

/* sink_apply(), with a note of each service that the sink refuses. */
int sink_state_apply(struct sink_state *s, const struct changeset *cs);
/* The services of a change set that the last apply did not refuse are refused no longer. */
void sink_state_settle_refused(struct sink_state *s, const struct changeset *cs);
/* When refused services are tried next, after a change set that had them. */
void sink_state_pace_refused(struct sink_state *s);

/* The result of a change set, or of the work that it left. Logs the start and the end of a failure. */
void sink_state_note_result(struct sink_state *s, int err);
/* A change of another process was undone by the change set that started at start_us. */
void sink_state_note_repair(struct sink_state *s, uint64_t start_us);
