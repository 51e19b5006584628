/*
 * Manifests in a folder that are followed: real inotify on a real loop.
 */
#pragma once

#include "core/buf.h"
#include "core/cleanup.h"
#include "tests/unit/world.h"
#include "watchers/cluster.h"
#include "watchers/files/files.h"

struct files_world {
	struct world base;
	const char *const *steps; /* of the test, or NULL */
	struct cluster *cluster;
	struct files *files;
	ev_timer tick;
	struct buf reports;
	struct reject reject;
	unsigned n_changed;
	char watched[64]; /* a Service that must not be missing; "" is none */
	bool has_blinked;
};

/* Of cmocka; the initial state is the steps or NULL. */
int files_world_setup(void **state);
int files_world_teardown(void **state);

/* A path in the folder; good until the eighth call from now. */
const char *files_at(const struct files_world *w, const char *name);
/* A Service with this cluster IP as YAML; freed by the caller. Or in a file. */
char *files_service_text(const char *name, const char *ip);
void files_world_write(const struct files_world *w, const char *file, const char *name,
		       const char *ip);
/* A folder as kubelet mounts a ConfigMap: a new version, with web.yaml. */
void files_world_swap(const struct files_world *w, const char *version, const char *name,
		      const char *ip);

/* For files_start(): counts, and looks whether the watched Service is missing. */
void files_world_changed(void *data);
/* Reads the paths, with this result; and follows the path. */
void files_world_read(struct files_world *w, int err, const char *const *paths, size_t n);
void files_world_follow(struct files_world *w, int err, const char *path);

/* The Service's cluster IP, or "" when there is none of this name. */
const char *files_world_ip(const struct files_world *w, const char *service);
/* Runs the loop until the Service has this cluster IP ("": is gone). */
void files_world_await(const struct files_world *w, const char *service, const char *ip);
/* Runs the loop for so long. */
void files_world_pause(const struct files_world *w, double sec);
/* Runs the loop until a file written now is noticed, and all that was before it. */
void files_world_settle(const struct files_world *w);
/* How many reports have the text in them. */
size_t files_world_n_reported(const struct files_world *w, const char *what);
