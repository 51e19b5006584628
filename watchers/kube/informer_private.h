/*
 * What informer.c (calls, and when) and informer_answer.c (what is in them) share.
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
	uint64_t ends_us; /* when this watch ends, should its server keep its word */
	struct json_split split;
	enum reflector_verb verb;
	int status; /* of the call under way; 0: not there yet */
	uint32_t retry_after_sec;
	struct buf error_body;
	const char *body_error; /* what was wrong with the answer; NULL: nothing */
	char page_version[RESOURCE_VERSION_LEN];
	char *page_continue;
	bool has_changed, has_told_synced, gave_up;
	bool was_garbled; /* the last answer was 200 and nonsense: that is no end of trouble */
	bool wants_fresh; /* the connection seems to lead nowhere */
	bool has_page;	  /* a LIST answer has come to its end */
	int64_t silent_since_us;
};

void informer_tell_failure(struct informer *i, int cause, const char *why);

/* A call for i->verb begins. */
void informer_answer_begin(struct informer *i);
/* -errno: the call is to be given up; body_error says why, when that is news. */
int informer_answer_feed(struct informer *i, const char *bytes, size_t len);
/* A LIST call with has_page has ended well. */
void informer_answer_end_page(struct informer *i);
void informer_answer_fini(struct informer *i);
