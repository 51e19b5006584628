/*
 * One process that is client and server: it connects, sends 70 bytes, accepts,
 * answers with 150, and closes. So its CPU time has all of both stacks, and
 * nothing waits for a scheduler.
 */
#pragma once

#include <netinet/in.h>

#include "bench/samples.h"
#include "bench/sockets/node.h"

enum traffic_kind {
	TRAFFIC_CONNECTION,  /* open, request, answer, close */
	TRAFFIC_REQUEST,     /* request and answer on an open connection */
	TRAFFIC_CONNECTED,   /* a datagram there and back on a connected socket */
	TRAFFIC_UNCONNECTED, /* the same with sendto() */
	TRAFFIC_KIND_N
};

#define TRAFFIC_PLACES 25

struct traffic {
	enum traffic_kind kind;
	const struct node *node; /* the process is where the client is */
	int helper;		 /* process whose CPU time counts, too; 0: none */
	struct sockaddr_in places[TRAFFIC_PLACES]; /* destinations, used in turn */
	struct traffic_flow {
		int client, server;
	} flows[TRAFFIC_PLACES]; /* open at the same time, one to each place */
	unsigned next;
};

struct traffic_result {
	uint64_t cpu_ns, wall_ns;
};

bool traffic_is_tcp(enum traffic_kind kind);
const char *traffic_name(enum traffic_kind kind);

/* All functions exit when an operation fails. Opens the flows, and runs n operations. */
void traffic_open(struct traffic *t, unsigned n);
/* Runs n operations. */
struct traffic_result traffic_run(struct traffic *t, unsigned n);
/* Runs n operations whose times, in ns, are added to latency. */
void traffic_time(struct traffic *t, unsigned n, struct samples *latency);
void traffic_close(struct traffic *t);
