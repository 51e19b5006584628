/*
 * The desired state: all services, and their changes since the last take.
 * Frontends are unique here.  When two services claim the same address,
 * protocol and port, the first claim holds it.  The others wait and take over,
 * oldest first, when it is released.  Sinks get a copy of a waiting service
 * without the frontends that it does not hold.  A frontend moves from one
 * service to another within one take.
 *
 * A node port at all node addresses is one claim, and one frontend of the visible
 * service.  Only where another service holds its port at one of the addresses, the
 * visible service has a frontend for each of the others instead.
 *
 * Changes are collected until taken: several changes of one service become one
 * (first old -> last new), and none if both are equal.  The cost depends on the
 * number of changes only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/changeset.h"

struct state;

struct state *state_new(void);
void state_free(struct state *st);

/*
 * Replaces all services of the Kubernetes Service ns/name (its ports, in each
 * family).  n may be 0.  Takes a reference of each item; all must have that ns
 * and name.  Among items with the same key the first is used; among items that
 * claim the same frontend the first gets it.
 */
void state_replace(struct state *st, const char *ns, const char *name,
		   struct service *const *services, size_t n);

/*
 * Where frontends everywhere are, in order; environment.node_addresses.  Only services
 * that share a place with others there change by it.
 */
void state_set_node_addresses(struct state *st, enum family family,
			      const struct addr *addrs, size_t n);

/* True if the next take has changes. */
bool state_has_changes(const struct state *st);

/*
 * The changes since the last take, or (full) every service, without the
 * frontends that it waits for.  The array and the services stay valid until
 * state_taken_fini().
 */
struct state_taken {
	struct change *changes;
	size_t n;
	struct node_change *node_changes; /* none if full */
	size_t n_node_changes;
	bool full;
};
struct state_taken state_take(struct state *st, bool full);
void state_taken_fini(struct state_taken *taken);

size_t state_n_services(const struct state *st);

/* Every visible service, in no order: for (size_t i = 0; (s = state_next(st, &i));) */
const struct service *state_next(const struct state *st, size_t *cursor);
/* All in key order; the caller frees the array, not the services. */
const struct service **state_sorted(const struct state *st, size_t *ret_n);

/*
 * A visible service of the Kubernetes Service ns/name, of this family and protocol, or
 * NULL; its cost is that of this Service.
 */
const struct service *state_find_service(const struct state *st, const char *ns,
					 const char *name, enum family family,
					 uint8_t proto);

/*
 * The service that holds this place, or NULL; ret_frontend may be NULL.  The frontend
 * may be one at all node addresses.
 */
const struct service *state_find_frontend(const struct state *st, const struct addr *addr,
					  uint8_t proto, uint16_t port,
					  const struct frontend **ret_frontend);

/* Number of places that a service waits for; in constant time. */
size_t state_n_conflicts(const struct state *st);
/* Another one than before if these places may be others; 0: there was never one. */
uint64_t state_conflicts_version(const struct state *st);

/* A claim that waits, and the holder of its frontend.  Desired services, not visible ones. */
struct state_conflict {
	struct frontend frontend;
	const struct service *holder, *waiting;
};
/* All of them, by frontend address, port, then waiting key; the caller frees the array. */
struct state_conflict *state_conflicts(const struct state *st, size_t *ret_n);
