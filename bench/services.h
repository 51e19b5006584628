/*
 * The Services of bench/workload.h as sinks receive them, without the objects:
 * cluster IPs that are balanced over all endpoints. Even numbers are TCP; odd
 * ones may be UDP.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/changeset.h"

struct services {
	struct environment env;
	struct change *changes; /* one for each Service, as of a full change set */
	uint32_t n, n_endpoints;
	bool has_udp;
};

/* Both families, pods by their CIDR. */
struct environment services_environment(void);

void services_init(struct services *s, uint32_t n, uint32_t n_endpoints, bool has_udp);
void services_fini(struct services *s);
/* Borrows the changes. */
struct changeset services_all(const struct services *s);

/* One reference. version as in workload_endpoint(). */
struct service *services_make(const struct services *s, uint32_t number,
			      uint32_t version);
