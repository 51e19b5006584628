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

struct traffic {
	enum traffic_kind kind;
	const struct node *node;	  /* the process is where the client is */
	const struct sockaddr_in *places; /* destinations, each used in turn */
	unsigned n_places;
	int helper; /* process whose CPU time counts, too; 0: none */
};

struct traffic_result {
	uint64_t cpu_ns, wall_ns;
};

bool traffic_is_tcp(enum traffic_kind kind);
const char *traffic_name(enum traffic_kind kind);
/*
 * Runs n of them, then n / 4 whose times are added to latency (in ns).
 * Exits when one fails.
 */
struct traffic_result traffic_run(const struct traffic *t, unsigned n,
				  struct samples *latency);
