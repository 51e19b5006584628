/*
 * Local routes: they make this host accept packets to service addresses, without
 * adding addresses to an interface.  They have a protocol number of ours, and a
 * metric that leaves local routes of other programs in effect.  Routes of other
 * programs are never touched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"

#define RELAY_ROUTE_PROTOCOL 183

struct relay_routes;

/* 0, or -errno. Reads the routes that an earlier run left. */
int relay_routes_open(struct relay_routes **ret);
/*
 * Whether relay_routes_close() removes all of ours. Not at first: they are those of a
 * daemon that runs, or of an earlier one.
 */
void relay_routes_own(struct relay_routes *r, bool is_own);
void relay_routes_close(struct relay_routes *r);

/* Whether this process may change routes. */
bool relay_routes_is_permitted(struct relay_routes *r);

/*
 * Reads what the kernel has again, and the source address for connections of
 * this host. Then all routes count as unwanted until they are requested. 0, or -errno.
 */
int relay_routes_restart(struct relay_routes *r);
/* Removes those that were not requested since the restart. */
void relay_routes_prune(struct relay_routes *r);

/* Reference counted. 0, or -errno. */
int relay_routes_get(struct relay_routes *r, const struct cidr *net);
void relay_routes_put(struct relay_routes *r, const struct cidr *net);

/* A descriptor that is readable when routes change, and whether one of ours was removed. */
int relay_routes_fd(const struct relay_routes *r);
bool relay_routes_check(struct relay_routes *r);
/*
 * Reads the kernel's: '-' for a wanted one that it has not, '+' for one of ours that
 * is not wanted. 0, or -errno.
 */
int relay_routes_compare(struct relay_routes *r,
			 void (*fn)(void *data, char sign, const struct cidr *net),
			 void *data);
size_t relay_routes_n(const struct relay_routes *r);

/* Removes all routes of our protocol number. 0, or -errno; *ret_n is their number. */
int relay_routes_cleanup(size_t *ret_n);
