/*
 * The only place where cluster, plan, state and sinks meet.  Whoever changes
 * something marks; the sync decides when to run: the first change at once,
 * bursts gathered, failures later and later.  Sinks are told in order; one
 * that fails, and those after it, are stale and get everything next time.
 *
 * When a stranger changes what we made, everything is compared and repaired at
 * once; when that goes on and on, more and more slowly, up to once a second.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

struct cluster;
struct config;
struct dataplane;
struct ev_loop;
struct node_info;
struct state;
struct sync;

#define SYNC_MAX_TRIGGERS 256

enum sync_reason {
	SYNC_REASON_CHANGE,	 /* objects changed */
	SYNC_REASON_START,	 /* first run */
	SYNC_REASON_ENVIRONMENT, /* Node, ServiceCIDRs */
	SYNC_REASON_RETRY,	 /* a sink was stale */
	SYNC_REASON_FOREIGN,	 /* somebody else changed the kernel */
	SYNC_REASON_AUDIT,	 /* time to compare */
	SYNC_REASON_N,
};

const char *sync_reason_name(enum sync_reason reason);

/* One run that told the sinks something. */
struct sync_run {
	enum sync_reason reason;
	bool full;
	int err;
	size_t n_planned; /* Kubernetes Services */
	size_t n_changes; /* services: one for each port and family */
	uint64_t plan_us, apply_us, total_us;
	const int64_t *triggers; /* Unix time, us, of the slices that it carried */
	size_t n_triggers;
	bool touched[FAMILY_N];
};

struct sync_stats {
	uint64_t n_runs, n_full, n_failures, n_repairs;
	uint64_t n_planned;		    /* Services planned, ever */
	uint64_t n_changes[FAMILY_N];	    /* services changed, ever */
	int64_t oldest_queued_us[FAMILY_N]; /* waits since, Unix time; 0: nothing waits */
	int64_t last_queued_us[FAMILY_N], last_updated_us[FAMILY_N]; /* 0: never */
	struct sync_run last; /* without triggers */
};

struct sync_params { /* all borrowed until sync_free() */
	struct ev_loop *loop;
	const struct config *config;
	struct cluster *cluster;
	struct node_info *node_info;
	struct dataplane *dataplane;
	/* Called after each run; may be NULL. */
	void (*ran)(void *data, const struct sync_run *run);
	void *data;
};

struct sync *sync_new(const struct sync_params *params);
void sync_free(struct sync *s); /* sinks stay open */

/* From now on marks lead to runs. Before, they are only remembered. */
void sync_start(struct sync *s);

/* Something in the cluster or of node_info has changed. */
void sync_mark(struct sync *s);
/* Everything is to be compared, for this reason. */
void sync_mark_full(struct sync *s, enum sync_reason reason);

/* Runs now, marked or not; what the sinks answered. */
int sync_run(struct sync *s);

const struct state *sync_state(const struct sync *s);
struct sync_stats sync_stats(const struct sync *s);
/* Services that wait to be planned and told. */
size_t sync_n_pending(const struct sync *s);
