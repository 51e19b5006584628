/*
 * One entry for each UDP frontend.  Between begin and end, `touched` holds the
 * entries that the change sets name, with the service that holds each one (NULL:
 * no longer held); flows to other frontends are ignored.
 *
 * A frontend at all node addresses is one entry.  The addresses of the last change set
 * are remembered: flows to its port at an address that went are stale, and at one
 * that came those that were not translated.
 *
 * The serving endpoints of a service are sorted when the first flow to it is
 * seen: most frontends have no flows, and a service may have thousands of
 * endpoints and flows.
 */
#include "rules/conntrack/flow_match.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/mem.h"
#include "core/node_list.h"

struct place {
	struct addr addr;
	uint16_t port;
};
_Static_assert(sizeof(struct place) == 18, "hashed and compared as bytes");

struct entry {
	struct place place; /* first: the key */
	bool is_touched;
	struct service *holder; /* while touched: a reference */
	struct place *serving;	/* its serving endpoints, sorted; NULL: not yet */
	size_t n_serving;
};

struct flow_match {
	struct hash entries;
	struct entry **touched;
	size_t n_touched, cap_touched;
	size_t n_family[FAMILY_N];     /* of the touched ones */
	size_t n_everywhere[FAMILY_N]; /* entries of frontends at all node addresses */
	/* node addresses before the change sets, and now */
	struct node_list nodes_before[FAMILY_N], nodes[FAMILY_N];
	bool has_moved[FAMILY_N]; /* frontends everywhere, by new node addresses */
};

static uint64_t entry_hash(const void *key)
{
	return hash_bytes(key, sizeof(struct place));
}

static bool entry_equal(const void *item, const void *key)
{
	const struct entry *e = item;

	return memcmp(&e->place, key, sizeof(e->place)) == 0;
}

static const struct hash_ops entry_ops = {
	.hash = entry_hash,
	.equal = entry_equal,
};

static bool is_everywhere(const struct entry *e)
{
	return addr_is_unspecified(&e->place.addr);
}

static void set_holder(struct entry *e, const struct service *holder)
{
	struct service *ref = holder ? service_ref(holder) : NULL;

	free(e->serving);
	e->serving = NULL;
	service_unref(e->holder);
	e->holder = ref;
}

static void entry_free(struct entry *e)
{
	set_holder(e, NULL);
	free(e);
}

static int place_compare(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int order = addr_compare(&x->addr, &y->addr);

	return order ? order : (int)x->port - (int)y->port;
}

/* The serving endpoints of a service, sorted; the caller frees the array. */
static struct place *serving_places(const struct service *s, size_t *ret_n)
{
	const struct endpoint *endpoints = service_endpoints(s);
	struct place *places = xcalloc(s->n_endpoints + 1, sizeof(*places));
	size_t n = 0;

	for (size_t i = 0; i < s->n_endpoints; i++) {
		if (endpoints[i].flags & ENDPOINT_SERVING)
			places[n++] =
				(struct place){endpoints[i].addr, endpoints[i].port};
	}
	qsort(places, n, sizeof(*places), place_compare);
	*ret_n = n;
	return places;
}

static bool is_place_in(const struct place *place, const struct place *places, size_t n)
{
	return bsearch(place, places, n, sizeof(*places), place_compare) != NULL;
}

static bool has_endpoint_stopped(const struct service *old, const struct service *new)
{
	_cleanup_(freep) struct place *before = NULL;
	_cleanup_(freep) struct place *after = NULL;
	size_t n_before, n_after;

	before = serving_places(old, &n_before);
	after = serving_places(new, &n_after);
	for (size_t i = 0; i < n_before; i++) {
		if (!is_place_in(&before[i], after, n_after))
			return true;
	}
	return false;
}

static bool has_same_frontends(const struct service *old, const struct service *new)
{
	const struct frontend *a = service_frontends(old), *b = service_frontends(new);

	if (old->n_frontends != new->n_frontends)
		return false;
	for (size_t i = 0; i < old->n_frontends; i++) {
		if (!addr_equal(&a[i].addr, &b[i].addr) || a[i].port != b[i].port)
			return false;
	}
	return true;
}

/*
 * Only added endpoints make no flow stale: nothing got through un-NATed while
 * the frontend was ours, with endpoints or without.
 */
static bool can_make_stale(const struct change *c)
{
	if (!c->old || !c->new)
		return true;
	return !has_same_frontends(c->old, c->new) ||
	       has_endpoint_stopped(c->old, c->new);
}

static void touch(struct flow_match *m, struct entry *e)
{
	if (e->is_touched)
		return;
	e->is_touched = true;
	m->touched =
		xgrow(m->touched, m->n_touched, &m->cap_touched, sizeof(*m->touched));
	m->touched[m->n_touched++] = e;
	m->n_family[addr_family(&e->place.addr)]++;
}

/* These frontends are held by this service now, or (NULL) by none. */
static void put_frontends(struct flow_match *m, const struct service *s,
			  const struct service *holder)
{
	const struct frontend *frontends = service_frontends(s);

	for (size_t i = 0; i < s->n_frontends; i++) {
		struct place place = {frontends[i].addr, frontends[i].port};
		struct entry *e = hash_find(&m->entries, &place);

		if (!e) {
			e = xcalloc(1, sizeof(*e));
			e->place = place;
			(void)hash_put(&m->entries, e);
			m->n_everywhere[s->family] += is_everywhere(e);
		}
		touch(m, e);
		set_holder(e, holder);
	}
}

static bool is_udp(const struct service *s)
{
	return s && s->proto == IPPROTO_UDP;
}

struct flow_match *flow_match_new(void)
{
	struct flow_match *m = xcalloc(1, sizeof(*m));

	hash_init(&m->entries, &entry_ops);
	return m;
}

void flow_match_free(struct flow_match *m)
{
	struct entry *e;

	if (!m)
		return;
	for (size_t i = 0; (e = hash_next(&m->entries, &i));)
		entry_free(e);
	hash_fini(&m->entries);
	for (enum family family = 0; family < FAMILY_N; family++) {
		node_list_fini(&m->nodes_before[family]);
		node_list_fini(&m->nodes[family]);
	}
	free(m->touched);
	free(m);
}

/* True if frontends everywhere have moved. */
static bool set_nodes(struct flow_match *m, const struct environment *env,
		      enum family family)
{
	node_list_set(&m->nodes[family], env, family);
	m->has_moved[family] =
		m->n_everywhere[family] > 0 &&
		!node_list_equal(&m->nodes_before[family], &m->nodes[family]);
	return m->has_moved[family];
}

bool flow_match_begin(struct flow_match *m, const struct changeset *cs)
{
	bool has_nodes = cs->full || cs->n_node_changes > 0, is_needed = false;
	struct entry *e;

	for (enum family family = 0; has_nodes && family < FAMILY_N; family++)
		is_needed |= set_nodes(m, cs->env, family);
	for (size_t i = 0; cs->full && (e = hash_next(&m->entries, &i));) {
		touch(m, e);
		set_holder(e, NULL);
	}
	/* First all that goes: a frontend may have moved to a service of any place. */
	for (size_t i = 0; i < cs->n; i++) {
		if (is_udp(cs->changes[i].old))
			put_frontends(m, cs->changes[i].old, NULL);
	}
	for (size_t i = 0; i < cs->n; i++) {
		const struct change *c = &cs->changes[i];

		if (!is_udp(c->old) && !is_udp(c->new))
			continue;
		if (is_udp(c->new))
			put_frontends(m, c->new, c->new);
		is_needed = is_needed || can_make_stale(c);
	}
	return is_needed || (cs->full && m->n_touched > 0);
}

bool flow_match_has_family(const struct flow_match *m, enum family family)
{
	return m->n_family[family] > 0 || m->has_moved[family];
}

static struct entry *find(const struct flow_match *m, const struct addr *addr,
			  uint16_t port)
{
	const struct place place = {*addr, port};

	return hash_find(&m->entries, &place);
}

/* How a place was and is held. */
struct tenure {
	struct entry *exact;	  /* NULL: never held */
	struct entry *everywhere; /* NULL: none, or not a node address, before or now */
	bool was_node, is_node;
};

static struct tenure find_tenure(const struct flow_match *m, const struct addr *addr,
				 uint16_t port)
{
	enum family family = addr_family(addr);
	const struct addr any = addr_unspecified(family);
	struct tenure t = {.exact = find(m, addr, port)};

	if (m->n_everywhere[family] == 0)
		return t;
	t.is_node = node_list_has(&m->nodes[family], addr);
	t.was_node = node_list_has(&m->nodes_before[family], addr);
	if (t.is_node || t.was_node)
		t.everywhere = find(m, &any, port);
	return t;
}

/* The touched entry that has the place now, else that had it, or NULL. */
static struct entry *find_touched(const struct tenure *t)
{
	struct entry *now = t->exact;

	if (now && (!now->is_touched || now->holder)) /* no place is held twice */
		return now->is_touched ? now : NULL;
	if (t->everywhere && t->everywhere->is_touched &&
	    (t->is_node || !t->everywhere->holder))
		return t->everywhere;
	return now;
}

/* Nothing translates it: the replies come from where the client sends to. */
static bool is_direct(const struct flow *flow)
{
	return flow->reply.src_port == flow->original.dst_port &&
	       addr_equal(&flow->reply.src, &flow->original.dst);
}

/* Of a frontend everywhere whose service is not among the changes. */
static bool has_moved_away(const struct tenure *t, const struct flow *flow)
{
	if (t->exact || !t->everywhere || t->was_node == t->is_node)
		return false;
	return t->was_node || is_direct(flow);
}

/*
 * From a frontend, and not translated: a late answer to a flow that was just
 * deleted. What the client sends on would be taken for the answers to it.
 */
static bool is_late_answer(const struct flow_match *m, const struct flow *flow)
{
	const struct flow_ends *from = &flow->original, *to = &flow->reply;
	const struct tenure t = find_tenure(m, &from->src, from->src_port);
	const struct entry *e = find_touched(&t);

	return e && e->holder && to->dst_port == from->src_port &&
	       addr_equal(&to->dst, &from->src);
}

bool flow_match_is_stale(struct flow_match *m, const struct flow *flow)
{
	struct place reply_src = {flow->reply.src, flow->reply.src_port};
	struct tenure t;
	struct entry *e;

	if (flow->proto != IPPROTO_UDP)
		return false;
	t = find_tenure(m, &flow->original.dst, flow->original.dst_port);
	e = find_touched(&t);
	if (!e)
		return has_moved_away(&t, flow) || is_late_answer(m, flow);
	if (!e->holder)
		return true;
	if (!e->serving)
		e->serving = serving_places(e->holder, &e->n_serving);
	return !is_place_in(&reply_src, e->serving, e->n_serving);
}

void flow_match_end(struct flow_match *m, bool done)
{
	for (size_t i = 0; i < m->n_touched; i++) {
		struct entry *e = m->touched[i];
		bool is_gone = !e->holder;

		set_holder(e, NULL);
		e->is_touched = false;
		if (done && is_gone) {
			(void)hash_del(&m->entries, &e->place);
			m->n_everywhere[addr_family(&e->place.addr)] -= is_everywhere(e);
			entry_free(e);
		}
	}
	m->n_touched = 0;
	for (enum family family = 0; family < FAMILY_N; family++) {
		m->n_family[family] = 0;
		m->has_moved[family] = false;
		if (done)
			node_list_copy(&m->nodes_before[family], &m->nodes[family]);
	}
}
