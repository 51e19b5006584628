/*
 * What should be: all services that are wanted, and what has changed since it
 * was last asked.  Frontends are kept unique here: when two services claim the
 * same address, protocol and port, the first claim holds it, the others wait
 * and take over, oldest first, when it goes.  What sinks see of a waiting
 * service is a copy without the frontends that it does not hold.  A frontend
 * that goes from one service to another does so within one take.
 *
 * Changes are collected until taken: several changes of one service become
 * one (first old -> last new), and one that ends where it began is none.
 * Cost is that of what changed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/changeset.h"

struct state;

struct state *state_new(void);
void state_free(struct state *st);

/*
 * These are now all services of the Kubernetes Service ns/name (its ports, in
 * each family); what it had besides goes.  n may be 0.  Takes a reference of
 * each item; all must carry that ns and name. Of several with the same key the
 * first counts; of several that claim the same frontend the first is first.
 */
void state_replace(struct state *st, const char *ns, const char *name,
		   struct service *const *services, size_t n);

/* Is there anything to take? */
bool state_has_changes(const struct state *st);

/*
 * The changes since the last take, or (full) every service, as seen by sinks.
 * The array and the services stay valid until the next state_* call that
 * changes the state or state_taken_fini(); env is left NULL for the caller.
 */
struct state_taken {
	struct change *changes;
	size_t n;
	bool full;
};
struct state_taken state_take(struct state *st, bool full);
void state_taken_fini(struct state_taken *taken);

size_t state_n_services(const struct state *st);

/* Every service as sinks see it, in no order: for (size_t i = 0; (s = state_next(st, &i));) */
const struct service *state_next(const struct state *st, size_t *cursor);
/* All in key order; the caller frees the array, not the services. */
const struct service **state_sorted(const struct state *st, size_t *ret_n);

/* The service that holds this frontend, or NULL; *ret_frontend may be NULL. */
const struct service *state_find_frontend(const struct state *st, const struct addr *addr,
					  uint8_t proto, uint16_t port,
					  const struct frontend **ret_frontend);

/* How many claims wait; costs nothing. */
size_t state_n_conflicts(const struct state *st);

/* A claim that waits, and who has what it wants.  As wanted, not as seen by sinks. */
struct state_conflict {
	struct frontend frontend;
	const struct service *holder, *waiting;
};
/* All of them, by frontend address, port, then waiting key; the caller frees the array. */
struct state_conflict *state_conflicts(const struct state *st, size_t *ret_n);
