/*
 * Changing the state.  state_replace() finds the entries to add, keep and
 * remove.  New claims are put first, old ones are released after that, and
 * then the visible service of each touched entry is rebuilt.
 */
#include "core/state.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/state_entry.h"

#define DIRTY_KEEP 1024 /* entries */

/* One item of a state_replace(). */
struct replacement {
	struct service *service;
	struct entry *entry;
	size_t position; /* in the caller's array */
};

static bool same_places(const struct service *a, const struct service *b)
{
	if (a->n_frontends != b->n_frontends)
		return false;
	for (uint32_t i = 0; i < a->n_frontends; i++)
		if (service_compare_frontend(&a->frontends[i], &b->frontends[i]) != 0)
			return false;
	return true;
}

static struct detached *detach(struct state *st, struct entry *e)
{
	struct detached *d;

	st->detached = xgrow(st->detached, st->n_detached, &st->detached_cap,
			     sizeof(*st->detached));
	d = &st->detached[st->n_detached++];
	*d = (struct detached){.claims = take_ptr(e->claims),
			       .n = e->desired ? e->desired->n_frontends : 0,
			       .service = take_ptr(e->desired)};
	for (size_t i = 0; i < d->n; i++)
		d->claims[i].is_leaving = true;
	return d;
}

/*
 * Puts claims for the frontends of the service.  A claim that the entry already
 * had keeps its place in the queue.  Both lists are sorted, so they are merged.
 */
static void claim_frontends(struct state *st, struct entry *e, struct service *service)
{
	struct detached *old = detach(st, e);
	size_t k = 0;

	e->desired = service;
	e->claims = xcalloc(service->n_frontends, sizeof(*e->claims));
	for (uint32_t i = 0; i < service->n_frontends; i++) {
		const struct frontend *f = &service->frontends[i];
		struct claim *c = &e->claims[i];

		*c = (struct claim){.owner = e,
				    .frontend = f,
				    .proto = service->proto,
				    .is_new = true,
				    .serial = st->serial};
		while (k < old->n &&
		       service_compare_frontend(old->claims[k].frontend, f) < 0)
			k++;
		if (k < old->n &&
		    service_compare_frontend(old->claims[k].frontend, f) == 0) {
			c->is_new = old->claims[k].is_new;
			c->serial = old->claims[k].serial;
			claims_move(&st->claims, &old->claims[k], c);
			old->claims[k++].owner = NULL;
		} else {
			state_put_claim(st, c);
		}
	}
}

/* Takes the reference. */
static void set_desired(struct state *st, struct entry *e, struct service *service)
{
	if (e->desired && service_equal(e->desired, service)) {
		service_unref(service);
		return;
	}
	entry_touch(st, e);
	if (!e->desired)
		e->index = (uint32_t)entry_list_add(&st->entries, e);
	if (!e->desired || !same_places(e->desired, service)) {
		claim_frontends(st, e, service);
		return;
	}
	for (uint32_t i = 0; i < service->n_frontends; i++)
		e->claims[i].frontend = &service->frontends[i];
	service_unref(e->desired);
	e->desired = service;
}

static void remove_desired(struct state *st, struct entry *e)
{
	uint32_t at = e->index;

	if (!e->desired)
		return;
	entry_touch(st, e);
	entry_list_del(&st->entries, at)->index = at;
	(void)detach(st, e);
}

static void note_holder(struct state *st, struct claim *c)
{
	if (!c->is_leaving)
		entry_touch(st, c->owner);
}

/*
 * When a frontend moves between two ports of one Kubernetes Service, the
 * Service keeps it, although others may wait.  The claims of this
 * state_replace() are the last ones in the queue; the first of them succeeds.
 */
static struct claim *find_successor(const struct state *st, struct claim *leaving)
{
	struct claim *c = claims_holder(&st->claims, leaving->frontend, leaving->proto);
	struct claim *successor = NULL;

	for (c = c->prev; c != leaving && c->is_new; c = c->prev)
		successor = c;
	return successor;
}

static void release_claim(struct state *st, struct claim *leaving)
{
	struct claim *successor = find_successor(st, leaving);

	if (!successor) {
		successor = state_del_claim(st, leaving);
		if (successor)
			note_holder(st, successor);
		return;
	}
	(void)state_del_claim(st, successor);
	claims_move(&st->claims, leaving, successor);
	successor->serial = leaving->serial;
	if (successor->is_holder)
		note_holder(st, successor);
}

static void release_detached(struct state *st)
{
	for (size_t i = 0; i < st->n_detached; i++) {
		struct detached *d = &st->detached[i];

		for (size_t k = 0; k < d->n; k++)
			if (d->claims[k].owner)
				release_claim(st, &d->claims[k]);
	}
	/* Not earlier: claims in a queue point at their frontends. */
	for (size_t i = 0; i < st->n_detached; i++) {
		free(st->detached[i].claims);
		service_unref(st->detached[i].service);
	}
	st->n_detached = 0;
}

static void set_service(struct service **at, struct service *takes)
{
	service_unref(*at);
	*at = takes;
}

static struct service *ref_or_null(const struct service *s)
{
	return s ? service_ref(s) : NULL;
}

static void settle(struct state *st, struct entry *e)
{
	bool is_as_taken;

	e->is_touched = false;
	st->waiting_version += e->n_waiting > 0;
	if (!e->desired && !e->taken) {
		st->n_waiting -= e->n_waiting;
		entry_remove(st, e);
		return;
	}
	for (uint32_t i = 0; e->desired && i < e->desired->n_frontends; i++)
		e->claims[i].is_new = false;
	st->n_waiting -= e->n_waiting;
	set_service(&e->visible, state_make_visible(st, e, &e->n_waiting));
	st->n_waiting += e->n_waiting;
	st->waiting_version += e->n_waiting > 0;
	is_as_taken = e->visible && e->taken && service_equal(e->visible, e->taken);
	if (is_as_taken)
		set_service(&e->taken, service_ref(e->visible)); /* one block is enough */
	entry_set_dirty(st, e, !is_as_taken);
}

static void settle_touched(struct state *st)
{
	for (size_t i = 0; i < st->touched.n; i++)
		settle(st, st->touched.items[i]);
	st->touched.n = 0;
}

static int compare_replacements(const void *a, const void *b)
{
	const struct replacement *x = a, *y = b;
	int order = service_compare_key(x->service, y->service);

	return order ? order : (x->position > y->position) - (x->position < y->position);
}

static int compare_positions(const void *a, const void *b)
{
	const struct replacement *x = a, *y = b;

	return (x->position > y->position) - (x->position < y->position);
}

static struct entry *new_entry(struct state *st, struct entry *next)
{
	struct entry *e = slab_take(&st->slab);

	*e = (struct entry){.next = next, .dirty_index = NOT_DIRTY};
	return e;
}

/*
 * Finds or makes the entry of each replacement; entries without one lose their
 * desired service.  Both are sorted by key.  The second of two replacements
 * with the same key gets no entry.
 */
static struct entry *match(struct state *st, struct entry *first,
			   struct replacement *replacements, size_t n)
{
	struct entry **at = &first;

	for (size_t i = 0; i < n; i++) {
		const struct service *service = replacements[i].service;
		int order = -1;

		if (i > 0 && service_same_key(replacements[i - 1].service, service))
			continue;
		while (*at &&
		       (order = service_compare_key(entry_service(*at), service)) < 0) {
			remove_desired(st, *at);
			at = &(*at)->next;
		}
		if (!*at || order != 0)
			*at = new_entry(st, *at);
		replacements[i].entry = *at;
		at = &(*at)->next;
	}
	for (; *at; at = &(*at)->next)
		remove_desired(st, *at);
	return first;
}

void state_replace(struct state *st, const char *ns, const char *name,
		   struct service *const *services, size_t n)
{
	_cleanup_(freep) struct replacement *replacements =
		xcalloc(n, sizeof(*replacements));
	struct entry *first = state_find_group(st, ns, name);

	st->serial++;
	for (size_t i = 0; i < n; i++)
		replacements[i] =
			(struct replacement){.service = services[i], .position = i};
	if (n > 1)
		qsort(replacements, n, sizeof(*replacements), compare_replacements);
	first = match(st, first, replacements, n);
	/* Among ports of one Service, the first in the caller's order gets a frontend. */
	if (n > 1)
		qsort(replacements, n, sizeof(*replacements), compare_positions);
	for (size_t i = 0; i < n; i++)
		if (replacements[i].entry)
			set_desired(st, replacements[i].entry, replacements[i].service);
		else
			service_unref(replacements[i].service);
	if (first)
		(void)hash_put(&st->groups, first);
	release_detached(st);
	settle_touched(st);
}

void state_set_node_addresses(struct state *st, enum family family,
			      const struct addr *addrs, size_t n)
{
	state_replace_nodes(st, family, addrs, n);
	settle_touched(st);
}

struct state *state_new(void)
{
	struct state *st = xcalloc(1, sizeof(*st));

	hash_init(&st->groups, &entry_group_ops);
	claims_init(&st->claims);
	slab_init(&st->slab, sizeof(struct entry));
	state_nodes_init(st);
	return st;
}

void state_free(struct state *st)
{
	if (!st)
		return;
	/* Entries without a desired service are all dirty. */
	for (size_t i = 0; i < st->dirty.n; i++)
		if (!st->dirty.items[i]->desired)
			entry_free(st, st->dirty.items[i]);
	for (size_t i = 0; i < st->entries.n; i++)
		entry_free(st, st->entries.items[i]);
	hash_fini(&st->groups);
	claims_fini(&st->claims);
	state_nodes_fini(st);
	slab_fini(&st->slab);
	free(st->entries.items);
	free(st->dirty.items);
	free(st->touched.items);
	free(st->detached);
	free(st);
}

bool state_has_changes(const struct state *st)
{
	return st->dirty.n > 0 || st->has_new_nodes;
}

/* Both references go to the change. */
static struct change take_change(struct entry *e)
{
	struct change change = {.old = e->taken, .new = ref_or_null(e->visible)};

	e->taken = ref_or_null(e->visible);
	e->dirty_index = NOT_DIRTY;
	return change;
}

/* The memory of a first take is not needed again. */
static void clear_dirty(struct state *st)
{
	st->dirty.n = 0;
	if (st->dirty.cap <= DIRTY_KEEP)
		return;
	free(st->dirty.items);
	st->dirty = (struct entry_list){0};
}

static struct state_taken take_delta(struct state *st)
{
	struct state_taken taken = {.n = st->dirty.n};

	taken.changes = xcalloc(taken.n, sizeof(*taken.changes));
	for (size_t i = 0; i < taken.n; i++) {
		struct entry *e = st->dirty.items[i];

		taken.changes[i] = take_change(e);
		if (!e->desired) {
			/* Removing it needs its key. */
			e->taken = service_ref(taken.changes[i].old);
			entry_remove(st, e);
		}
	}
	clear_dirty(st);
	taken.node_changes = state_take_nodes(st, &taken.n_node_changes);
	return taken;
}

static struct state_taken take_full(struct state *st)
{
	struct state_taken delta = take_delta(st);
	struct state_taken taken = {.n = st->entries.n, .full = true};

	state_taken_fini(&delta);
	taken.changes = xcalloc(taken.n, sizeof(*taken.changes));
	for (size_t i = 0; i < taken.n; i++)
		taken.changes[i].new = service_ref(st->entries.items[i]->visible);
	return taken;
}

struct state_taken state_take(struct state *st, bool full)
{
	return full ? take_full(st) : take_delta(st);
}

void state_taken_fini(struct state_taken *taken)
{
	for (size_t i = 0; i < taken->n; i++) {
		service_unref((struct service *)(uintptr_t)taken->changes[i].old);
		service_unref((struct service *)(uintptr_t)taken->changes[i].new);
	}
	free(taken->changes);
	free(taken->node_changes);
	*taken = (struct state_taken){0};
}
