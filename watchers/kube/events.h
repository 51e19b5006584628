/*
 * Posts Events (events.k8s.io/v1) in the form in which kube-proxy records them.
 * Best effort and bounded: each is posted once, and when too many are waiting,
 * new ones are dropped.  The same event within six minutes is not posted again.
 */
#pragma once

struct events;
struct http;

#define EVENTS_MAX_WAITING 64

struct event_spec {		     /* strings are borrowed for the call */
	const char *type;	     /* "Normal", "Warning" */
	const char *reason, *action; /* "FailedToStartServiceHealthcheck", "Listen" */
	const char *note;	     /* the message */
	/* the object; ns is "" for a Node */
	const char *kind, *ns, *name, *uid;
};

struct events *events_new(const char *node_name);
void events_free(struct events *e);
/* Posts the events, also those recorded so far. http is borrowed until events_free(). */
void events_start(struct events *e, struct http *http);

void events_record(struct events *e, const struct event_spec *spec);

/* The body of a new Event; the caller frees it. at_us is Unix time. Exposed for tests. */
char *event_body(const struct event_spec *spec, const char *event_name,
		 const char *node_name, long long at_us);
