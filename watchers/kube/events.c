/*
 * A ring of the last events.  They are posted in order, one call at a time;
 * afterwards they are kept to recognise repetitions.
 */
#include "watchers/kube/events.h"

#include <ev.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "watchers/kube/http.h"

#define REPEAT_US    (6 * 60 * 1000000ull) /* the same event is not posted again sooner */
#define CALL_MAX_SEC 15
#define NOTE_MAX_LEN 1024 /* the API's own limit */

struct record { /* key NULL: unused */
	char *key, *path, *body;
	uint64_t at_us; /* monotonic clock */
};

struct events {
	struct http *http; /* NULL: not started */
	char *node_name;
	struct record records[EVENTS_MAX_WAITING];
	size_t n_recorded,
		n_posted; /* since the start; records[n % EVENTS_MAX_WAITING] */
	struct http_call *call;
	int status;
	bool has_dropped;
};

char *event_body(const struct event_spec *spec, const char *event_name,
		 const char *node_name, long long at_us)
{
	_cleanup_(freep) char *instance = xasprintf("kube-proxy-%s", node_name);
	_cleanup_(freep) char *note =
		xstrndup(spec->note, strnlen(spec->note, NOTE_MAX_LEN));
	char at[CLOCK_TEXT_LEN], *text;
	json_t *body;

	(void)clock_format(at_us, at); /* MicroTime of the API: always six digits */
	body = json_pack("{s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:s, s:s, s:s, s:s, s:s, "
			 "s:{s:s, s:s, s:s, s:s, s:s}}",
			 "apiVersion", "events.k8s.io/v1", "kind", "Event", "metadata",
			 "name", event_name, "namespace",
			 *spec->ns ? spec->ns : "default", "eventTime", at,
			 "reportingController", "kube-proxy", "reportingInstance",
			 instance, "action", spec->action, "reason", spec->reason, "note",
			 note, "type", spec->type, "regarding", "apiVersion", "v1",
			 "kind", spec->kind, "namespace", spec->ns, "name", spec->name,
			 "uid", spec->uid);
	text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	return text;
}

static void record_clear(struct record *r)
{
	free(r->key);
	free(r->path);
	free(r->body);
	*r = (struct record){.key = NULL};
}

static bool is_repeated(const struct events *e, const char *key)
{
	for (size_t i = 0; i < EVENTS_MAX_WAITING; i++)
		if (e->records[i].key && !strcmp(e->records[i].key, key) &&
		    clock_monotonic_us() - e->records[i].at_us < REPEAT_US)
			return true;
	return false;
}

static void on_status(void *data, int status, uint32_t retry_after_sec)
{
	struct events *e = data;

	e->status = status;
}

static void post_next(struct events *e);

static void on_done(void *data, int err, const char *why)
{
	struct events *e = data;

	e->call = NULL;
	if (err || e->status / 100 != 2)
		log_debug("api: could not post an event: HTTP %d: %s", e->status, why);
	post_next(e);
}

static const struct http_events call_events = {.on_status = on_status,
					       .on_done = on_done};

static void post_next(struct events *e)
{
	const struct record *r = &e->records[e->n_posted % EVENTS_MAX_WAITING];
	const struct http_spec spec = {
		.method = "POST",
		.path = r->path,
		.body = r->body,
		.content_type = "application/json",
		.total_sec = CALL_MAX_SEC,
	};

	if (!e->http || e->call || e->n_posted == e->n_recorded)
		return;
	e->n_posted++;
	e->status = 0;
	e->call = http_call_start(e->http, &spec, &call_events, e);
}

void events_record(struct events *e, const struct event_spec *spec)
{
	int64_t now_us = clock_wall_us();
	_cleanup_(freep) char *key =
		xasprintf("%s/%s/%s/%s/%s/%s", spec->kind, spec->ns, spec->name,
			  spec->reason, spec->action, spec->note);
	_cleanup_(freep) char *name =
		xasprintf("%s.%" PRIx64, spec->name, (uint64_t)now_us * 1000);
	_cleanup_(freep) char *body = event_body(spec, name, e->node_name, now_us);
	struct record *r = &e->records[e->n_recorded % EVENTS_MAX_WAITING];

	if (!body || is_repeated(e, key))
		return;
	if (e->n_recorded - e->n_posted == EVENTS_MAX_WAITING) {
		if (!e->has_dropped)
			log_warn("api: too many events are waiting; dropping new ones");
		e->has_dropped = true;
		return;
	}
	record_clear(r);
	*r = (struct record){
		.key = take_ptr(key),
		.path = xasprintf("/apis/events.k8s.io/v1/namespaces/%s/events",
				  *spec->ns ? spec->ns : "default"),
		.body = take_ptr(body),
		.at_us = clock_monotonic_us(),
	};
	e->n_recorded++;
	post_next(e);
}

struct events *events_new(const char *node_name)
{
	struct events *e = xcalloc(1, sizeof(*e));

	e->node_name = xstrdup(node_name);
	return e;
}

void events_start(struct events *e, struct http *http)
{
	e->http = http;
	post_next(e);
}

void events_free(struct events *e)
{
	if (!e)
		return;
	http_call_cancel(e->call);
	for (size_t i = 0; i < EVENTS_MAX_WAITING; i++)
		record_clear(&e->records[i]);
	free(e->node_name);
	free(e);
}
