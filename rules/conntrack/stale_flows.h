/*
 * The sink that deletes stale conntrack entries, so that the next packet of
 * such a flow is handled like the first of a new one.  It comes after the sink
 * that programs the kernel.
 *
 * UDP: after a change of UDP services, flows to their frontends (old and new)
 * whose reply source is not a serving endpoint.  Flows to serving endpoints
 * are never touched.
 *
 * TCP and SCTP: after a full change set, flows to a frontend that were opened
 * but neither answered nor translated: the rules did not exist when their
 * first packet came.  All others are never touched.
 */
#pragma once

#include <stdint.h>

#include "core/sink.h"

/* -errno if conntrack's netlink interface is not usable. */
int stale_flows_new(struct sink **ret);

struct stale_flows_stats {
	uint64_t n_dumps, n_deleted[FAMILY_N];
};
/* For tests; the sink's view reports them to /metrics. */
struct stale_flows_stats stale_flows_stats(const struct sink *sink);
