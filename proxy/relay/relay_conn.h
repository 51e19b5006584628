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
	uint64_t since_ms, deadline_ms;
	struct addr peer;
	uint16_t peer_port;
	uint8_t pool;
	bool is_holding, is_relaying;
	bool is_short; /* descriptors or memory were, for the endpoint's socket */
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
/* Events of one of its sockets, that of a struct relay_side. */
void relay_conn_event(struct relay_watch *watch, uint32_t events);
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
/* The endpoint's socket is connected, or has failed. */
void relay_connect_ready(struct relay_conn *c, bool has_failed);
/* The endpoint was lost before it got or sent a byte: the next one. */
void relay_connect_lost(struct relay_conn *c);
/* Its time is over: of the endpoint, of the connection, or of a pause. */
void relay_connect_expire(struct relay_conn *c);
/* The frontend has a new version: holding connections may have an endpoint now. */
void relay_connect_retarget(struct relay_conn *c, struct relay_service *service,
			    const struct frontend *frontend);

/* ---- relay_conn.c ---- */

/*
 * Reports events of the socket: its end, and an error. is_reader: also new bytes;
 * is_writer: also that it takes bytes. 0, or -errno. Again: those that were reported
 * before, too.
 */
int relay_conn_watch(struct relay_conn *c, struct relay_side *side, bool is_reader,
		     bool is_writer);
/* The endpoint has accepted; its socket is c->server. */
void relay_conn_relay(struct relay_conn *c);
