/*
 * Follows one kind of object on the API server into the cluster: a reflector
 * with its HTTP calls, its timer and its decoding.  Objects go into the cluster
 * as they arrive; no answer is ever kept whole.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "watchers/objects.h"
#include "watchers/reject.h"

struct cluster;
struct credentials;
struct ev_loop;
struct http;
struct informer;
struct outage;

struct informer_params { /* all borrowed until informer_free() */
	struct ev_loop *loop;
	struct http *http;
	struct credentials *credentials;
	struct outage *outage;
	struct cluster *cluster;
	const struct reject *reject;
	enum object_kind kind;
	const char *node_name; /* for the Node's field selector */
	bool is_optional;      /* without it, the rest still works */
	/* limit of silence in the middle of a list; 0: a minute; 2.5 times that in a watch */
	uint32_t stall_sec;
	void (*changed)(void *data); /* the cluster has been updated */
	void (*synced)(void *data);  /* informer_is_settled() may have become true */
	/* a call ended: its HTTP status (0: no answer) and method; may be NULL */
	void (*answered)(void *data, int status, const char *method);
	void *data;
};

struct informer *informer_new(const struct informer_params *params);
void informer_free(struct informer *i);

/* Starts the next call when it is due; also after credentials have become ready. */
void informer_go_on(struct informer *i);

/* The credentials have changed: a refused call is repeated immediately. */
void informer_retry(struct informer *i);
/* Another informer has reached the server: the next call waits for half a second at most. */
void informer_nudge(struct informer *i);

/* Everything has been read once; an optional kind may also have failed. */
bool informer_is_settled(const struct informer *i);
/* Lists after the first one. */
uint64_t informer_n_restarts(const struct informer *i);
/* Unix time since when calls have failed; 0: the last one was answered. */
int64_t informer_silent_since_us(const struct informer *i);
