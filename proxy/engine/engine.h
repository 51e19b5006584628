/*
 * Everything between the source and the kernel: the objects, the facts of this
 * node, the data plane and the sync that drives it.  Nothing is programmed
 * before all input is complete; the rules of an earlier run serve meanwhile.  Where
 * there are none, the last known objects are programmed (engine_saved.h).
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "proxy/engine/counts_timer.h"
#include "proxy/engine/dataplane.h"
#include "proxy/engine/endpoint_health.h"
#include "proxy/engine/left_out_log.h"
#include "proxy/host/node_info.h"

struct checker;
struct checker_endpoint;
struct cluster;
struct config;
struct counts;
struct host_addresses;
struct last_census;
struct netns_lock;
struct object_source;
struct parts;
struct plane;
struct rejections;
struct saver;
struct sink_repair;
struct sync;
struct sync_run;

struct engine_hooks {
	/* The source has reported everything once; err: it could not read something. */
	void (*synced)(void *data, int err);
	/* The input is complete: start the sync, or run it. */
	void (*ready)(void *data);
	/* It will not be: end the loop. */
	void (*failed)(void *data, int err);
	/* These may be NULL. */
	void (*ran)(void *data, const struct sync_run *run);
	void (*answered)(void *data, int status, const char *method);
	/* A sink refuses a service, or serves it again; see sink_set.h. */
	void (*refused)(void *data, const struct sink *sink,
			const struct service *service, const char *why);
	/* A sink has undone a change of another process. */
	void (*repaired)(void *data, const struct sink_repair *repair);
	/*
	 * A health check took an endpoint out, or back in, of a service port like this one;
	 * NULL: its Service has none.
	 */
	void (*checked)(void *data, const struct checker_endpoint *endpoint,
			const struct service *service);
	void *data;
};

struct engine { /* embedded, zeroed before engine_open() */
	struct engine_hooks hooks;
	const struct config *config;
	struct ev_loop *loop;
	char *node_name;
	struct netns_lock *lock;
	struct cluster *cluster;
	struct rejections *rejections;
	struct left_out_log left_out;
	struct checker *checker;
	struct endpoint_health endpoint_health;
	struct node_info node_info;
	struct host_addresses *hosts;
	const struct parts *parts;
	const struct plane *plane; /* in use */
	struct buf plane_why;	   /* with auto: why this one */
	struct dataplane dataplane;
	struct counts *counts; /* of its sinks */
	struct counts_timer counts_timer;
	struct last_census *last_census;
	struct sync *sync;
	struct object_source *source;
	ev_timer pod_cidr_timer;
	bool is_synced, is_ready;
	struct engine_saved {
		bool is_wanted;	     /* set before engine_start() */
		struct saver *saver; /* NULL: off */
		ev_timer patience;
		int64_t written_us; /* of the objects that were loaded; 0: none */
		int64_t since_us; /* they are programmed, Unix time; 0: not, or no more */
	} saved;
	uint64_t opened_us; /* monotonic clock */
};

/* Starts nothing. 0, or -errno, logged. engine_close() follows in any case. */
int engine_open(struct engine *e, const struct config *config, const struct parts *parts,
		const struct engine_hooks *hooks);
/* After a hand-over: true once the daemon before this one has released its lock. */
bool engine_take_lock(struct engine *e);
/* After the first good run: removes the rules and maps of other modes. */
void engine_cleanup_others(const struct engine *e);
/* The source may call back, and all may be ready, before it returns. */
int engine_start(struct engine *e);
/*
 * Why nothing has been programmed so far, a sentence that the caller frees; NULL
 * once the first sync has run.
 */
char *engine_unready(const struct engine *e);
/* With NodeCIDR, an API server's Node that has none yet will get some. */
bool engine_lacks_pod_cidr(const struct engine *e);
void engine_close(struct engine *e);
