/*
 * Tells the cluster what happened here, as Events (events.k8s.io/v1) in the
 * form that kube-proxy records them.  Best effort and bounded: what can't be
 * delivered is given up after some tries, and when too many wait, new ones are
 * dropped.  The same event again within six minutes becomes a series.
 */
#pragma once

#include <stddef.h>

struct ev_loop;
struct events;
struct http;

#define EVENTS_MAX_WAITING 64

struct event_spec {		     /* strings are borrowed for the call */
	const char *type;	     /* "Normal", "Warning" */
	const char *reason, *action; /* "FailedToStartServiceHealthcheck", "Listen" */
	const char *note;	     /* a sentence for people */
	/* what it is about; ns is "" for a Node */
	const char *kind, *ns, *name, *uid;
};

struct events *events_new(const char *node_name);
void events_free(struct events *e);
/* What was recorded before is sent from now on. Both are borrowed until events_free(). */
void events_start(struct events *e, struct ev_loop *loop, struct http *http);

void events_record(struct events *e, const struct event_spec *spec);

/* The body of a new Event; the caller frees it. at_us is Unix time. Exposed for tests. */
char *event_body(const struct event_spec *spec, const char *event_name,
		 const char *node_name, long long at_us);
