/*
 * Shared by http.c (the loop) and http_setup.c (a call's options).
 */
#pragma once

#include <curl/curl.h>
#include <ev.h>
#include <stdbool.h>

#include "watchers/kube/http.h"
#include "watchers/transfer/transfers.h"

struct http_call {
	struct http *http;
	struct http_call *next, **link;
	CURL *easy;
	struct curl_slist *headers;
	const struct http_events *events;
	void *data;
	size_t header_len;
	bool is_started;	  /* curl has it */
	bool has_status, is_over; /* is_over: on_done was or must not be called */
	char why[CURL_ERROR_SIZE];
};

struct http {
	struct ev_loop *loop;
	struct transfers transfers;
	struct ev_timer reaper;	   /* runs reap() after a cancel, or to start calls */
	double qps, burst, tokens; /* calls that may start now; qps 0: any number */
	uint64_t tokens_us;	   /* when tokens was right */
	const struct kube_config *config;
	char *user_agent, *token, *cert_pem, *key_pem;
	struct curl_slist *connect_to;
	char *base; /* server, with the TLS name for its host */
	char *host_header;
	struct http_call *calls;
};

/* All options of a call except its callbacks: address, TLS, identity, limits. */
void http_setup_call(struct http_call *call, const struct http_spec *spec);
