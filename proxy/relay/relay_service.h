/*
 * A service port as the workers see it: the decided value, and its endpoints
 * with their counters.  Each change of a service makes a new version.  A version
 * is immutable but for counters, and shared by reference count; connections keep
 * the version that they were accepted for.  Endpoints and the account belong to
 * all versions that have them, so counters continue.
 *
 * All counters are written and read with relaxed atomic operations.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cleanup.h"
#include "core/service.h"
#include "proxy/relay/relay_class.h"

enum relay_direction {
	RELAY_IN,
	RELAY_OUT,
	RELAY_DIRECTION_N
}; /* from clients, to them */

struct relay_load { /* the connections and flows that are open */
	uint64_t n, n_bytes[RELAY_DIRECTION_N];
};

struct relay_endpoint {
	uint32_t refs;
	uint16_t port;
	struct addr addr;
	uint64_t close_at_ms; /* when its connections are closed; 0: never */
	uint64_t n_connections, n_failures;
	struct relay_load load;
};

enum relay_counter {
	RELAY_CONNECTIONS, /* accepted */
	RELAY_FAILED,	   /* of these: no endpoint accepted */
	RELAY_RETRIES,	   /* endpoints that failed, and another one was tried */
	RELAY_UP,	   /* bytes from clients */
	RELAY_DOWN,	   /* bytes from endpoints */
	RELAY_FLOWS,	   /* of UDP */
	RELAY_EVICTED,	   /* of these: ended to make room for others */
	RELAY_DATAGRAMS_UP,
	RELAY_DATAGRAMS_DOWN,
	RELAY_DROPPED, /* datagrams without an endpoint, or that could not be sent */
	RELAY_COUNTER_N,
};

struct relay_account {
	uint32_t refs;
	uint32_t affinity_id; /* of this service port, never used for another one */
	struct relay_load load;
	uint64_t counters[RELAY_COUNTER_N];
};

struct relay_service {
	uint32_t refs;
	struct service *service;
	struct relay_account *account;
	struct relay_classifier classifier;
	uint32_t *pool[POOL_N]; /* indexes of endpoints; their number is the service's */
	struct relay_endpoint *endpoints[]; /* in the order of the service */
};

static inline void relay_count(uint64_t *counter, uint64_t n)
{
	(void)__atomic_add_fetch(counter, n, __ATOMIC_RELAXED);
}

static inline void relay_uncount(uint64_t *counter, uint64_t n)
{
	(void)__atomic_sub_fetch(counter, n, __ATOMIC_RELAXED);
}

static inline uint64_t relay_counted(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* A connection or flow ends that carried these bytes. */
static inline void relay_unload(struct relay_load *load, uint64_t in, uint64_t out)
{
	relay_uncount(&load->n_bytes[RELAY_IN], in);
	relay_uncount(&load->n_bytes[RELAY_OUT], out);
	relay_uncount(&load->n, 1);
}

/* The next version; old may be NULL. Takes nothing, returns one reference. */
struct relay_service *relay_service_new(const struct service *service,
					const struct relay_classifier *classifier,
					const struct relay_service *old);
struct relay_service *relay_service_ref(struct relay_service *s);
void relay_service_unref(struct relay_service *s);
struct relay_endpoint *relay_endpoint_ref(struct relay_endpoint *e);
void relay_endpoint_unref(struct relay_endpoint *e);

/*
 * Decides what happens to connections of the endpoints that old has and its
 * successor (NULL: none) has not. UDP flows end with their endpoint, and when it serves
 * no longer. True if some are to be closed.
 */
bool relay_service_retire(const struct relay_service *old,
			  const struct relay_service *successor, uint64_t now_ms);
