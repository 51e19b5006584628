/*
 * Services, and the traffic to be seen with them.  Those that have a name here
 * hold for every way to program a node: the daemon's own rules, and what
 * `sluice dump` prints for another tool.
 */
#pragma once

#include "core/cleanup.h"
#include "tests/kernel/manifest.h"
#include "tests/kernel/traffic.h"

struct scenario {
	const struct manifest_service *services;
	size_t n_services;
	const struct traffic_row *rows;
	size_t n_rows;
};

/* Of two arrays. */
#define SCENARIO(SERVICES, ROWS)                                                         \
	(&(const struct scenario){SERVICES, N_ELEMENTS(SERVICES), ROWS, N_ELEMENTS(ROWS)})

/* loadBalancerSourceRanges guard load balancer addresses, and nothing else. */
extern const struct scenario *const scenario_source_ranges;

/*
 * Table B5, who is masqueraded and balanced over what: for every source, kind
 * of address and policy, with and without pod detection (pod3 at least),
 * and with --masquerade-all.
 */
extern const struct scenario *const scenario_pods_known;
extern const struct scenario *const scenario_pods_known_by_interface;
extern const struct scenario *const scenario_pods_unknown;
extern const struct scenario *const scenario_masquerade_all;
extern const struct scenario *const scenario_masquerade_all_pods_unknown;
