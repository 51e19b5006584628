/*
 * One entry for each UDP frontend.  Between begin and end, `touched` holds the
 * entries that the change set names, with the service that holds each one (NULL:
 * no longer held); flows to other frontends are ignored.
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

struct place {
	struct addr addr;
	uint16_t port;
};
_Static_assert(sizeof(struct place) == 18, "hashed and compared as bytes");

struct entry {
	struct place place; /* first: the key */
	bool is_touched;
	const struct service *holder; /* valid while touched */
	struct place *serving;	      /* its serving endpoints, sorted; NULL: not yet */
	size_t n_serving;
};

struct flow_match {
	struct hash entries;
	struct entry **touched;
	size_t n_touched, cap_touched;
	size_t n_family[FAMILY_N]; /* of the touched ones */
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

static void entry_free(struct entry *e)
{
	free(e->serving);
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
		}
		touch(m, e);
		e->holder = holder;
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
	free(m->touched);
	free(m);
}

bool flow_match_begin(struct flow_match *m, const struct changeset *cs)
{
	bool is_needed = false;
	struct entry *e;

	for (size_t i = 0; cs->full && (e = hash_next(&m->entries, &i));)
		touch(m, e);
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
	return m->n_family[family] > 0;
}

static struct entry *find_touched(const struct flow_match *m, const struct addr *addr,
				  uint16_t port)
{
	const struct place place = {*addr, port};
	struct entry *e = hash_find(&m->entries, &place);

	return e && e->is_touched ? e : NULL;
}

/*
 * From a frontend, and not translated: a late answer to a flow that was just
 * deleted. What the client sends on would be taken for the answers to it.
 */
static bool is_late_answer(const struct flow_match *m, const struct flow *flow)
{
	const struct flow_ends *from = &flow->original, *to = &flow->reply;
	const struct entry *e = find_touched(m, &from->src, from->src_port);

	return e && e->holder && to->dst_port == from->src_port &&
	       addr_equal(&to->dst, &from->src);
}

bool flow_match_is_stale(struct flow_match *m, const struct flow *flow)
{
	const struct flow_ends *original = &flow->original;
	struct place reply_src = {flow->reply.src, flow->reply.src_port};
	struct entry *e;

	if (flow->proto != IPPROTO_UDP)
		return false;
	e = find_touched(m, &original->dst, original->dst_port);
	if (!e)
		return is_late_answer(m, flow);
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

		free(e->serving);
		e->serving = NULL;
		e->holder = NULL;
		e->is_touched = false;
		if (done && is_gone) {
			(void)hash_del(&m->entries, &e->place);
			entry_free(e);
		}
	}
	m->n_touched = 0;
	for (int family = 0; family < FAMILY_N; family++)
		m->n_family[family] = 0;
}
