/*
 * Binds many clients by session affinity, as their packets would: the map of the
 * rules is filled through netlink.  For tests and benchmarks of its size.
 */
#pragma once

#include <stdint.h>

/*
 * In this network namespace, for IPv4: n clients, from 100.64.0.0 on, are bound in
 * turn to the endpoints of all services with affinity. 0, or -errno; -ENOENT if
 * there are no such endpoints.
 */
int affinity_fill(uint32_t n);
