/*
 * A sync with a vital sink and two that come after it, which take notes, by a
 * clock of the test's own.
 */
#pragma once

#include "core/buf.h"
#include "proxy/config/config.h"
#include "proxy/engine/dataplane.h"
#include "proxy/engine/sink_set.h"
#include "proxy/engine/sync.h"
#include "proxy/host/node_info.h"
#include "tests/unit/cluster_text.h"
#include "tests/unit/world.h"

#define MS	  1000ull /* in microseconds */
#define SEC	  1000000ull
#define NS	  1000ll /* of a microsecond */
#define MAX_NOTES 256

struct note {
	bool full;
	size_t n;
	bool has_old; /* in its first change */
	size_t n_node_changes;
	uint64_t at_us;
};

struct sync_world;

struct tape { /* a sink that takes notes and returns what the test says */
	struct sink sink;
	struct sync_world *world;
	int answer;
	const char *refuses; /* the name of a Service */
	struct note notes[MAX_NOTES];
	size_t n_notes;
	int fd; /* an eventfd, or -1 */
	unsigned
		n_disturbed; /* change sets during which another process makes a change */
	bool is_disturbed;   /* it has */
	int work_answer;     /* while `answer` is -EINPROGRESS */
	int work_fd;	     /* an eventfd */
};

struct sync_world {
	struct world base;
	struct config config;
	struct cluster *cluster;
	struct node_info node_info;
	struct dataplane dataplane;
	struct tape *first, *second, *third;
	struct sync *sync;
	size_t n_ran, n_repaired;
	struct buf refused;	  /* "NAME: why;", and "NAME served;" */
	uint64_t now_us, wall_us; /* monotonic, and how far the wall clock is ahead */
};

/* Of cmocka: the state is the world. The cluster is filled before the sync is made: that is for the first run. */
int sync_world_setup(void **state);
int sync_world_teardown(void **state);
#define SYNC_TEST(test)                                                                  \
	cmocka_unit_test_setup_teardown(test, sync_world_setup, sync_world_teardown)

/* A Service ns/NAME with this last octet of its cluster IP. */
void sync_world_put(struct sync_world *w, const char *name, int octet);
void sync_world_del(struct sync_world *w, const char *name);
/* Put, and marked as a source would. */
void sync_world_change(struct sync_world *w, const char *name, int octet);
void sync_world_make(struct sync_world *w);
/* Makes it; returns when the first run is over. */
void sync_world_start(struct sync_world *w);
/* The time passes, and everything that becomes due runs. */
void sync_world_pass(struct sync_world *w, uint64_t us);
const struct sink_state *sync_world_state(const struct sync_world *w, size_t index);

void tape_expect(const struct tape *tape, size_t index, bool full, size_t n);
const struct note *tape_last(const struct tape *tape);
