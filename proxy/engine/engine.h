/*
 * All that lies between the source and the kernel: the objects, what is known
 * of this node, the data plane and the sync that drives it.  Nothing is
 * programmed until everything is known that decides; what an earlier run left
 * in the kernel goes on serving meanwhile.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/engine/dataplane.h"
#include "proxy/engine/left_out_log.h"
#include "proxy/host/node_info.h"

struct cluster;
struct config;
struct host_addresses;
struct netns_lock;
struct object_source;
struct parts;
struct rejections;
struct sync;
struct sync_run;

struct engine_hooks {
	/* The source has told everything once; err: it could not read something. */
	void (*synced)(void *data, int err);
	/* Programming may begin: the sync is to be started, or run. */
	void (*ready)(void *data);
	/* It will not: the loop is to end. */
	void (*failed)(void *data, int err);
	/* These may be NULL. */
	void (*ran)(void *data, const struct sync_run *run);
	void (*answered)(void *data, int status, const char *method);
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
	struct node_info node_info;
	struct host_addresses *hosts;
	struct dataplane dataplane;
	struct sync *sync;
	struct object_source *source;
	ev_timer pod_cidr_timer;
	bool is_synced, is_ready;
	int64_t opened_us; /* Unix time */
};

/* Without starting anything; told when it fails. engine_close() is due in any case. */
int engine_open(struct engine *e, const struct config *config, const struct parts *parts,
		const struct engine_hooks *hooks);
/* The source may call back, and all may be ready, before it returns. */
int engine_start(struct engine *e);
/*
 * Why nothing has been programmed so far, a sentence that the caller frees; NULL
 * once the first sync has run.
 */
char *engine_unready(const struct engine *e);
void engine_close(struct engine *e);
