/*
 * A source fills the cluster with objects and reports changes.  Everything happens
 * on the loop; start() may call back before it returns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "watchers/reject.h"

struct cluster;
struct config;
struct ev_loop;
struct event_spec;

struct source_events {
	/*
	 * Every kind of object has been read once, so that objects without a trace
	 * do not exist.  err: an object could not be read, and this was logged.
	 */
	void (*synced)(void *data, int err);
	void (*changed)(void *data); /* the cluster has been updated */
	void *data;
	/* a call to a server ended, status 0: without an answer; may be NULL */
	void (*answered)(void *data, int status, const char *method);
};

struct object_source;

/* The state of a source that reads from a server. */
struct source_api {
	const char *host;	   /* its host and port */
	uint64_t n_watch_restarts; /* a kind of object had to be listed again */
	int64_t silent_since_us;   /* Unix time since when calls fail; 0: they succeed */
};

struct source_ops {
	const char *name; /* "manifests", "api" */
	/* -errno if it cannot work at all, which has been logged. */
	int (*start)(struct object_source *source, struct ev_loop *loop,
		     const struct source_events *events);
	/* Reads all objects again (SIGHUP); NULL: it is always current. */
	void (*reread)(struct object_source *source);
	void (*close)(struct object_source *source); /* stops and frees */
	/* How many paths cannot be found or read now; NULL: there are none. */
	size_t (*n_missing)(const struct object_source *source);
	/* NULL: there is no server. */
	struct source_api (*api)(const struct object_source *source);
	/* A text that differs between servers, for the caller to free; NULL: no server. */
	char *(*identity)(const struct object_source *source);
	/* Kinds that were never read, and why, for messages; NULL: none. May be NULL. */
	char *(*unread)(const struct object_source *source);
	/* Records an Event, best effort, once it is started; NULL: not supported. */
	void (*record)(struct object_source *source, const struct event_spec *spec);
};

struct object_source { /* implementations embed it first */
	const struct source_ops *ops;
	bool runs_programs; /* after its start: credential plugins */
	bool wants_pods; /* set before its start: Pods and Namespaces are needed, too */
};

static inline void source_close(struct object_source *source)
{
	if (source)
		source->ops->close(source);
}

/* Manifest files and folders. cluster and reject must outlive it. */
struct object_source *source_manifests_new(const char *const *paths, size_t n,
					   struct cluster *cluster,
					   const struct reject *reject);

/* A Kubernetes API server; -errno if the configuration is invalid, which has been logged. */
int source_kube_new(const struct config *config, const char *node_name,
		    struct cluster *cluster, const struct reject *reject,
		    struct object_source **ret);
