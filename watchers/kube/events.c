/*
 * A ring of records: those that wait to be sent come first, those that were
 * sent are remembered for a while, to be made a series of.  One call at a time.
 */
#include "watchers/kube/events.h"

#include <ev.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "watchers/kube/http.h"

#define SERIES_US     (6 * 60 * 1000000ll)
#define REFRESH_US    (5 * 60 * 1000000ll) /* how often a series is told of */
#define TRY_AGAIN_SEC 10.0
#define MAX_TRIES     12
#define CALL_MAX_SEC  15
#define NOTE_MAX_LEN  1024 /* the API's own limit */

#define HTTP_UNAUTHORIZED 401
#define HTTP_TOO_MANY	  429

enum record_state { RECORD_FREE, RECORD_WAITS, RECORD_SENT };

struct record {
	enum record_state state;
	char *ns; /* where the Event is */
	char *event_name, *body, *key;
	unsigned count; /* how often it happened */
	unsigned n_tries;
	bool exists; /* on the server: to be patched */
	int64_t last_us, sent_us;
};

struct events {
	struct ev_loop *loop;
	struct http *http;
	char *node_name;
	struct record records[EVENTS_MAX_WAITING];
	struct http_call *call;
	struct record *sending;
	struct ev_timer timer;
	int status;
	unsigned n_dropped;
};

/* MicroTime of the API: always six digits. */
static void format_time(int64_t us, char *text, size_t len)
{
	time_t sec = (time_t)(us / 1000000);
	size_t n;
	struct tm tm;

	(void)gmtime_r(&sec, &tm);
	n = strftime(text, len, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + n, len - n, ".%06dZ", (int)(us % 1000000));
}

char *event_body(const struct event_spec *spec, const char *event_name,
		 const char *node_name, long long at_us)
{
	_cleanup_(freep) char *instance = xasprintf("kube-proxy-%s", node_name);
	_cleanup_(freep) char *note =
		xstrndup(spec->note, strnlen(spec->note, NOTE_MAX_LEN));
	char at[40], *text;
	json_t *body;

	format_time(at_us, at, sizeof(at));
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
	free(r->ns);
	free(r->event_name);
	free(r->body);
	free(r->key);
	*r = (struct record){.state = RECORD_FREE};
}

static struct record *find_series(struct events *e, const char *key, int64_t now_us)
{
	for (size_t i = 0; i < EVENTS_MAX_WAITING; i++) {
		struct record *r = &e->records[i];

		if (r->state != RECORD_FREE && !strcmp(r->key, key) &&
		    now_us - r->last_us < SERIES_US)
			return r;
	}
	return NULL;
}

/* A free place, or that of the oldest event that has been sent. */
static struct record *find_place(struct events *e)
{
	struct record *oldest = NULL;

	for (size_t i = 0; i < EVENTS_MAX_WAITING; i++) {
		struct record *r = &e->records[i];

		if (r->state == RECORD_FREE)
			return r;
		if (r->state == RECORD_SENT && (!oldest || r->last_us < oldest->last_us))
			oldest = r;
	}
	if (oldest)
		record_clear(oldest);
	return oldest;
}

static char *series_body(const struct record *r)
{
	char at[40], *text;
	json_t *body;

	format_time(r->last_us, at, sizeof(at));
	body = json_pack("{s:{s:i, s:s}}", "series", "count", (int)r->count,
			 "lastObservedTime", at);
	text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	return text;
}

static void send_next(struct events *e);

static void try_later(struct events *e)
{
	ev_timer_stop(e->loop, &e->timer);
	ev_timer_set(&e->timer, TRY_AGAIN_SEC, 0);
	ev_timer_start(e->loop, &e->timer);
}

static void on_status(void *data, int status, uint32_t retry_after_sec)
{
	struct events *e = data;

	(void)retry_after_sec;
	e->status = status;
}

/*
 * What is forbidden or wrong stays so; a server that is away comes back, and
 * credentials may still be on their way.
 */
static bool is_final(int status)
{
	return status / 100 == 4 && status != HTTP_TOO_MANY &&
	       status != HTTP_UNAUTHORIZED;
}

static void on_done(void *data, int err, const char *why)
{
	struct events *e = data;
	struct record *r = take_ptr(e->sending);

	e->call = NULL;
	if (!err && e->status / 100 == 2) {
		r->exists = true;
		r->state = RECORD_SENT;
		r->sent_us = clock_wall_us();
		send_next(e);
		return;
	}
	log_debug("api: event %s: %s (HTTP %d)", r->event_name, why, e->status);
	if (is_final(err ? 0 : e->status) || ++r->n_tries >= MAX_TRIES) {
		record_clear(r);
		send_next(e);
		return;
	}
	try_later(e);
}

static const struct http_events call_events = {.on_status = on_status,
					       .on_done = on_done};

static void send_one(struct events *e, struct record *r)
{
	_cleanup_(freep) char *path =
		xasprintf("/apis/events.k8s.io/v1/namespaces/%s/events%s%s", r->ns,
			  r->exists ? "/" : "", r->exists ? r->event_name : "");
	_cleanup_(freep) char *series = r->exists ? series_body(r) : NULL;
	const struct http_spec spec = {
		.method = r->exists ? "PATCH" : "POST",
		.path = path,
		.body = series ? series : r->body,
		.content_type =
			r->exists ? "application/merge-patch+json" : "application/json",
		.total_sec = CALL_MAX_SEC,
	};

	e->status = 0;
	e->sending = r;
	e->call = http_call_start(e->http, &spec, &call_events, e);
}

static void send_next(struct events *e)
{
	for (size_t i = 0; e->http && !e->call && i < EVENTS_MAX_WAITING; i++)
		if (e->records[i].state == RECORD_WAITS)
			send_one(e, &e->records[i]);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	send_next(w->data);
}

void events_record(struct events *e, const struct event_spec *spec)
{
	int64_t now_us = clock_wall_us();
	_cleanup_(freep) char *key =
		xasprintf("%s/%s/%s/%s/%s/%s", spec->kind, spec->ns, spec->name,
			  spec->reason, spec->action, spec->note);
	struct record *r = find_series(e, key, now_us);

	if (r) {
		r->count++;
		r->last_us = now_us;
		/* Not yet sent, or just now: that is enough to begin with. */
		if (r->state == RECORD_SENT && now_us - r->sent_us < REFRESH_US)
			return;
		r->state = RECORD_WAITS;
		r->n_tries = 0;
	} else if ((r = find_place(e))) {
		*r = (struct record){
			.state = RECORD_WAITS,
			.ns = xstrdup(*spec->ns ? spec->ns : "default"),
			.event_name = xasprintf("%s.%" PRIx64, spec->name,
						(uint64_t)now_us * 1000),
			.key = take_ptr(key),
			.count = 1,
			.last_us = now_us,
		};
		r->body = event_body(spec, r->event_name, e->node_name, now_us);
		if (!r->body)
			record_clear(r);
	} else if (!e->n_dropped++) {
		log_warn("api: too many events wait, new ones are dropped");
	}
	if (!ev_is_active(&e->timer))
		send_next(e);
}

struct events *events_new(const char *node_name)
{
	struct events *e = xcalloc(1, sizeof(*e));

	e->node_name = xstrdup(node_name);
	ev_timer_init(&e->timer, on_timer, 0, 0);
	e->timer.data = e;
	return e;
}

void events_start(struct events *e, struct ev_loop *loop, struct http *http)
{
	e->loop = loop;
	e->http = http;
	send_next(e);
}

void events_free(struct events *e)
{
	if (!e)
		return;
	http_call_cancel(e->call);
	if (e->loop)
		ev_timer_stop(e->loop, &e->timer);
	for (size_t i = 0; i < EVENTS_MAX_WAITING; i++)
		record_clear(&e->records[i]);
	free(e->node_name);
	free(e);
}
