/*
 * The node's addresses, and the places that two kinds of claims share: those of a
 * frontend everywhere with those of exact ones at a node address.
 *
 * Both have queues of their own, see claims.h.  Which of the first two holds a place is
 * computed when a visible service is built, and stored nowhere; so all entries that a
 * change may concern are touched.  Few ports have claims of both kinds: the others
 * cost nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/state.h"
#include "core/state_entry.h"

#define N_PORTS 65536

static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

void state_nodes_init(struct state *st)
{
	st->ports = xcalloc(N_PORTS, sizeof(*st->ports));
}

void state_nodes_fini(struct state *st)
{
	free(st->ports);
	for (enum family family = 0; family < FAMILY_N; family++) {
		free(st->nodes[family]);
		free(st->taken_nodes[family]);
	}
}

/* Addresses and items that start with one. */
static int compare(const void *a, const void *b)
{
	return addr_compare(a, b);
}

static const struct node_address *find_node(const struct state *st, const struct addr *a)
{
	enum family family = addr_family(a);

	if (st->n_nodes[family] == 0)
		return NULL;
	return bsearch(a, st->nodes[family], st->n_nodes[family],
		       sizeof(struct node_address), compare);
}

static struct claim *holder_at(const struct state *st, const struct addr *a,
			       uint16_t port, uint8_t proto)
{
	const struct frontend place = {.addr = *a, .port = port};

	return claims_holder(&st->claims, &place, proto);
}

static struct claim *holder_everywhere(const struct state *st, enum family family,
				       uint16_t port, uint8_t proto)
{
	const struct addr any = addr_unspecified(family);

	return st->ports[port].n_everywhere ? holder_at(st, &any, port, proto) : NULL;
}

const struct claim *state_rival_of(const struct state *st, const struct claim *exact)
{
	const struct frontend *f = exact->frontend;

	if (!st->ports[f->port].n_everywhere || frontend_is_everywhere(f) ||
	    !find_node(st, &f->addr))
		return NULL;
	return holder_everywhere(st, addr_family(&f->addr), f->port, exact->proto);
}

bool state_is_exact_first(const struct state *st, const struct claim *exact,
			  const struct claim *everywhere)
{
	const struct node_address *node = find_node(st, &exact->frontend->addr);

	return exact->owner == everywhere->owner || exact->serial <= everywhere->serial ||
	       exact->serial <= node->serial;
}

/* The entries that a change of this claim's queue may concern, besides the queue's own. */
static void touch_rivals(struct state *st, const struct claim *c)
{
	const struct frontend *f = c->frontend;
	enum family family = addr_family(&f->addr);
	struct claim *rival;

	if (!frontend_is_everywhere(f)) {
		rival = holder_everywhere(st, family, f->port, c->proto);
		if (rival)
			entry_touch(st, rival->owner);
		return;
	}
	for (size_t i = 0; st->ports[f->port].n_exact && i < st->n_nodes[family]; i++) {
		rival = holder_at(st, &st->nodes[family][i].addr, f->port, c->proto);
		if (rival)
			entry_touch(st, rival->owner);
	}
}

static void count(struct state *st, const struct claim *c, int change)
{
	struct port_claims *p = &st->ports[c->frontend->port];

	if (frontend_is_everywhere(c->frontend))
		p->n_everywhere += (uint32_t)change;
	else
		p->n_exact += (uint32_t)change;
}

void state_put_claim(struct state *st, struct claim *c)
{
	claims_put(&st->claims, c);
	count(st, c, 1);
	touch_rivals(st, c);
}

struct claim *state_del_claim(struct state *st, struct claim *c)
{
	struct claim *successor = claims_del(&st->claims, c);

	count(st, c, -1);
	touch_rivals(st, c);
	return successor;
}

/* Both claims of a place on an address that comes or goes. */
static void touch_place(struct state *st, const struct addr *a, uint16_t port,
			uint8_t proto)
{
	struct claim *exact = holder_at(st, a, port, proto);
	struct claim *everywhere = holder_everywhere(st, addr_family(a), port, proto);

	/* a service with a frontend for each address gets or loses one, exact claim or not */
	if (everywhere)
		entry_touch(st, everywhere->owner);
	if (exact && everywhere)
		entry_touch(st, exact->owner);
}

static void touch_changed(struct state *st, const struct addr *changed, size_t n)
{
	for (uint32_t port = 0; port < N_PORTS; port++) {
		if (!st->ports[port].n_exact || !st->ports[port].n_everywhere)
			continue;
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < N_ELEMENTS(protos); k++)
				touch_place(st, &changed[i], (uint16_t)port, protos[k]);
	}
}

void state_replace_nodes(struct state *st, enum family family, const struct addr *addrs,
			 size_t n)
{
	const struct node_address *old = st->nodes[family];
	size_t n_old = st->n_nodes[family], i = 0, k = 0, n_changed = 0;
	_cleanup_(freep) struct addr *changed = xcalloc(n + n_old + 1, sizeof(*changed));
	struct node_address *new = xcalloc(n + 1, sizeof(*new));

	st->serial++;
	while (i < n_old || k < n) {
		int order = i == n_old ? 1
			    : k == n   ? -1
				       : addr_compare(&old[i].addr, &addrs[k]);

		if (order)
			changed[n_changed++] = order < 0 ? old[i].addr : addrs[k];
		if (order >= 0)
			new[k] = (struct node_address){addrs[k], order ? st->serial
								       : old[i].serial};
		i += order <= 0;
		k += order >= 0;
	}
	free(st->nodes[family]);
	st->nodes[family] = new;
	st->n_nodes[family] = n;
	if (n_changed == 0)
		return;
	st->has_new_nodes = true;
	touch_changed(st, changed, n_changed);
}

struct node_change *state_take_nodes(struct state *st, size_t *ret_n)
{
	struct node_change *changes = NULL;
	size_t n_changes = 0, cap = 0;

	for (enum family family = 0; st->has_new_nodes && family < FAMILY_N; family++) {
		const struct node_address *new = st->nodes[family];
		const struct addr *old = st->taken_nodes[family];
		size_t n = st->n_nodes[family], n_old = st->n_taken_nodes[family];
		struct addr *taken = xcalloc(n + 1, sizeof(*taken));

		for (size_t i = 0, k = 0; i < n_old || k < n;) {
			int order = i == n_old ? 1
				    : k == n   ? -1
					       : addr_compare(&old[i], &new[k].addr);

			if (order) {
				changes =
					xgrow(changes, n_changes, &cap, sizeof(*changes));
				changes[n_changes++] =
					(struct node_change){order < 0 ? old[i]
								       : new[k].addr,
							     order > 0};
			}
			if (order >= 0)
				taken[k] = new[k].addr;
			i += order <= 0;
			k += order >= 0;
		}
		free(st->taken_nodes[family]);
		st->taken_nodes[family] = taken;
		st->n_taken_nodes[family] = n;
	}
	st->has_new_nodes = false;
	*ret_n = n_changes;
	return changes;
}

struct held { /* the frontends of a visible service */
	struct frontend *items;
	size_t n, cap;
	uint32_t n_waiting;
	bool is_cut; /* it lacks some that are desired */
};

static void add(struct held *held, const struct frontend *f, const struct addr *at)
{
	held->items = xgrow(held->items, held->n, &held->cap, sizeof(*held->items));
	held->items[held->n] = *f;
	held->items[held->n++].addr = *at;
}

/* The exact claim that has the frontend's place at this address, or NULL. */
static const struct claim *find_first(const struct state *st, const struct claim *c,
				      const struct addr *at)
{
	const struct claim *exact = holder_at(st, at, c->frontend->port, c->proto);

	return exact && state_is_exact_first(st, exact, c) ? exact : NULL;
}

static bool is_cut_anywhere(const struct state *st, const struct claim *c,
			    enum family family)
{
	for (size_t i = 0;
	     st->ports[c->frontend->port].n_exact && i < st->n_nodes[family]; i++)
		if (find_first(st, c, &st->nodes[family][i].addr))
			return true;
	return false;
}

static void add_everywhere(struct held *held, const struct state *st,
			   const struct claim *c)
{
	enum family family = addr_family(&c->frontend->addr);

	if (!is_cut_anywhere(st, c, family)) {
		add(held, c->frontend, &c->frontend->addr);
		return;
	}
	held->is_cut = true;
	for (size_t i = 0; i < st->n_nodes[family]; i++) {
		const struct addr *at = &st->nodes[family][i].addr;
		const struct claim *first = find_first(st, c, at);

		if (!first)
			add(held, c->frontend, at);
		else
			held->n_waiting += first->owner != c->owner;
	}
}

static void add_claim(struct held *held, const struct state *st, const struct claim *c)
{
	const struct claim *rival = state_rival_of(st, c);

	if (!c->is_holder || (rival && !state_is_exact_first(st, c, rival))) {
		held->n_waiting++;
		held->is_cut = true;
	} else if (frontend_is_everywhere(c->frontend)) {
		add_everywhere(held, st, c);
	} else {
		add(held, c->frontend, &c->frontend->addr);
	}
}

struct service *state_make_visible(const struct state *st, const struct entry *e,
				   uint32_t *ret_waiting)
{
	const struct service *s = e->desired;
	struct held held = {0};
	struct service *visible = NULL;

	for (uint32_t i = 0; s && i < s->n_frontends; i++)
		add_claim(&held, st, &e->claims[i]);
	if (s)
		visible = held.is_cut ? service_with_frontends(s, held.items, held.n)
				      : service_ref(s);
	free(held.items);
	*ret_waiting = held.n_waiting;
	return visible;
}
