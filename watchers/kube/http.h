/*
 * HTTP calls to one API server, over one pool of connections (HTTP/2 where the
 * server supports it), on the event loop: libcurl's multi interface driven by
 * libev.  TLS is always verified unless the kubeconfig disables that.  TCP notices
 * a dead peer within 45 s (keep-alive and user timeout).
 *
 * Answers stream: the body is passed on as it arrives and never stored.
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
void http_free(struct http *h); /* cancels all calls */

/*
 * Calls start at most qps times a second on average, burst of them together, as
 * client-go limits its own; further ones wait.  qps <= 0: no limit, the default.
 */
void http_set_rate(struct http *h, double qps, unsigned burst);

/* Sent as "Authorization: Bearer …" from now on; NULL: no such header. */
void http_set_token(struct http *h, const char *token);
/* A client certificate from an exec plugin (PEM); NULL: the kubeconfig's own. */
void http_set_client_cert(struct http *h, const char *cert_pem, const char *key_pem);

struct http_spec {
	const char *method;	  /* "GET", "POST", "PATCH" */
	const char *path;	  /* "/api/v1/services?…" */
	const char *body;	  /* NULL: none */
	const char *content_type; /* of the body */
	const char *accept;	  /* NULL: JSON */
	uint32_t stall_sec;	  /* no byte for that long: -ETIMEDOUT; 0: never */
	uint32_t total_sec;	  /* the whole call; 0: no limit */
	bool is_fresh;		  /* over a new connection */
};

/*
 * Callbacks come from the loop only, never from within http_call_start() or
 * http_call_cancel().  on_body returns 0, or another value to cancel the call
 * (then on_done follows with -ECANCELED).  After on_done the call is freed.
 */
struct http_events {
	/* the header is complete; retry_after_sec is 0 without such a line */
	void (*on_status)(void *data, int status, uint32_t retry_after_sec);
	int (*on_body)(void *data, const char *bytes, size_t len);
	/*
	 * err 0: the answer is complete.  -ECONNREFUSED, -ETIMEDOUT, -ECONNRESET,
	 * -EBADMSG (not HTTP), -EHOSTUNREACH, -EIO; of TLS, -EPROTO (wrong CA, wrong
	 * name, …), -EPROTONOSUPPORT (no TLS session), -EKEYEXPIRED (the server's
	 * certificate), -EKEYREJECTED (ours), -ENOKEY (no CA file);
	 * why is the reason in words, valid during the call.
	 */
	void (*on_done)(void *data, int err, const char *why);
};

struct http_call *http_call_start(struct http *h, const struct http_spec *spec,
				  const struct http_events *events, void *data);
void http_call_cancel(struct http_call *call);
