/*
 * What a state is made of; for state.c, state_view.c and state_entry.c only.
 *
 * An entry is one service.  The entries of one Kubernetes Service are a list
 * in key order, whose first one stands in the table `groups`.
 *
 * An entry has three services, mostly the same block: wanted (by the source),
 * seen (wanted without the frontends that others hold) and told (seen, as of
 * the last take).  Between calls, it is in `dirty` exactly when seen and told
 * differ, and an entry that is neither wanted nor told does not exist.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/claims.h"
#include "core/hash.h"
#include "core/service.h"

#define NOT_DIRTY UINT32_MAX

struct entry {
	struct service *wanted; /* NULL: gone, but not yet told */
	struct service *seen, *told;
	struct entry *next;   /* in its group */
	struct claim *claims; /* one for each frontend of wanted */
	uint32_t index;	      /* in state->entries, while wanted */
	uint32_t dirty_index; /* in state->dirty, or NOT_DIRTY */
	uint32_t n_waiting;   /* claims that don't hold */
	bool is_touched;
};

struct entry_list {
	struct entry **items;
	size_t n, cap;
};

/* Claims that an entry had, until their places are passed on. */
struct departure {
	struct claim *claims;
	size_t n;
	struct service *service; /* a reference: the claims point at its frontends */
};

struct state {
	struct hash groups, claims;
	size_t n_waiting; /* claims that don't hold, of all entries */
	uint32_t serial;  /* of the state_replace(), to tell the claims that it made */
	struct entry_list entries; /* those that are wanted */
	struct entry_list dirty;
	/* Both are empty between calls: */
	struct entry_list touched; /* seen must be made again */
	struct departure *departures;
	size_t n_departures, departures_cap;
};

/* Any of its services: all have its key. */
static inline const struct service *entry_service(const struct entry *e)
{
	return e->wanted ? e->wanted : e->seen ? e->seen : e->told;
}

extern const struct hash_ops entry_group_ops;
/* The first entry of a Kubernetes Service, or NULL. */
struct entry *state_find_group(const struct state *st, const char *ns, const char *name);

size_t entry_list_add(struct entry_list *list, struct entry *e);
/* The last item moves to the free place; returns it. */
struct entry *entry_list_del(struct entry_list *list, size_t index);
void entry_set_dirty(struct state *st, struct entry *e, bool is_dirty);
void entry_touch(struct state *st, struct entry *e);
/* Out of its group and out of dirty, and freed; it is neither wanted nor told. */
void entry_remove(struct state *st, struct entry *e);
/* Just the memory. */
void entry_free(struct entry *e);
