/*
 * The parts of UDP: relay_udp.c has the datagrams, relay_udp_flow.c the flows.
 */
#pragma once

#include <netinet/in.h>
#include <netinet/udp.h>

#include "proxy/relay/relay_batch.h"
#include "proxy/relay/relay_flows.h"
#include "proxy/relay/relay_udp.h"
#include "proxy/relay/relay_worker.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

struct relay_flow {
	struct relay_flow_node node; /* first */
	struct relay_watch io; /* the socket towards the endpoint; -1: it has ended */
	struct relay_udp *udp;
	struct relay_ear *ear;
	struct relay_service
		*service; /* one reference, of the version that it came with */
	struct relay_endpoint *endpoint; /* one reference */
	struct sockaddr_in6 client;	 /* or sockaddr_in */
	socklen_t client_len;
	unsigned n_expected; /* answers of one event, by those of the last one */
	bool is_joining;     /* UDP_GRO is on */
	uint64_t n_up, n_down, up_len, down_len;
	LIST_ENTRY(relay_flow) in_ear, in_ended;
};

struct relay_udp {
	struct relay_worker *worker;
	struct relay_flows flows;
	struct relay_batch *up, *down; /* from clients; from endpoints */
	struct relay_flow_list ended;
};

/* A flow for this client, with the first endpoint that can be had; NULL: there is none. */
struct relay_flow *relay_flow_open(struct relay_udp *u, struct relay_ear *ear,
				   const struct relay_flow_key *key, struct msghdr *first,
				   void (*on_answer)(struct relay_watch *, uint32_t));
/* One that another process had, if its endpoint still serves. Takes the socket if so. */
bool relay_flow_adopt(struct relay_udp *u, struct relay_ear *ear, int fd,
		      const struct relay_transfer_record *record,
		      void (*on_answer)(struct relay_watch *, uint32_t));
/* Ends it. It is freed by relay_udp_finish(). */
void relay_flow_end(struct relay_flow *flow);
/* The endpoint is unreachable: it is set aside, and the flow ends. */
void relay_flow_lose(struct relay_flow *flow);
/* Is this an error of the endpoint, and not of one datagram or of this host? */
bool relay_flow_is_loss(int err);
/*
 * Makes room: of the service that has most flows, the one idle for longest ends. False:
 * there is none.
 */
bool relay_flow_evict(struct relay_udp *u);
void relay_flow_free(struct relay_flow *flow);
