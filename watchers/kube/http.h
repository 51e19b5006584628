/*
 * HTTP calls to one API server, over one pool of connections (HTTP/2 where the
 * server speaks it), on the event loop: libcurl's multi interface driven by
 * libev.  TLS is verified always unless the kubeconfig says otherwise.  A peer
 * that is gone is noticed by TCP within 45 s (keep-alive and user timeout).
 *
 * Answers stream: the body is handed on as it comes and kept nowhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct http;
struct http_call;
struct kube_config;

#define HTTP_MAX_HEADER_LEN (64u << 10) /* all header lines of one answer */

/* config is borrowed and must outlive it. */
struct http *http_new(struct ev_loop *loop, const struct kube_config *config,
		      const char *user_agent);
void http_free(struct http *h); /* cancels what is under way */

/* What is sent as "Authorization: Bearer …" from now on; NULL: none. */
void http_set_token(struct http *h, const char *token);
/* A client certificate from an exec plugin (PEM); NULL: the kubeconfig's own. */
void http_set_client_cert(struct http *h, const char *cert_pem, const char *key_pem);

struct http_spec {
	const char *method;	  /* "GET", "POST", "PATCH" */
	const char *path;	  /* "/api/v1/services?…" */
	const char *body;	  /* NULL: none */
	const char *content_type; /* of the body */
	uint32_t stall_sec;	  /* no byte for that long: -ETIMEDOUT; 0: never */
	uint32_t total_sec;	  /* the whole call; 0: no limit */
	bool is_fresh;		  /* over a connection of its own */
};

/*
 * Callbacks come from the loop only, never from within http_call_start() or
 * http_call_cancel().  on_body answers 0, or anything else to give the call up
 * (then on_done follows with -ECANCELED).  After on_done the call is gone.
 */
struct http_events {
	/* the status line is there; retry_after_sec is 0 when there was no such header */
	void (*on_status)(void *data, int status, uint32_t retry_after_sec);
	int (*on_body)(void *data, const char *bytes, size_t len);
	/*
	 * err 0: the answer is complete.  -ECONNREFUSED, -ETIMEDOUT, -ECONNRESET,
	 * -EBADMSG (not HTTP), -EHOSTUNREACH, -EIO; of TLS, -EPROTO (wrong CA, wrong
	 * name, …), -EKEYEXPIRED (the server's certificate), -EKEYREJECTED (ours),
	 * -ENOKEY (no CA file);
	 * why is a sentence for people, valid during the call.
	 */
	void (*on_done)(void *data, int err, const char *why);
};

struct http_call *http_call_start(struct http *h, const struct http_spec *spec,
				  const struct http_events *events, void *data);
void http_call_cancel(struct http_call *call);
