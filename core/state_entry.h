/*
 * The parts of a state; private to state.c, state_view.c and state_entry.c.
 *
 * An entry is one service.  The entries of one Kubernetes Service are a list
 * in key order; the table `groups` has the first entry of each list.
 *
 * An entry has three services, mostly the same block: desired (by the source),
 * visible (desired without the frontends that others hold) and taken (visible,
 * as of the last take).  Between calls, an entry is in `dirty` exactly when
 * visible and taken differ.  An entry with neither desired nor taken is removed.
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
	struct service *desired; /* NULL: removed, but this was not taken yet */
	struct service *visible, *taken;
	struct entry *next;   /* in its group */
	struct claim *claims; /* one for each frontend of desired */
	uint32_t index;	      /* in state->entries, while desired */
	uint32_t dirty_index; /* in state->dirty, or NOT_DIRTY */
	uint32_t n_waiting;   /* claims that don't hold */
	bool is_touched;
};

struct entry_list {
	struct entry **items;
	size_t n, cap;
};

/* Previous claims of an entry, until they are released. */
struct detached {
	struct claim *claims;
	size_t n;
	struct service *service; /* a reference: the claims point at its frontends */
};

struct state {
	struct hash groups, claims;
	size_t n_waiting; /* claims that don't hold, of all entries */
	uint32_t serial;  /* of the last state_replace(); its new claims have it */
	struct entry_list entries; /* those with a desired service */
	struct entry_list dirty;
	/* Both are empty between calls: */
	struct entry_list touched; /* visible must be rebuilt */
	struct detached *detached;
	size_t n_detached, detached_cap;
};

/* Any of its services: all have the same key. */
static inline const struct service *entry_service(const struct entry *e)
{
	return e->desired ? e->desired : e->visible ? e->visible : e->taken;
}

extern const struct hash_ops entry_group_ops;
/* The first entry of a Kubernetes Service, or NULL. */
struct entry *state_find_group(const struct state *st, const char *ns, const char *name);

size_t entry_list_add(struct entry_list *list, struct entry *e);
/* The last item moves to the free place; returns it. */
struct entry *entry_list_del(struct entry_list *list, size_t index);
void entry_set_dirty(struct state *st, struct entry *e, bool is_dirty);
void entry_touch(struct state *st, struct entry *e);
/* Removes it from its group and from dirty, and frees it; it has neither desired nor taken. */
void entry_remove(struct state *st, struct entry *e);
/* Frees only the memory. */
void entry_free(struct entry *e);
