/*
 * Transfers of libcurl on an event loop: its multi interface, driven by libev.
 * The caller adds easy handles to multi, and takes those that ended; the callback
 * comes from the loop only, outside of curl's callbacks, so it may add and remove
 * handles freely.
 */
#pragma once

#include <curl/curl.h>
#include <ev.h>

struct transfers { /* embedded */
	struct ev_loop *loop;
	CURLM *multi;
	struct ev_timer timer; /* requested by curl */
	void (*progressed)(void *data);
	void *data;
};

/* progressed is called after each event: transfers may have ended. */
void transfers_init(struct transfers *t, struct ev_loop *loop,
		    void (*progressed)(void *data), void *data);
/* All handles must have been removed. */
void transfers_fini(struct transfers *t);
/* One that ended, and how; NULL: there are no more. The caller removes it. */
CURL *transfers_next_ended(struct transfers *t, CURLcode *ret_code);
