/*
 * Counts the connections of services in the kernel's connection tracking table.  A
 * thread does all of it, with a socket and memory of its own: the table may hold
 * millions of flows, and the event loop is not delayed.
 *
 * The kernel leaves out flows without destination NAT (since 5.15), and for a few
 * frontends all flows to others (since 5.8).
 */
#pragma once

#include <stdbool.h>

#include "core/changeset.h"
#include "core/sink_view.h"

/*
 * Takes references of the new services. is_busy outlives it: one census runs at a time,
 * others wait for it.
 */
struct sink_census *flow_census_new(const struct changeset *of, bool *is_busy);
