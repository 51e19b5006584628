/*
 * How the state changes: state_replace() works out which entries come, stay and
 * go, lets them claim first and let go after that, and in the end makes anew
 * what sinks see of each entry that was touched.
 */
#include "core/state.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/state_entry.h"

/* One item of a state_replace(). */
struct wish {
	struct service *service;
	struct entry *entry;
	size_t place; /* in the caller's array */
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

static struct departure *depart(struct state *st, struct entry *e)
{
	struct departure *d;

	st->departures = xgrow(st->departures, st->n_departures, &st->departures_cap,
			       sizeof(*st->departures));
	d = &st->departures[st->n_departures++];
	*d = (struct departure){.claims = take_ptr(e->claims),
				.n = e->wanted ? e->wanted->n_frontends : 0,
				.service = take_ptr(e->wanted)};
	for (size_t i = 0; i < d->n; i++)
		d->claims[i].is_leaving = true;
	st->n_waiting -= e->n_waiting;
	e->n_waiting = 0;
	return d;
}

/*
 * Claims what the service wants. What the entry had before keeps its place in
 * the queue; both are sorted, so that finding it is a merge.
 */
static void claim_frontends(struct state *st, struct entry *e, struct service *service)
{
	struct departure *old = depart(st, e);
	size_t k = 0;

	e->wanted = service;
	e->claims = xcalloc(service->n_frontends, sizeof(*e->claims));
	for (uint32_t i = 0; i < service->n_frontends; i++) {
		const struct frontend *f = &service->frontends[i];
		struct claim *c = &e->claims[i];

		*c = (struct claim){.owner = e,
				    .frontend = f,
				    .proto = service->proto,
				    .serial = st->serial};
		while (k < old->n &&
		       service_compare_frontend(old->claims[k].frontend, f) < 0)
			k++;
		if (k < old->n &&
		    service_compare_frontend(old->claims[k].frontend, f) == 0) {
			c->serial = old->claims[k].serial;
			claims_move(&st->claims, &old->claims[k], c);
			old->claims[k++].owner = NULL;
		} else {
			claims_put(&st->claims, c);
		}
		e->n_waiting += !c->is_holder;
		st->n_waiting += !c->is_holder;
	}
}

/* Takes the reference. */
static void want(struct state *st, struct entry *e, struct service *service)
{
	if (e->wanted && service_equal(e->wanted, service)) {
		service_unref(service);
		return;
	}
	entry_touch(st, e);
	if (!e->wanted)
		e->index = (uint32_t)entry_list_add(&st->entries, e);
	if (!e->wanted || !same_places(e->wanted, service)) {
		claim_frontends(st, e, service);
		return;
	}
	for (uint32_t i = 0; i < service->n_frontends; i++)
		e->claims[i].frontend = &service->frontends[i];
	service_unref(e->wanted);
	e->wanted = service;
}

static void unwant(struct state *st, struct entry *e)
{
	uint32_t at = e->index;

	if (!e->wanted)
		return;
	entry_touch(st, e);
	entry_list_del(&st->entries, at)->index = at;
	(void)depart(st, e);
}

static void note_holder(struct state *st, struct claim *c)
{
	struct entry *e = c->owner;

	if (c->is_leaving)
		return;
	e->n_waiting--;
	st->n_waiting--;
	entry_touch(st, e);
}

/*
 * When one port of a Kubernetes Service lets go of what another port of it has
 * asked for in the same state_replace(), the place stays in the house. Those who
 * have just asked are at the end of the queue; the first of them inherits.
 */
static struct claim *find_heir(const struct state *st, struct claim *leaving)
{
	struct claim *c = claims_holder(&st->claims, leaving->frontend, leaving->proto);
	struct claim *heir = NULL;

	for (c = c->prev; c != leaving && c->serial == st->serial; c = c->prev)
		heir = c;
	return heir;
}

static void release(struct state *st, struct claim *leaving)
{
	struct claim *heir = find_heir(st, leaving);

	if (!heir) {
		heir = claims_del(&st->claims, leaving);
		if (heir)
			note_holder(st, heir);
		return;
	}
	(void)claims_del(&st->claims, heir);
	claims_move(&st->claims, leaving, heir);
	if (heir->is_holder)
		note_holder(st, heir);
}

static void release_departures(struct state *st)
{
	for (size_t i = 0; i < st->n_departures; i++) {
		struct departure *d = &st->departures[i];

		for (size_t k = 0; k < d->n; k++)
			if (d->claims[k].owner)
				release(st, &d->claims[k]);
	}
	/* Only now: until its claim is gone, a frontend may be looked at. */
	for (size_t i = 0; i < st->n_departures; i++) {
		free(st->departures[i].claims);
		service_unref(st->departures[i].service);
	}
	st->n_departures = 0;
}

/* What sinks see of a service some of whose claims wait. */
static struct service *without_waiting(const struct entry *e)
{
	const struct service *s = e->wanted;
	_cleanup_(freep) struct frontend *held = xcalloc(s->n_frontends, sizeof(*held));
	size_t n = 0;

	for (uint32_t i = 0; i < s->n_frontends; i++)
		if (e->claims[i].is_holder)
			held[n++] = s->frontends[i];
	return service_new(&(struct service_spec){
		.ns = service_namespace(s),
		.name = service_name(s),
		.port_name = service_port_name(s),
		.family = s->family,
		.proto = s->proto,
		.affinity_sec = s->affinity_sec,
		.local_ready = s->local_ready,
		.health_check_port = s->health_check_port,
		.frontends = held,
		.n_frontends = n,
		.endpoints = service_endpoints(s),
		.n_endpoints = s->n_endpoints,
		.allowed = service_allowed(s),
		.n_allowed = s->n_allowed,
	});
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
	bool is_as_told;

	e->is_touched = false;
	if (!e->wanted && !e->told) {
		entry_remove(st, e);
		return;
	}
	set_service(&e->seen, e->n_waiting ? without_waiting(e) : ref_or_null(e->wanted));
	is_as_told = e->seen && e->told && service_equal(e->seen, e->told);
	if (is_as_told)
		set_service(&e->told, service_ref(e->seen)); /* one block is enough */
	entry_set_dirty(st, e, !is_as_told);
}

static void settle_touched(struct state *st)
{
	for (size_t i = 0; i < st->touched.n; i++)
		settle(st, st->touched.items[i]);
	st->touched.n = 0;
}

static int compare_wishes(const void *a, const void *b)
{
	const struct wish *x = a, *y = b;
	int order = service_compare_key(x->service, y->service);

	return order ? order : (x->place > y->place) - (x->place < y->place);
}

static int compare_wish_places(const void *a, const void *b)
{
	const struct wish *x = a, *y = b;

	return (x->place > y->place) - (x->place < y->place);
}

static struct entry *new_entry(struct entry *next)
{
	struct entry *e = xcalloc(1, sizeof(*e));

	*e = (struct entry){.next = next, .dirty_index = NOT_DIRTY};
	return e;
}

/*
 * Finds or makes the entry of each wish, and unwants the entries that nobody
 * wishes for. Wishes are sorted by key, as the list is. A key that comes twice
 * leaves the later wish without an entry.
 */
static struct entry *match(struct state *st, struct entry *first, struct wish *wishes,
			   size_t n)
{
	struct entry **at = &first;

	for (size_t i = 0; i < n; i++) {
		const struct service *service = wishes[i].service;
		int order = -1;

		if (i > 0 && service_same_key(wishes[i - 1].service, service))
			continue;
		while (*at &&
		       (order = service_compare_key(entry_service(*at), service)) < 0) {
			unwant(st, *at);
			at = &(*at)->next;
		}
		if (!*at || order != 0)
			*at = new_entry(*at);
		wishes[i].entry = *at;
		at = &(*at)->next;
	}
	for (; *at; at = &(*at)->next)
		unwant(st, *at);
	return first;
}

void state_replace(struct state *st, const char *ns, const char *name,
		   struct service *const *services, size_t n)
{
	_cleanup_(freep) struct wish *wishes = xcalloc(n, sizeof(*wishes));
	struct entry *first = state_find_group(st, ns, name);

	st->serial++;
	for (size_t i = 0; i < n; i++)
		wishes[i] = (struct wish){.service = services[i], .place = i};
	if (n > 1)
		qsort(wishes, n, sizeof(*wishes), compare_wishes);
	first = match(st, first, wishes, n);
	/* Among ports of one Service, the first in the caller's order gets a frontend. */
	if (n > 1)
		qsort(wishes, n, sizeof(*wishes), compare_wish_places);
	for (size_t i = 0; i < n; i++)
		if (wishes[i].entry)
			want(st, wishes[i].entry, wishes[i].service);
		else
			service_unref(wishes[i].service);
	if (first)
		(void)hash_put(&st->groups, first);
	release_departures(st);
	settle_touched(st);
}

struct state *state_new(void)
{
	struct state *st = xcalloc(1, sizeof(*st));

	hash_init(&st->groups, &entry_group_ops);
	claims_init(&st->claims);
	return st;
}

void state_free(struct state *st)
{
	if (!st)
		return;
	/* Those that are not wanted any more are all dirty. */
	for (size_t i = 0; i < st->dirty.n; i++)
		if (!st->dirty.items[i]->wanted)
			entry_free(st->dirty.items[i]);
	for (size_t i = 0; i < st->entries.n; i++)
		entry_free(st->entries.items[i]);
	hash_fini(&st->groups);
	claims_fini(&st->claims);
	free(st->entries.items);
	free(st->dirty.items);
	free(st->touched.items);
	free(st->departures);
	free(st);
}

bool state_has_changes(const struct state *st)
{
	return st->dirty.n > 0;
}

/* Both references go to the change. */
static struct change tell(struct entry *e)
{
	struct change change = {.old = e->told, .new = ref_or_null(e->seen)};

	e->told = ref_or_null(e->seen);
	e->dirty_index = NOT_DIRTY;
	return change;
}

static struct state_taken take_delta(struct state *st)
{
	struct state_taken taken = {.n = st->dirty.n};

	taken.changes = xcalloc(taken.n, sizeof(*taken.changes));
	for (size_t i = 0; i < taken.n; i++) {
		struct entry *e = st->dirty.items[i];

		taken.changes[i] = tell(e);
		if (!e->wanted) {
			/* Its key is that of what it was told last. */
			e->told = service_ref(taken.changes[i].old);
			entry_remove(st, e);
		}
	}
	st->dirty.n = 0;
	return taken;
}

static struct state_taken take_full(struct state *st)
{
	struct state_taken delta = take_delta(st);
	struct state_taken taken = {.n = st->entries.n, .full = true};

	state_taken_fini(&delta);
	taken.changes = xcalloc(taken.n, sizeof(*taken.changes));
	for (size_t i = 0; i < taken.n; i++)
		taken.changes[i].new = service_ref(st->entries.items[i]->seen);
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
	*taken = (struct state_taken){0};
}
