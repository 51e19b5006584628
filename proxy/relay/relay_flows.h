/*
 * The table of UDP flows of a worker: by client and frontend, in the order of their last
 * use, and by owner (the service).  It holds flows and never frees one.  Time is an
 * argument, in seconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/addr.h"
#include "core/hash.h"

struct relay_flow_key {
	const void *frontend;
	struct addr client;
	uint32_t scope; /* of a link-local address */
	uint16_t port;
	uint16_t zero;
};

struct relay_crowd;

/* Embedded first in the flow. */
struct relay_flow_node {
	struct relay_flow_key key;
	uint32_t used_sec;
	bool is_answered;
	struct relay_crowd *crowd;
	TAILQ_ENTRY(relay_flow_node) in_idle, in_crowd;
};

TAILQ_HEAD(relay_flow_queue, relay_flow_node);
LIST_HEAD(relay_crowd_list, relay_crowd);

struct relay_flows { /* embedded */
	struct hash by_key, crowds;
	struct relay_flow_queue unanswered, answered; /* the longest idle one first */
	struct relay_crowd_list *by_size; /* crowds with n flows, n up to max */
	uint32_t max, n_largest;
};

void relay_flows_init(struct relay_flows *f, uint32_t max);
void relay_flows_fini(struct relay_flows *f); /* it is empty */

struct relay_flow_node *relay_flows_find(const struct relay_flows *f,
					 const struct relay_flow_key *key);
void relay_flows_put(struct relay_flows *f, struct relay_flow_node *n, const void *owner,
		     uint32_t now_sec);
void relay_flows_del(struct relay_flows *f, struct relay_flow_node *n);
/* A datagram of the client, or (is_answer) of the endpoint. */
void relay_flows_use(struct relay_flows *f, struct relay_flow_node *n, uint32_t now_sec,
		     bool is_answer);

/* One that is idle for too long, or NULL. */
struct relay_flow_node *relay_flows_idle(const struct relay_flows *f, uint32_t now_sec,
					 uint32_t unanswered_sec, uint32_t answered_sec);
/* The longest idle one of the owner that has most; NULL: there is none. */
struct relay_flow_node *relay_flows_victim(const struct relay_flows *f);
static inline uint32_t relay_flows_n(const struct relay_flows *f)
{
	return (uint32_t)f->by_key.n;
}
