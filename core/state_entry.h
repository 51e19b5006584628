/*
 * The parts of a state; private to the files state*.c.
 *
 * An entry is one service.  The entries of one Kubernetes Service are a list
 * in key order; the table `groups` has the first entry of each list.
 *
 * An entry has three services, mostly the same block: desired (by the source),
 * visible (desired without the places that others hold) and taken (visible,
 * as of the last take).  Between calls, an entry is in `dirty` exactly when
 * visible and taken differ.  An entry with neither desired nor taken is removed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/changeset.h"
#include "core/claims.h"
#include "core/hash.h"
#include "core/slab.h"
#include "core/service.h"

#define NOT_DIRTY UINT32_MAX

struct entry {
	struct service *desired; /* NULL: removed, but this was not taken yet */
	struct service *visible, *taken;
	struct entry *next;   /* in its group */
	struct claim *claims; /* one for each frontend of desired */
	uint32_t index;	      /* in state->entries, while desired */
	uint32_t dirty_index; /* in state->dirty, or NOT_DIRTY */
	uint32_t n_waiting;   /* places that it wants and others hold */
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

struct node_address {
	struct addr addr;
	uint64_t serial; /* when it came, as of claims */
};

/* Claims with one port: how many are at one address, how many everywhere. */
struct port_claims {
	uint32_t n_exact, n_everywhere;
};

struct state {
	struct hash groups, claims;
	struct slab slab;		      /* of entries */
	struct port_claims *ports;	      /* by port; only used pages cost memory */
	struct node_address *nodes[FAMILY_N]; /* by address */
	struct addr *taken_nodes[FAMILY_N];   /* as of the last take */
	size_t n_nodes[FAMILY_N], n_taken_nodes[FAMILY_N];
	bool has_new_nodes;
	size_t n_waiting;	  /* of all entries */
	uint64_t waiting_version; /* see state_conflicts_version() */
	uint64_t serial; /* of the last call; claims and addresses that it adds have it */
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
void entry_free(struct state *st, struct entry *e);

/*
 * state_node.c.  A frontend everywhere and one at a node address may want the same
 * place: the older claim holds it, counted from when the address came.  Claims of one
 * service do not compete, the exact frontend has the place.
 */
void state_nodes_init(struct state *st);
void state_nodes_fini(struct state *st);
/* Adds a claim to its queue, or removes it; touches all entries that it may concern. */
void state_put_claim(struct state *st, struct claim *c);
struct claim *state_del_claim(struct state *st, struct claim *c);
/* Replaces the list, and touches the entries that it may concern. */
void state_replace_nodes(struct state *st, enum family family, const struct addr *addrs,
			 size_t n);
/* Changes of the list since the last call; *ret_n of them, the caller frees the array. */
struct node_change *state_take_nodes(struct state *st, size_t *ret_n);
/* The first claim everywhere that is at the place of this exact one, too, or NULL. */
const struct claim *state_rival_of(const struct state *st, const struct claim *exact);
/* Does the exact claim have the place where both are? */
bool state_is_exact_first(const struct state *st, const struct claim *exact,
			  const struct claim *everywhere);
/* The visible service of an entry, and how many places it waits for. */
struct service *state_make_visible(const struct state *st, const struct entry *e,
				   uint32_t *ret_waiting);
