/*
 * A small HTTP server on the event loop (libmicrohttpd without threads of its
 * own).  Connections, header sizes and idle time are bounded; request bodies
 * are thrown away.  Who keeps connections open doesn't keep others out: the
 * oldest one makes room.
 */
#pragma once

#include <stdint.h>

#include "core/addr.h"
#include "core/buf.h"

struct ev_loop;
struct http_server;

#define HTTP_SERVER_MAX_CONNECTIONS 64
#define HTTP_SERVER_IDLE_SEC	    15
#define HTTP_SERVER_MEMORY_LEN	    (32u << 10) /* for one connection: bounds its header */

struct http_request {
	const char *method, *path; /* path without its query */
	const char *accept;	   /* "" when absent */
};

/* A handler fills this in; it starts as an empty 200. */
struct http_reply {
	int status;
	const char *content_type; /* static text */
	bool nosniff;		  /* X-Content-Type-Options: nosniff */
	const char *header_name;  /* one more header; NULL: none */
	char header_value[32];
	struct buf body;
};

typedef void (*http_handler)(void *data, const struct http_request *request,
			     struct http_reply *reply);

/* What Go's servers say to a path they don't know. */
void http_reply_not_found(struct http_reply *reply);
/* "text/plain; charset=utf-8" with this body. */
void http_reply_text(struct http_reply *reply, const char *text);

/* Listens and serves; -errno when it can't listen (-EADDRINUSE, …). */
int http_server_open(struct ev_loop *loop, const struct addr *addr, uint16_t port,
		     http_handler handler, void *data, struct http_server **ret);
void http_server_close(struct http_server *s);
/* The port it listens on, for port 0. */
uint16_t http_server_port(const struct http_server *s);
