/*
 * The reflector's state machine.  Invariant: called is the current call and verb
 * the next one if this one ended now; resource_version is only ever taken from a
 * complete list, an end bookmark, or a later event.
 */
#include "watchers/kube/reflector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"

#define BACKOFF_FIRST_US    800000ull
#define BACKOFF_LAST_US	    30000000ull
#define BACKOFF_FORGET_US   120000000ull
#define UNREACHABLE_LAST_US 10000000ull
#define SHORT_WATCH_US	    1000000ull
#define NUDGE_MAX_US	    500000ull
#define PAGE_LIMIT	    500
#define RETRY_AFTER_MAX_SEC 300
#define HTTP_GONE	    410
#define HTTP_TOO_MANY	    429

void reflector_init(struct reflector *r)
{
	*r = (struct reflector){.verb = REFLECTOR_WATCHLIST};
}

void reflector_fini(struct reflector *r)
{
	free(r->continue_token);
	r->continue_token = NULL;
}

static void set_version(char where[RESOURCE_VERSION_LEN], const char *version)
{
	if (where != version)
		(void)snprintf(where, RESOURCE_VERSION_LEN, "%s", version);
}

static void forget_pages(struct reflector *r)
{
	free(r->continue_token);
	r->continue_token = NULL;
}

/* Waits longer after each failure that follows another within two minutes. */
static void back_off(struct reflector *r, uint64_t now_us, uint64_t random)
{
	uint64_t last_us = r->is_unreachable ? UNREACHABLE_LAST_US : BACKOFF_LAST_US;

	if (r->backoff_us && now_us - r->failed_us > BACKOFF_FORGET_US)
		r->backoff_us = 0;
	r->backoff_us = r->backoff_us ? r->backoff_us * 2 : BACKOFF_FIRST_US;
	if (r->backoff_us > last_us)
		r->backoff_us = last_us;
	r->failed_us = now_us;
	r->not_before_us = now_us + r->backoff_us + random % r->backoff_us;
	r->has_failed = true;
}

void reflector_hold(struct reflector *r, uint64_t now_us, uint64_t wait_us)
{
	if (r->not_before_us < now_us + wait_us)
		r->not_before_us = now_us + wait_us;
}

static void obey_retry_after(struct reflector *r, uint32_t retry_after_sec,
			     uint64_t now_us)
{
	uint64_t sec = retry_after_sec < RETRY_AFTER_MAX_SEC ? retry_after_sec
							     : RETRY_AFTER_MAX_SEC;

	reflector_hold(r, now_us, sec * 1000000);
}

/* All objects must be read again. */
static void relist(struct reflector *r)
{
	r->verb = r->wants_list ? REFLECTOR_LIST : REFLECTOR_WATCHLIST;
	r->is_replacing = false;
	forget_pages(r);
	if (r->has_synced)
		r->n_restarts++;
}

uint64_t reflector_wait(const struct reflector *r, uint64_t now_us)
{
	return r->not_before_us > now_us ? r->not_before_us - now_us : 0;
}

/*
 * LIST: "0" (any cache will do) at first, the last version known later, and
 * "" (the newest, in pages) after the server has answered that this version is gone.
 */
static const char *list_version(const struct reflector *r)
{
	if (r->wants_newest || r->continue_token)
		return "";
	return *r->resource_version ? r->resource_version : "0";
}

struct reflector_request reflector_open(struct reflector *r, uint64_t now_us,
					uint64_t random)
{
	struct reflector_request request = {
		.verb = r->verb,
		.resource_version = r->resource_version,
		.continue_token = "",
		.timeout_sec = 300 + (uint32_t)(random % 300),
	};

	r->opened_us = now_us;
	r->n_events = 0;
	r->has_failed = false;
	r->has_page = false;
	r->has_answer = false;
	r->called = r->verb;
	if (r->verb == REFLECTOR_WATCH)
		return request;
	r->is_replacing = true;
	if (r->verb == REFLECTOR_WATCHLIST) {
		if (r->wants_newest)
			request.resource_version = "";
		return request;
	}
	request.resource_version = list_version(r);
	if (r->continue_token)
		request.continue_token = r->continue_token;
	if (r->is_paging || !*request.resource_version ||
	    !strcmp(request.resource_version, "0"))
		request.limit = PAGE_LIMIT;
	return request;
}

static void synced(struct reflector *r, const char *version)
{
	set_version(r->resource_version, version);
	r->verb = REFLECTOR_WATCH;
	r->is_replacing = false;
	r->has_synced = true;
	r->wants_newest = false;
	r->wants_list = false;
	forget_pages(r);
}

static enum reflector_step on_bookmark(struct reflector *r,
				       const struct watch_event *event)
{
	/* Without a version, a watch can't continue from here. */
	if (!*event->resource_version)
		return REFLECTOR_NOTHING;
	if (r->verb == REFLECTOR_WATCHLIST) {
		if (!event->is_initial_end)
			return REFLECTOR_NOTHING;
		synced(r, event->resource_version);
		return REFLECTOR_END_REPLACE;
	}
	set_version(r->resource_version, event->resource_version);
	return REFLECTOR_NOTHING;
}

static bool is_version_gone(int code, const struct watch_event *status)
{
	return code == HTTP_GONE || (status && (!strcmp(status->reason, "Expired") ||
						!strcmp(status->reason, "Gone") ||
						status->is_too_large_version));
}

static enum reflector_step on_error(struct reflector *r, const struct watch_event *event,
				    uint64_t now_us)
{
	if (is_version_gone(event->status_code, event)) {
		bool was_newest = r->wants_newest;

		r->wants_newest = true;
		relist(r);
		/* Immediately, but not in a loop if the server repeats it. */
		if (was_newest)
			back_off(r, now_us, 0);
		r->has_failed = true;
		return REFLECTOR_GIVE_UP;
	}
	/* Its storage may not support streamed lists (etcd before 3.4.31 and 3.5.13): an ordinary one, immediately. */
	if (r->verb == REFLECTOR_WATCHLIST) {
		r->wants_list = true;
		relist(r);
		r->has_failed = true;
		return REFLECTOR_GIVE_UP;
	}
	relist(r);
	back_off(r, now_us, now_us);
	obey_retry_after(r, event->retry_after_sec, now_us);
	return REFLECTOR_GIVE_UP;
}

/* A server that answers again starts with a fresh backoff. */
void reflector_heard(struct reflector *r)
{
	r->has_answer = true;
	if (r->is_unreachable)
		r->backoff_us = 0;
	r->is_unreachable = false;
}

enum reflector_step reflector_event(struct reflector *r, const struct watch_event *event,
				    uint64_t now_us)
{
	r->n_events++;
	switch (event->type) {
	case WATCH_BOOKMARK:
		return on_bookmark(r, event);
	case WATCH_ERROR:
		return on_error(r, event, now_us);
	case WATCH_DELETED:
	case WATCH_ADDED:
	case WATCH_MODIFIED:
		break;
	}
	if (r->verb == REFLECTOR_WATCH && *event->resource_version)
		set_version(r->resource_version, event->resource_version);
	if (event->type == WATCH_DELETED || !event->object)
		return REFLECTOR_DEL;
	return REFLECTOR_PUT;
}

enum reflector_step reflector_page(struct reflector *r, const char *version,
				   const char *continue_token)
{
	forget_pages(r);
	r->has_page = true;
	if (continue_token && *continue_token) {
		r->continue_token = xstrdup(continue_token);
		r->is_paging = true;
		return REFLECTOR_NOTHING;
	}
	synced(r, version);
	return REFLECTOR_END_REPLACE;
}

/* May this refusal mean that the server doesn't support sendInitialEvents? */
static bool is_watchlist_unknown(int status)
{
	return status == 400 || status == 404 || status == 405 || status == 415 ||
	       status == 422;
}

void reflector_refused(struct reflector *r, int status,
		       const struct watch_event *status_body, uint32_t retry_after_sec,
		       uint64_t now_us, uint64_t random)
{
	if (is_version_gone(status, status_body)) {
		bool was_newest = r->wants_newest;

		r->wants_newest = true;
		relist(r);
		r->has_failed = true;
		if (was_newest)
			back_off(r, now_us, random);
		return;
	}
	if (r->verb == REFLECTOR_WATCHLIST && is_watchlist_unknown(status)) {
		r->wants_list = true;
		relist(r);
		r->has_failed = true;
		return;
	}
	/* A busy server: the same call again. Anything else: from the start. */
	if (r->verb != REFLECTOR_WATCH || (status != HTTP_TOO_MANY && status < 500))
		relist(r);
	back_off(r, now_us, random);
	if (status == HTTP_TOO_MANY || status >= 500)
		obey_retry_after(r, retry_after_sec, now_us);
}

void reflector_retry(struct reflector *r)
{
	r->not_before_us = 0;
	r->backoff_us = 0;
}

void reflector_nudge(struct reflector *r, uint64_t now_us, uint64_t random)
{
	uint64_t soon_us = now_us + random % NUDGE_MAX_US;

	if (r->is_unreachable && r->not_before_us > soon_us)
		r->not_before_us = soon_us;
}

void reflector_closed(struct reflector *r, int err, uint64_t now_us, uint64_t random)
{
	bool is_short = now_us - r->opened_us < SHORT_WATCH_US;

	if (r->has_failed)
		return;
	if (r->called == REFLECTOR_LIST && r->has_page)
		return;
	r->is_unreachable = err && !r->has_answer;
	if (r->is_replacing) {
		/* Streams that never complete may be cut by a proxy in between. */
		if (r->has_answer && err != -ECONNRESET)
			r->wants_list = true;
		relist(r);
		back_off(r, now_us, random);
		return;
	}
	/* A watch that ends immediately and without any event is a faulty server, not a timeout. */
	if (!err && is_short && r->n_events == 0)
		relist(r);
	if ((err && err != -ECONNRESET) || is_short)
		back_off(r, now_us, random);
}
