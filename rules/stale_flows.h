/*
 * The sink that forgets UDP flows whose endpoint is gone: after a change that
 * touched UDP services, conntrack entries to their frontends (old and new)
 * whose reply source is no serving endpoint are deleted.  Flows to serving
 * endpoints, and TCP and SCTP, are never touched.  Comes after the sink that
 * programs the kernel.
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
