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

static int compare_services(const void *a, const void *b)
{
	const struct service *const *x = a, *const *y = b;

	return service_compare_key(*x, *y);
}

const struct service **state_sorted(const struct state *st, size_t *ret_n)
{
	const struct service **sorted = xcalloc(st->entries.n + 1, sizeof(*sorted));

	for (size_t i = 0; i < st->entries.n; i++)
		sorted[i] = st->entries.items[i]->visible;
	qsort(sorted, st->entries.n, sizeof(*sorted), compare_services);
	*ret_n = st->entries.n;
	return sorted;
}

const struct service *state_find_frontend(const struct state *st, const struct addr *addr,
					  uint8_t proto, uint16_t port,
					  const struct frontend **ret_frontend)
{
	const struct frontend wanted = {.addr = *addr, .port = port};
	const struct claim *holder = claims_holder(&st->claims, &wanted, proto);
	const struct service *s;

	if (!holder)
		return NULL;
	/* Visible has exactly the frontends that it holds. */
	s = ((const struct entry *)holder->owner)->visible;
	for (uint32_t i = 0; i < s->n_frontends; i++) {
		if (service_compare_frontend(&s->frontends[i], holder->frontend) != 0)
			continue;
		if (ret_frontend)
			*ret_frontend = &s->frontends[i];
		return s;
	}
	return NULL;
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

struct state_conflict *state_conflicts(const struct state *st, size_t *ret_n)
{
	struct state_conflict *conflicts;
	const struct claim *holder;
	size_t n = 0, k = 0;

	for (size_t i = 0; i < st->entries.n; i++)
		n += st->entries.items[i]->n_waiting;
	conflicts = xcalloc(n + 1, sizeof(*conflicts));
	for (size_t i = 0; (holder = hash_next(&st->claims, &i));)
		for (const struct claim *c = holder->next; c; c = c->next)
			conflicts[k++] = (struct state_conflict){
				.frontend = *c->frontend,
				.holder = desired_by(holder),
				.waiting = desired_by(c),
			};
	qsort(conflicts, n, sizeof(*conflicts), compare_conflicts);
	*ret_n = n;
	return conflicts;
}
