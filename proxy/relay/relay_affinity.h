/*
 * ClientIP affinity: one table for all workers, or a client would have an endpoint
 * for each of them.  A binding belongs to a service port, ends after the service's
 * timeout without a new connection, and is dropped when the table is full and it
 * is its turn.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

struct relay_affinity;
struct relay_state_binding;

struct relay_affinity *relay_affinity_new(void);
void relay_affinity_free(struct relay_affinity *t);

/* The endpoint that this client had. False: none, or too long ago. */
bool relay_affinity_find(struct relay_affinity *t, uint32_t service,
			 const struct addr *client, uint64_t now_ms,
			 struct addr *ret_endpoint, uint16_t *ret_port);
/* Binds, or extends. */
void relay_affinity_put(struct relay_affinity *t, uint32_t service,
			const struct addr *client, uint64_t now_ms, uint32_t timeout_sec,
			const struct addr *endpoint, uint16_t port);
/* Reports all. */
void relay_affinity_each(struct relay_affinity *t,
			 void (*fn)(void *data, const struct relay_state_binding *b),
			 void *data);
size_t relay_affinity_n(struct relay_affinity *t);
