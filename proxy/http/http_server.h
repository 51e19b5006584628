/*
 * A small HTTP server on the event loop (libmicrohttpd without threads).  One
 * server has any number of listeners, each one descriptor, and one limit of
 * connections for all.  Header sizes and idle time are bounded; request bodies
 * are discarded.  When the limit is reached, the older half of the connections
 * is closed, so slow clients do not keep others out.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/buf.h"

struct ev_loop;
struct http_listener;
struct http_server;

#define HTTP_SERVER_IDLE_SEC   15
#define HTTP_SERVER_MEMORY_LEN (32u << 10) /* of one connection: bounds its header */

struct http_request {
	const char *method, *path; /* path without its query */
	const char *accept;	   /* "" when absent */
	const char *since;	   /* the argument of that name; "" when absent */
	enum family family;	   /* the client connected with */
};

/*
 * A long body, written piece by piece while the client takes it, so that it neither
 * delays the loop nor is in memory as a whole.
 */
struct http_stream;

struct http_stream_ops {
	/* Adds the next piece, not empty; false when that was the last one. */
	bool (*write)(struct http_stream *stream, struct buf *out);
	void (*free)(struct http_stream *stream);
};

struct http_stream { /* implementations embed it first */
	const struct http_stream_ops *ops;
};

/* A handler fills this in; it starts as an empty 200. */
struct http_reply {
	int status;
	const char *content_type; /* static text */
	bool nosniff;		  /* X-Content-Type-Options: nosniff */
	const char *header_name;  /* one more header; NULL: none */
	char header_value[320];
	struct buf body;
	struct http_stream *stream; /* instead of the body, owned; NULL: none */
};

typedef void (*http_handler)(void *data, const struct http_request *request,
			     struct http_reply *reply);

/* The 404 of Go's servers. */
void http_reply_not_found(struct http_reply *reply);
/* "text/plain; charset=utf-8" with this body. */
void http_reply_text(struct http_reply *reply, const char *text);

/* -errno when libmicrohttpd cannot start (-EMFILE, ...). */
int http_server_new(struct ev_loop *loop, size_t max_connections,
		    struct http_server **ret);
/* Also closes its listeners. */
void http_server_free(struct http_server *s);

/*
 * Listens, and passes requests to handler with data; -errno when it cannot
 * (-EADDRINUSE, ...).  0.0.0.0 stands for all addresses of both families.
 */
int http_server_listen(struct http_server *s, const struct addr *addr, uint16_t port,
		       http_handler handler, void *data, struct http_listener **ret);
/* Connections that are open get 404 from now on. */
void http_listener_close(struct http_listener *l);
