/*
 * Decides the next request to the API server for one kind of object, and what
 * its answers mean: client-go's reflector as a pure state machine.  It knows no
 * socket, clock or JSON; the caller makes the calls, passes the answers, and
 * applies the returned steps to the cluster.
 *
 *   WATCHLIST ──events…bookmark──▶ WATCH ──410, too short, ERROR──▶ WATCHLIST …
 *       └──not understood, stalled──▶ LIST(rv "0") ──pages──▶ WATCH
 *
 * Sources: KEP-3157 (WatchList); client-go tools/cache/reflector.go for
 * resourceVersion rules and backoff (800 ms, doubled to 30 s, jitter up to 2x,
 * forgotten after 2 min without a failure).  One difference: a server that can't
 * be reached at all is tried each 10 to 20 s, which costs it nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "watchers/kube/watch_event.h"

enum reflector_verb { REFLECTOR_WATCHLIST, REFLECTOR_LIST, REFLECTOR_WATCH };

#define CONTINUE_TOKEN_LEN 4096

struct reflector_request {
	enum reflector_verb verb;
	const char *resource_version; /* "" for "the newest" */
	const char *continue_token;   /* LIST: "" for the first page */
	uint32_t limit;		      /* LIST: 0 for all at once */
	uint32_t timeout_sec;	      /* WATCH, WATCHLIST: 300..599 */
};

/* The next step for the caller. */
enum reflector_step {
	REFLECTOR_NOTHING,
	REFLECTOR_PUT,
	REFLECTOR_DEL,
	REFLECTOR_END_REPLACE, /* all of the initial objects have been put: sweep */
	REFLECTOR_GIVE_UP,     /* cancel this call, then reflector_closed() */
};

struct reflector {		    /* embedded */
	enum reflector_verb verb;   /* of the current call, or the next one */
	enum reflector_verb called; /* the current call */
	char resource_version[RESOURCE_VERSION_LEN]; /* last known; "" if none */
	char *continue_token;
	bool wants_list;   /* streaming has failed this time */
	bool wants_newest; /* LIST with "" after 410 */
	bool has_page;	   /* this LIST call is complete */
	bool is_paging;
	bool has_synced;	/* once at least */
	bool is_replacing;	/* between the start of a list and its end */
	bool has_failed;	/* this call ended in an error that was reported */
	bool has_answer;	/* this call has a status */
	bool is_unreachable;	/* the last failure: no answer at all */
	uint64_t opened_us;	/* when the current call was started */
	uint32_t n_events;	/* in this call */
	uint64_t not_before_us; /* the next call waits until then */
	uint64_t backoff_us;	/* 0: none */
	uint64_t failed_us;	/* the last failure */
	uint64_t n_restarts;	/* relists after the first sync, for metrics */
};

void reflector_init(struct reflector *r);
void reflector_fini(struct reflector *r);

/* How long until the next call may start. */
uint64_t reflector_wait(const struct reflector *r, uint64_t now_us);
/* The next call; strings are valid until the next reflector_* call. random: any number. */
struct reflector_request reflector_open(struct reflector *r, uint64_t now_us,
					uint64_t random);

/* The current call has been answered, with any status. */
void reflector_heard(struct reflector *r);
/* A WATCH or WATCHLIST event. */
enum reflector_step reflector_event(struct reflector *r, const struct watch_event *event,
				    uint64_t now_us);
/*
 * A LIST page is complete; version is its metadata.resourceVersion.
 * END_REPLACE when it was the last; NOTHING: the next page is the next call.
 */
enum reflector_step reflector_page(struct reflector *r, const char *version,
				   const char *continue_token);
/* An answer with another status than 200. status_body may be NULL. */
void reflector_refused(struct reflector *r, int status,
		       const struct watch_event *status_body, uint32_t retry_after_sec,
		       uint64_t now_us, uint64_t random);
/* The next call waits at least that long. */
void reflector_hold(struct reflector *r, uint64_t now_us, uint64_t wait_us);
/* The cause of the last failure has been removed: the next call needn't wait. */
void reflector_retry(struct reflector *r);
/*
 * Another call has reached the server: if the last call could not, the next one
 * waits for half a second at most.  A server that has answered is not affected.
 */
void reflector_nudge(struct reflector *r, uint64_t now_us, uint64_t random);
/* The call is over; err 0: the server ended it without an error. */
void reflector_closed(struct reflector *r, int err, uint64_t now_us, uint64_t random);
