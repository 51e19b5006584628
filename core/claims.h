/*
 * Claims on frontends.  The claims on one (address, protocol, port) form a queue
 * in order of arrival; the first one is the holder.  Claims belong to the
 * caller and must not move while they are in a queue.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/hash.h"
#include "core/service.h"

struct claim { /* embedded; the caller sets the first three */
	void *owner;
	const struct frontend *frontend; /* borrowed */
	uint64_t proto : 8;
	uint64_t is_holder : 1;
	uint64_t is_leaving : 1, is_new : 1; /* the caller's own marks */
	uint64_t serial : 53;
	struct claim *next, *prev; /* the first one's prev is the last one */
};

void claims_init(struct hash *claims);
/* Does not change the claims. */
void claims_fini(struct hash *claims);
/* Appends it to its queue. */
void claims_put(struct hash *claims, struct claim *claim);
/* Removes it from its queue; returns the claim that became the holder, or NULL. */
struct claim *claims_del(struct hash *claims, struct claim *claim);
/* Replaces "from" by "to", which is in no queue and has the same frontend. */
void claims_move(struct hash *claims, struct claim *from, struct claim *to);
struct claim *claims_holder(const struct hash *claims, const struct frontend *frontend,
			    uint8_t proto);
