/*
 * The sinks of a data plane, in order, with the state of each.  A sink that fails
 * delays only those that come after it.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/engine/dataplane.h"
#include "proxy/engine/sink_state.h"

struct changeset;
struct service;
struct state;

struct sink_set { /* embedded, all borrowed */
	const struct dataplane *dataplane;
	const struct state *state; /* of which full change sets are made */
	uint64_t (*now_us)(void *data);
	/* Some sink is due earlier than before. */
	void (*changed)(void *data);
	/*
	 * A sink refuses a service that it did not refuse before; why: "" if that is not
	 * known. NULL: it serves it again. May be NULL itself.
	 */
	void (*refused)(void *data, const struct sink *sink,
			const struct service *service, const char *why);
	/* A sink has undone a change of another process. May be NULL. */
	void (*repaired)(void *data, const struct sink_repair *repair);
	void *data;
	struct sink_state states[DATAPLANE_MAX_SINKS]; /* of dataplane->sinks[i] */
};

/* The other fields are set before. */
void sink_set_init(struct sink_set *set, uint64_t first_backoff_us,
		   uint64_t max_backoff_us);
void sink_set_fini(struct sink_set *set);
/* Watches for changes made by other processes. */
void sink_set_start(struct sink_set *set, struct ev_loop *loop);
void sink_set_stop(struct sink_set *set, struct ev_loop *loop);

/* Waits until the sinks have completed their work. */
void sink_set_finish(struct sink_set *set);

/* Time left until a sink is due without a change; UINT64_MAX: none is. */
uint64_t sink_set_delay(const struct sink_set *set, uint64_t random);
/* Some sink is due because another process changed its rules or maps. */
bool sink_set_is_changed(const struct sink_set *set);

/* How the vital sinks are after a run. */
struct sink_set_result {
	int err;	 /* of a vital sink: the first failure, else -EREMOTEIO, else 0 */
	bool has_failed; /* one failed now */
	bool is_full;	 /* one got a full change set */
};

/* Applies a change set (delta or full) to the sinks, and repeats the work that is due. */
struct sink_set_result sink_set_apply(struct sink_set *set, const struct changeset *cs,
				      uint64_t random);
