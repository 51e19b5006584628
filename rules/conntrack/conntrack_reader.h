/*
 * Datagrams of a conntrack dump -> flows.  Pure, so that it can be fed with
 * anything; flows that are incomplete are passed over.
 *
 * The attributes are read with libmnl alone: libnetfilter_conntrack ends the
 * process when one of them has a size that it doesn't expect.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/conntrack/flow_match.h"

struct nlattr;

/* A flow and, as the kernel sent them, the attributes that name it to the kernel. */
struct conntrack_flow {
	struct flow flow;
	const struct nlattr *tuple;	/* CTA_TUPLE_ORIG */
	const struct nlattr *zone, *id; /* 2 and 4 bytes; NULL when there is none */
};

typedef void (*conntrack_fn)(void *data, const struct conntrack_flow *found);

struct conntrack_reader {    /* embedded */
	uint32_t seq;	     /* of the request; other messages are ignored */
	bool is_interrupted; /* the kernel said that the dump is inconsistent */
	conntrack_fn fn;
	void *data;
};
/*
 * One datagram, aligned as netlink messages are. 1: more to come; 0: that was
 * the end; -errno: the kernel refused, or this is no netlink message.
 */
int conntrack_reader_feed(struct conntrack_reader *r, const void *bytes, size_t len);
