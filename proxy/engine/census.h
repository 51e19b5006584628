/*
 * The connections that services have now: a census of each sink that can take one,
 * added up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sink_view.h"

struct census;
struct changeset;
struct dataplane;

/* Starts it; NULL: no sink knows connections. */
struct census *census_new(const struct dataplane *dp, const struct changeset *of);
void census_free(struct census *c);
/* Never waits. 1: it continues; 0: it is complete; -errno: there is no result. */
int census_step(struct census *c);
/* Of such an error. */
void census_log_failure(const struct census *c, int err);

/* Of a complete one: are they counted? */
bool census_has_bytes(const struct census *c);
bool census_has_packets(const struct census *c);
/* The i-th frontend or endpoint of a service, by its index among the changes. */
struct sink_flows census_of(const struct census *c, size_t service, bool is_endpoint,
			    uint32_t i);
