/*
 * The order in which a connection tries endpoints: the bound one first, then all
 * of the pool in a random order.  Those that failed a short time ago are set aside:
 * tried last, not never.  An order is a start and a stride, without a list.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"

#define RELAY_ASIDE_N 1024

/* Failed endpoints, of one worker. Two with the same place replace each other. */
struct relay_aside { /* embedded; zeroed is empty, and may be used by all threads */
	pthread_mutex_t lock;
	struct {
		struct addr addr;
		uint16_t port;
		uint64_t since_ms, until_ms;
	} items[RELAY_ASIDE_N];
};

void relay_aside_put(struct relay_aside *a, const struct addr *addr, uint16_t port,
		     uint64_t now_ms, uint64_t duration_ms);
/*
 * True while it is set aside; *ret_since_ms is since when. Then false once, for a trial,
 * during which it stays set aside for other connections.
 */
bool relay_aside_has(struct relay_aside *a, const struct addr *addr, uint16_t port,
		     uint64_t now_ms, uint64_t trial_ms, uint64_t *ret_since_ms);
/* It has accepted a connection. */
void relay_aside_clear(struct relay_aside *a, const struct addr *addr, uint16_t port);

/* Reports all that are set aside. */
void relay_aside_each(struct relay_aside *a, uint64_t now_ms,
		      void (*fn)(void *data, const struct addr *addr, uint16_t port,
				 uint64_t until_ms),
		      void *data);

struct relay_order { /* embedded */
	uint32_t n, at, stride, n_left;
};

void relay_order_init(struct relay_order *o, uint32_t n, uint64_t random);
/* The next position below n; false when each of them was returned once. */
bool relay_order_next(struct relay_order *o, uint32_t *ret);
