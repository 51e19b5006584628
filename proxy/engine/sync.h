/*
 * The only place where cluster, plan, state and sinks meet.  A source marks
 * changes; the sync decides when to run: the first change immediately, bursts
 * gathered.  The sinks receive changes in order; see sink_set.h for failures.
 *
 * A change by another process is found and reverted immediately; if it
 * keeps changing it, less and less often, down to once a second.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "core/addr.h"

struct cluster;
struct config;
struct dataplane;
struct ev_loop;
struct node_info;
struct service;
struct sink;
struct sink_repair;
struct sink_set;
struct state;
struct sync;

#define SYNC_MAX_TRIGGERS 256
#define SYNC_MAX_PLANNED  2000 /* Services of one run, unless it is full */

enum sync_reason {
	SYNC_REASON_CHANGE,	 /* objects changed */
	SYNC_REASON_START,	 /* first run */
	SYNC_REASON_ENVIRONMENT, /* Node, ServiceCIDRs */
	SYNC_REASON_RETRY,	 /* a sink had failed, or refused services */
	SYNC_REASON_REPAIR,	 /* another process changed the rules or maps of a sink */
	SYNC_REASON_AUDIT,	 /* everything is compared periodically */
	SYNC_REASON_N,
};

const char *sync_reason_name(enum sync_reason reason);

/* One run. */
struct sync_run {
	enum sync_reason reason;
	bool full;	  /* for a vital sink */
	int err;	  /* of the vital sinks */
	size_t n_planned; /* Kubernetes Services */
	size_t n_changes; /* services: one for each port and family */
	uint64_t plan_us, apply_us, total_us;
	const int64_t *triggers; /* Unix time, us, of the slices that it carried */
	size_t n_triggers;
	bool touched[FAMILY_N];
};

struct sync_stats {
	uint64_t n_runs, n_full, n_failures; /* of vital sinks */
	uint64_t n_planned;		     /* Services planned, ever */
	uint64_t n_changes[FAMILY_N];	     /* services changed, ever */
	uint64_t waits_since_us[FAMILY_N]; /* a change, monotonic clock; 0: none waits */
	int64_t last_queued_us[FAMILY_N],
		last_updated_us[FAMILY_N]; /* Unix time; 0: never */
	struct sync_run last;		   /* without triggers */
	int64_t ended_us
		[SYNC_REASON_N]; /* the last run of each reason, Unix time; 0: none */
	int64_t repaired_us;	 /* the last repair, in a run of any reason */
};

struct sync_params { /* all borrowed until sync_free() */
	struct ev_loop *loop;
	const struct config *config;
	struct cluster *cluster;
	struct node_info *node_info;
	struct dataplane *dataplane;
	/* Called after each run; may be NULL. */
	void (*ran)(void *data, const struct sync_run *run);
	/* As in sink_set.h. */
	void (*refused)(void *data, const struct sink *sink,
			const struct service *service, const char *why);
	void (*repaired)(void *data, const struct sink_repair *repair);
	void *data;
	/* For tests: CLOCK_MONOTONIC and CLOCK_REALTIME, and random numbers; NULL: the real ones. */
	uint64_t (*clock_us)(void *clock_data, clockid_t clock);
	uint64_t (*random)(void *clock_data);
	void *clock_data;
};

struct sync *sync_new(const struct sync_params *params);
void sync_free(struct sync *s); /* sinks stay open */

/* From now on marks lead to runs; before, they are only kept. */
void sync_start(struct sync *s);

/* Something in the cluster or of node_info has changed. */
void sync_mark(struct sync *s);

/* Time left until the next run; UINT64_MAX: nothing is due. */
uint64_t sync_delay(const struct sync *s);
/* Runs now, due or not. 0, or the error of the vital sinks, see sink_set.h. */
int sync_run(struct sync *s);
/* Waits for the work that sinks do after a run. Without a loop. */
void sync_finish(struct sync *s);

const struct state *sync_state(const struct sync *s);
struct sync_stats sync_stats(const struct sync *s);
/* How the sinks are; for reading. */
const struct sink_set *sync_sinks(const struct sync *s);
/* A vital sink refuses this service: the kernel holds nothing of it. */
bool sync_is_refused(const struct sync *s, const struct service *service);
/* Services that wait to be planned. */
size_t sync_n_pending(const struct sync *s);
