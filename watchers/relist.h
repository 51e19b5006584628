/*
 * Mark and sweep while all objects of a kind are listed anew: remembers which
 * of those that are held were put since it began, so that the rest can go.
 * It costs memory only while it runs.
 */
#pragma once

#include <stdbool.h>

#include "core/hash.h"
#include "watchers/objects.h"

struct relist { /* embedded */
	bool is_running;
	struct hash seen; /* of objects, by identity */
};

void relist_init(struct relist *r);
void relist_fini(struct relist *r);

/* Begins; what was seen before is forgotten. */
void relist_start(struct relist *r);
void relist_stop(struct relist *r);

/* This object is held, and was put just now. */
void relist_note(struct relist *r, struct object *o);
/* It is held no longer: its memory may become another object's. */
void relist_forget(struct relist *r, const struct object *o);
bool relist_has(const struct relist *r, const struct object *o);
