/*
 * One call at a time, and when the next one may be made.  The reflector decides
 * the meaning of an answer; informer_answer.c decodes its objects.
 */
#include "watchers/kube/informer_private.h"

#include <errno.h>
#include <ev.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "watchers/cluster.h"
#include "watchers/kube/credentials.h"
#include "watchers/kube/http.h"
#include "watchers/kube/outage.h"
#include "watchers/kube/reflector.h"
#include "watchers/kube/resource.h"

#define STATUS_MAX_LEN	  (16u << 10)
#define STALL_SEC	  60
#define WATCH_STALLS	  2.5 /* so many times as long; bookmarks come each minute */
#define WATCH_GRACE_SEC	  30  /* how much later than promised a watch may end */
#define HTTP_OK		  200
#define HTTP_UNAUTHORIZED 401
#define HTTP_FORBIDDEN	  403
#define HTTP_NOT_FOUND	  404

static uint64_t random_number(void)
{
	uint64_t n = 0;

	/* Before the kernel has its seed: one number for all, only not spread. */
	if (getrandom(&n, sizeof(n), GRND_NONBLOCK) != sizeof(n))
		n = 0;
	return n;
}

/* A refusal by a role, or by an old server, rarely ends; but a role may be late. */
#define OPTIONAL_FIRST_US 2000000ull
#define OPTIONAL_LAST_US  300000000ull

static void note_silence(struct informer *i)
{
	if (!i->silent_since_us)
		i->silent_since_us = clock_wall_us();
}

void informer_report_failure(struct informer *i, int cause, const char *why)
{
	bool is_first = !i->has_failed;

	note_silence(i);
	i->has_failed = true;
	outage_failed(i->p.outage, i->p.kind, resource_name(i->p.kind), cause, why);
	if (i->p.is_optional && is_first)
		i->p.synced(i->p.data);
}

/* Waits twice as long each time. */
static void hold_optional(struct informer *i)
{
	uint64_t wait_us =
		i->optional_wait_us ? i->optional_wait_us * 2 : OPTIONAL_FIRST_US;

	i->optional_wait_us = wait_us < OPTIONAL_LAST_US ? wait_us : OPTIONAL_LAST_US;
	reflector_hold(&i->reflector, clock_monotonic_us(), i->optional_wait_us);
}

static void report_recovery(struct informer *i)
{
	i->optional_wait_us = 0;
	i->silent_since_us = 0;
	outage_over(i->p.outage, i->p.kind);
}

static void schedule(struct informer *i)
{
	double wait = (double)reflector_wait(&i->reflector, clock_monotonic_us()) / 1e6;

	ev_timer_stop(i->p.loop, &i->timer);
	ev_timer_set(&i->timer, wait, 0);
	ev_timer_start(i->p.loop, &i->timer);
}

static void report_changed(struct informer *i)
{
	if (!i->has_reported_synced && i->reflector.has_synced) {
		i->has_reported_synced = true;
		i->p.synced(i->p.data);
	}
	if (i->has_changed && i->has_reported_synced) {
		i->has_changed = false;
		i->p.changed(i->p.data);
	}
}

static bool is_listing(const struct informer *i)
{
	return !i->status || i->reflector.is_replacing;
}

/*
 * A call without any answer, or one that stalls in the middle of a list, is
 * cancelled.  A watch without bookmarks may be fine; it is opened again to see
 * whether the server still answers, and not only a proxy or its kernel.
 */
static void arm_deadline(struct informer *i)
{
	double left_sec = ((double)i->ends_us - (double)clock_monotonic_us()) / 1e6;
	double silence_sec = i->p.stall_sec * (is_listing(i) ? 1 : WATCH_STALLS);

	if (left_sec > silence_sec)
		left_sec = silence_sec;
	ev_timer_stop(i->p.loop, &i->deadline);
	ev_timer_set(&i->deadline, left_sec > 0 ? left_sec : 0, 0);
	ev_timer_start(i->p.loop, &i->deadline);
}

static void on_status(void *data, int status, uint32_t retry_after_sec)
{
	struct informer *i = data;

	i->status = status;
	i->retry_after_sec = retry_after_sec;
	reflector_heard(&i->reflector);
	if (status == HTTP_OK) {
		i->wants_fresh = false;
		credentials_accepted(i->p.credentials);
		if (!i->was_garbled)
			report_recovery(i);
	}
	if (i->verb != REFLECTOR_LIST)
		arm_deadline(i);
	if (i->p.answered)
		i->p.answered(i->p.data, status, "GET");
}

static int on_body(void *data, const char *bytes, size_t len)
{
	struct informer *i = data;
	bool was_garbled = i->was_garbled;
	int err;

	if (i->status != HTTP_OK) {
		buf_add(&i->error_body, bytes, len);
		return i->error_body.len > STATUS_MAX_LEN ? -E2BIG : 0;
	}
	err = informer_answer_feed(i, bytes, len);
	if (was_garbled && !i->was_garbled)
		report_recovery(i);
	if (i->verb != REFLECTOR_LIST)
		arm_deadline(i);
	report_changed(i);
	return err;
}

/* An older API server, or a ClusterRole without this kind. */
static bool is_unavailable(int status)
{
	return status == HTTP_FORBIDDEN || status == HTTP_NOT_FOUND;
}

static void take_refusal(struct informer *i)
{
	struct watch_event body = {0};
	json_t *json = json_loadb(buf_string(&i->error_body), i->error_body.len, 0, NULL);
	bool has_body = json && !watch_status_decode(json, &body);
	char why[400];

	json_decref(json);
	reflector_refused(&i->reflector, i->status, has_body ? &body : NULL,
			  i->retry_after_sec, clock_monotonic_us(), random_number());
	if (i->status == HTTP_UNAUTHORIZED)
		credentials_refused(i->p.credentials, i->credentials_version);
	/* Not a failure: the server doesn't stream lists, or the version is too old. */
	if (reflector_wait(&i->reflector, clock_monotonic_us()) == 0)
		return;
	if (i->p.is_optional && is_unavailable(i->status))
		hold_optional(i);
	(void)snprintf(why, sizeof(why), "HTTP %d%s%s", i->status,
		       *body.message ? " " : "", body.message);
	informer_report_failure(i, i->status, why);
}

static void end_call(struct informer *i, int err, const char *why)
{
	bool is_page =
		i->verb == REFLECTOR_LIST && i->status == HTTP_OK && !err && i->has_page;

	i->call = NULL;
	i->wants_fresh |= err == -ETIMEDOUT;
	ev_timer_stop(i->p.loop, &i->deadline);
	if (i->status && i->status != HTTP_OK)
		take_refusal(i);
	else if (is_page)
		informer_answer_end_page(i);
	reflector_closed(&i->reflector, err, clock_monotonic_us(), random_number());
	if (i->body_error) {
		i->was_garbled = true;
		informer_report_failure(i, -EBADMSG, i->body_error);
	}
	if (err && !i->status) {
		informer_report_failure(i, err, why);
		if (i->p.answered)
			i->p.answered(i->p.data, 0, "GET");
	}
	report_changed(i);
	schedule(i);
}

static void on_done(void *data, int err, const char *why)
{
	end_call(data, err, why);
}

static const struct http_events call_events = {
	.on_status = on_status,
	.on_body = on_body,
	.on_done = on_done,
};

static void on_deadline(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct informer *i = w->data;

	http_call_cancel(i->call);
	i->wants_fresh = true;
	if (!is_listing(i))
		end_call(i, 0, "");
	else if (!i->status)
		end_call(i, -ETIMEDOUT, "no answer");
	else {
		informer_report_failure(i, -ETIMEDOUT, "the list was not completed");
		end_call(i, -ETIMEDOUT, "");
	}
}

static void start_call(struct informer *i)
{
	struct reflector_request r =
		reflector_open(&i->reflector, clock_monotonic_us(), random_number());
	_cleanup_(buf_fini) struct buf path = BUF_INIT;
	bool is_list = r.verb == REFLECTOR_LIST;
	struct http_spec spec = {.method = "GET",
				 .stall_sec = is_list ? i->p.stall_sec : 0,
				 .accept = resource_accept(i->p.kind, is_list),
				 .is_fresh = i->wants_fresh};

	if (r.verb == REFLECTOR_WATCHLIST || (is_list && !*r.continue_token)) {
		cluster_begin_replace(i->p.cluster, i->p.kind);
		reject_begin_all(i->p.reject, object_kind_name(i->p.kind));
	}
	resource_format_path(i->p.kind, i->p.node_name, &r, &path);
	spec.path = buf_string(&path);
	log_debug("api: GET %s", spec.path);
	i->verb = r.verb;
	i->status = 0;
	i->retry_after_sec = 0;
	buf_clear(&i->error_body);
	informer_answer_begin(i);
	i->credentials_version = credentials_version(i->p.credentials);
	i->call = http_call_start(i->p.http, &spec, &call_events, i);
	i->ends_us =
		clock_monotonic_us() + (r.timeout_sec + WATCH_GRACE_SEC) * 1000000ull;
	if (!is_list)
		arm_deadline(i);
}

void informer_go_on(struct informer *i)
{
	if (i->call)
		return;
	if (reflector_wait(&i->reflector, clock_monotonic_us()) > 0) {
		schedule(i);
		return;
	}
	if (credentials_refresh(i->p.credentials))
		start_call(i);
	else
		note_silence(
			i); /* a credential plugin runs, or has failed and logged it */
}

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	informer_go_on(w->data);
}

void informer_retry(struct informer *i)
{
	if (i->call)
		return;
	reflector_retry(&i->reflector);
	schedule(i);
}

void informer_nudge(struct informer *i)
{
	if (i->call)
		return;
	reflector_nudge(&i->reflector, clock_monotonic_us(), random_number());
	schedule(i);
}

struct informer *informer_new(const struct informer_params *params)
{
	struct informer *i = xcalloc(1, sizeof(*i));

	i->p = *params;
	if (!i->p.stall_sec)
		i->p.stall_sec = STALL_SEC;
	reflector_init(&i->reflector);
	ev_timer_init(&i->timer, on_timer, 0, 0);
	ev_timer_init(&i->deadline, on_deadline, 0, 0);
	i->timer.data = i->deadline.data = i;
	return i;
}

void informer_free(struct informer *i)
{
	if (!i)
		return;
	http_call_cancel(i->call);
	ev_timer_stop(i->p.loop, &i->timer);
	ev_timer_stop(i->p.loop, &i->deadline);
	informer_answer_fini(i);
	reflector_fini(&i->reflector);
	buf_fini(&i->error_body);
	free(i);
}

bool informer_is_settled(const struct informer *i)
{
	return i->has_reported_synced || (i->p.is_optional && i->has_failed);
}

uint64_t informer_n_restarts(const struct informer *i)
{
	return i->reflector.n_restarts;
}

int64_t informer_silent_since_us(const struct informer *i)
{
	return i->silent_since_us;
}
