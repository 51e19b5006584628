/*
 * The sink that forgets flows that lead nowhere, so that their next packet
 * goes where a new one would.  Comes after the sink that programs the kernel.
 *
 * UDP: after a change that touched UDP services, flows to their frontends (old
 * and new) whose reply source is no serving endpoint.  Flows to serving
 * endpoints are never touched.
 *
 * TCP and SCTP: after a full change set, flows to a frontend that were opened
 * and not answered, and that nothing has translated: the rules weren't there
 * when their first packet came.  All others are never touched.
 */
#pragma once

#include <stdint.h>

#include "core/sink.h"

/* -errno when conntrack's netlink interface isn't there. */
int stale_flows_new(struct sink **ret);

struct stale_flows_stats {
	uint64_t n_dumps, n_deleted[FAMILY_N];
	uint64_t last_us;
};
struct stale_flows_stats stale_flows_stats(const struct sink *sink);
