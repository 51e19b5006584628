/*
 * Shared by informer.c (the calls) and informer_answer.c (their contents).
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "watchers/decode/json_split.h"
#include "watchers/kube/informer.h"
#include "watchers/kube/reflector.h"

struct informer {
	struct informer_params p;
	struct reflector reflector;
	struct http_call *call;
	struct ev_timer timer;
	struct ev_timer deadline; /* of a watch, or of the next bytes of its list */
	uint64_t ends_us;	  /* when the server should have ended this watch */
	struct json_split split;
	enum reflector_verb verb;
	int status; /* of this call; 0: none yet */
	uint32_t retry_after_sec;
	unsigned credentials_version; /* those of the call */
	struct buf error_body;
	const char *body_error; /* why the answer is invalid; NULL: it is not */
	char page_version[RESOURCE_VERSION_LEN];
	char *page_continue;
	bool has_changed, has_reported_synced, gave_up;
	bool has_failed; /* some call has */
	bool was_garbled; /* the last answer was 200 with an invalid body: the outage continues */
	bool wants_fresh;  /* the connection seems to be dead */
	bool has_page;	   /* a LIST answer is complete */
	bool has_nameless; /* this list has a broken object without a name: no sweep */
	int64_t silent_since_us;
	uint64_t optional_wait_us; /* the last one, after a refusal of an optional kind */
};

void informer_report_failure(struct informer *i, int cause, const char *why);

/* A call for i->verb starts. */
void informer_answer_begin(struct informer *i);
/* -errno: the call must be cancelled; body_error is the reason if it is to be reported. */
int informer_answer_feed(struct informer *i, const char *bytes, size_t len);
/* A LIST call with has_page has ended without an error. */
void informer_answer_end_page(struct informer *i);
void informer_answer_fini(struct informer *i);
