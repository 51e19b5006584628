/*
 * Reading a state: nothing here changes it.
 */
#include <stdlib.h>
#include <string.h>

#include "core/claims.h"
#include "core/mem.h"
#include "core/state.h"
#include "core/state_entry.h"

size_t state_n_services(const struct state *st)
{
	return st->entries.n;
}

const struct service *state_next(const struct state *st, size_t *cursor)
{
	return *cursor < st->entries.n ? st->entries.items[(*cursor)++]->visible : NULL;
}

const struct service **state_sorted(const struct state *st, size_t *ret_n)
{
	const struct service **sorted = xcalloc(st->entries.n + 1, sizeof(*sorted));

	for (size_t i = 0; i < st->entries.n; i++)
		sorted[i] = st->entries.items[i]->visible;
	qsort(sorted, st->entries.n, sizeof(*sorted), service_compare_items);
	*ret_n = st->entries.n;
	return sorted;
}

const struct service *state_find_service(const struct state *st, const char *ns,
					 const char *name, enum family family,
					 uint8_t proto)
{
	const struct entry *e = state_find_group(st, ns, name);

	for (; e; e = e->next)
		if (e->desired && e->visible->family == family &&
		    e->visible->proto == proto)
			return e->visible;
	return NULL;
}

/* The frontend of the holder of this claim: visible services have exactly those that they hold. */
static const struct service *find_visible(const struct claim *holder,
					  const struct addr *addr, uint16_t port,
					  const struct frontend **ret_frontend)
{
	const struct service *s =
		holder ? ((const struct entry *)holder->owner)->visible : NULL;

	for (uint32_t i = 0; s && i < s->n_frontends; i++)
		if (s->frontends[i].port == port &&
		    addr_equal(&s->frontends[i].addr, addr)) {
			*ret_frontend = &s->frontends[i];
			return s;
		}
	return NULL;
}

const struct service *state_find_frontend(const struct state *st, const struct addr *addr,
					  uint8_t proto, uint16_t port,
					  const struct frontend **ret_frontend)
{
	const struct frontend wanted = {.addr = *addr, .port = port};
	const struct claim exact = {.frontend = &wanted, .proto = proto};
	const struct addr any = addr_unspecified(addr_family(addr));
	const struct claim *holder = claims_holder(&st->claims, &wanted, proto);
	const struct frontend *found = NULL;
	const struct service *s = find_visible(holder, addr, port, &found);

	if (!s) {
		holder = state_rival_of(st, &exact);
		s = find_visible(holder, &any, port, &found);
	}
	if (!s)
		s = find_visible(holder, addr, port, &found);
	if (s && ret_frontend)
		*ret_frontend = found;
	return s;
}

static int compare_conflicts(const void *a, const void *b)
{
	const struct state_conflict *x = a, *y = b;
	int order = addr_compare(&x->frontend.addr, &y->frontend.addr);

	if (!order)
		order = (x->frontend.port > y->frontend.port) -
			(x->frontend.port < y->frontend.port);
	if (!order)
		order = service_compare_key(x->waiting, y->waiting);
	return order ? order : service_compare_frontend(&x->frontend, &y->frontend);
}

static const struct service *desired_by(const struct claim *c)
{
	return ((const struct entry *)c->owner)->desired;
}

size_t state_n_conflicts(const struct state *st)
{
	return st->n_waiting;
}

uint64_t state_conflicts_version(const struct state *st)
{
	return st->waiting_version;
}

struct conflict_list {
	struct state_conflict *items;
	size_t n, cap;
};

static void add_conflict(struct conflict_list *list, const struct frontend *f,
			 const struct claim *holder, const struct claim *waiting)
{
	struct state_conflict *c;

	list->items = xgrow(list->items, list->n, &list->cap, sizeof(*list->items));
	c = &list->items[list->n++];
	*c = (struct state_conflict){*f, desired_by(holder), desired_by(waiting)};
}

/* The queue of one place, and a claim everywhere that is at this place, too. */
static void add_queue(struct conflict_list *list, const struct state *st,
		      const struct claim *first)
{
	const struct claim *rival = state_rival_of(st, first), *holder = first;

	if (rival && !state_is_exact_first(st, first, rival)) {
		add_conflict(list, first->frontend, rival, first);
		holder = rival;
	} else if (rival && rival->owner != first->owner) {
		struct frontend there = *rival->frontend;

		there.addr = first->frontend->addr;
		add_conflict(list, &there, first, rival);
	}
	for (const struct claim *c = first->next; c; c = c->next)
		add_conflict(list, c->frontend, holder, c);
}

struct state_conflict *state_conflicts(const struct state *st, size_t *ret_n)
{
	struct conflict_list list = {.items = xcalloc(1, sizeof(*list.items)), .cap = 1};
	const struct claim *first;

	for (size_t i = 0; (first = hash_next(&st->claims, &i));)
		add_queue(&list, st, first);
	qsort(list.items, list.n, sizeof(*list.items), compare_conflicts);
	*ret_n = list.n;
	return list.items;
}
