/*
 * Who gets a frontend.  The claims on one (address, protocol, port) form a
 * queue in order of arrival; its first one is the holder.  Claims belong to
 * the caller, who keeps them in place while they are in a queue.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/hash.h"
#include "core/service.h"

struct claim { /* embedded; the caller sets the first three */
	void *owner;
	const struct frontend *frontend; /* borrowed */
	uint8_t proto;
	bool is_holder;
	bool is_leaving; /* the caller's own marks */
	uint32_t serial;
	struct claim *next, *prev; /* the first one's prev is the last one */
};

void claims_init(struct hash *claims);
/* The claims themselves are left as they are. */
void claims_fini(struct hash *claims);
/* To the end of its queue. */
void claims_put(struct hash *claims, struct claim *claim);
/* Out of its queue; returns who became the holder by that, or NULL. */
struct claim *claims_del(struct hash *claims, struct claim *claim);
/* "to", in no queue and on the same frontend, takes the place of "from", which is out. */
void claims_move(struct hash *claims, struct claim *from, struct claim *to);
struct claim *claims_holder(const struct hash *claims, const struct frontend *frontend,
			    uint8_t proto);
