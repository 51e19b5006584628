/*
 * Messages of a conntrack dump -> flows.
 *
 * The attributes are read with libmnl alone: libnetfilter_conntrack ends the
 * process when one of them has a size that it does not expect.
 */
#pragma once

#include <stdbool.h>

#include "rules/conntrack/flow_match.h"

struct nlattr;
struct nlmsghdr;

/* A flow and, as the kernel sent them, the attributes that identify it to the kernel. */
struct conntrack_flow {
	struct flow flow;
	const struct nlattr *tuple;	/* CTA_TUPLE_ORIG */
	const struct nlattr *zone, *id; /* 2 and 4 bytes; may be NULL */
};

/* The packets and bytes of a flow, from the client and back, if the kernel counts them. */
struct conntrack_traffic {
	bool is_ended; /* TCP and SCTP: it only waits to be forgotten */
	bool has_counters;
	uint64_t n_packets[2], n_bytes[2];
};

void conntrack_read_traffic(const struct nlmsghdr *nlh, uint8_t proto,
			    struct conntrack_traffic *ret);

/* False when the message does not describe a whole flow of IPv4 or IPv6. */
bool conntrack_read_flow(const struct nlmsghdr *nlh, struct conntrack_flow *ret);
