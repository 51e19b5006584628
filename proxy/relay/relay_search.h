/*
 * The search for the endpoint of a new connection or flow, after the decision about
 * its client.  Rounds: the endpoint that affinity names, then all that are not set
 * aside, then those that were set aside before the search started.  An endpoint that
 * fails during the search is set aside later than that, so none is tried twice.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/relay/relay_choice.h"
#include "proxy/relay/relay_service.h"

struct relay_shared;
struct relay_worker;

struct relay_search { /* embedded */
	struct relay_order order;
	uint32_t bound; /* index of the endpoint that affinity names; UINT32_MAX: none */
	uint8_t pool, round;
	uint64_t since_ms;
};

/* How long one endpoint has to accept. */
uint32_t relay_search_connect_ms(const struct relay_service *s);
/* Whether the decision depends on the class of the client. */
bool relay_search_needs_class(const struct frontend *f);
/* ifindex: where its packets came in; 0: unknown. It is not used otherwise. */
const struct decision *relay_search_decide(const struct relay_service *s,
					   const struct frontend *f,
					   const struct addr *client, unsigned ifindex);

/* The index of the endpoint that this client had; UINT32_MAX: none that is in the pool. */
uint32_t relay_search_bound(const struct relay_shared *shared,
			    const struct relay_service *s, const struct addr *client,
			    uint8_t pool);

void relay_search_start(struct relay_search *search, struct relay_worker *w,
			const struct relay_service *s, const struct addr *client,
			uint8_t pool);
/* The index of the next endpoint to try; false: there is none. */
bool relay_search_next(struct relay_search *search, struct relay_worker *w,
		       const struct relay_service *s, uint32_t *ret);
/* The endpoint is used: counts, and binds the client to it. */
void relay_search_found(struct relay_worker *w, const struct relay_service *s,
			const struct addr *client, struct relay_endpoint *e);
/* It failed: counts, and sets it aside. */
void relay_search_failed(struct relay_worker *w, const struct relay_service *s,
			 struct relay_endpoint *e);
