/*
 * One TCP connection of a client, and the one to an endpoint that it gets.
 *
 *	holding     there is no endpoint yet; bounded by the service's hold time
 *	connecting  one endpoint after the other, until one accepts
 *	relaying    both directions, each on its own
 */
#pragma once

#include <stdint.h>
#include <sys/queue.h>

#include "proxy/relay/relay_search.h"
#include "proxy/relay/relay_worker.h"

struct relay_conn {
	struct relay_side client, server;
	struct relay_worker *worker;
	struct relay_service *service;	 /* one reference */
	const struct frontend *frontend; /* of that version */
	struct relay_endpoint *endpoint; /* the one in use; one reference, or NULL */
	struct relay_search search;
	uint8_t pool;
	bool is_holding, is_relaying;
	uint64_t since_ms, deadline_ms;
	struct addr peer;
	uint16_t peer_port;
	LIST_ENTRY(relay_conn) in_state;
};

/* Takes the socket; borrows the rest. It is already counted by the limit. */
void relay_conn_accept(struct relay_worker *w, int fd, const struct sockaddr *peer,
		       struct relay_service *service, const struct frontend *frontend);
/* The same of a client that has been waiting for an endpoint since then. */
void relay_conn_continue(struct relay_worker *w, int fd, const struct sockaddr *peer,
			 struct relay_service *service, const struct frontend *frontend,
			 uint64_t since_ms);
/* Ends it: a reset to both sides, or a close that says "no more". */
void relay_conn_reset(struct relay_conn *c);
void relay_conn_close(struct relay_conn *c);
/*
 * Looks for a reset on sockets that are not read, of a half-closed or blocked
 * connection, and passes it on. True if it has such sockets, and is still open.
 */
bool relay_conn_inspect(struct relay_conn *c);
/* Of a closed one, outside of callbacks. */
void relay_conn_free(struct relay_conn *c);

static inline void relay_conn_count(struct relay_conn *c, enum relay_counter counter,
				    uint64_t n)
{
	relay_worker_count(c->worker, c->service, counter, n);
}

/* ---- relay_connect.c: finding the endpoint ---- */

/* Tries one endpoint after the other. */
void relay_connect_start(struct relay_conn *c);
/* The endpoint's socket has reported something. */
void relay_connect_ready(struct relay_conn *c);
/* The endpoint was lost before it got or sent a byte: the next one. */
void relay_connect_lost(struct relay_conn *c);
/* Its time is over: of the endpoint, or of the connection. */
void relay_connect_expire(struct relay_conn *c);
/* The frontend has a new version: holding connections may have an endpoint now. */
void relay_connect_retarget(struct relay_conn *c, struct relay_service *service,
			    const struct frontend *frontend);

/* ---- relay_conn.c ---- */

/* The endpoint has accepted; its socket is c->server. */
void relay_conn_relay(struct relay_conn *c);
