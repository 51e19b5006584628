/*
 * A reading is an array of counters, sorted by service and identity, which is merged
 * into the sorted counters of each service.  Of an identity only a hash is kept.
 */
#include "proxy/engine/counts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/hash_keys.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/sink.h"
#include "proxy/engine/dataplane.h"

#define IDENTITY_LEN offsetof(struct sink_count, service)

/* A walk over services that change meanwhile may miss some of them. */
#define KEPT_ROUNDS 6

_Static_assert(IDENTITY_LEN == 48, "the identity has no padding");

struct counter { /* as it was read last; not 0 */
	uint64_t key;
	uint64_t n : 63;
	uint64_t is_endpoint : 1;
};

struct place { /* a frontend or an endpoint */
	struct addr addr;
	uint16_t port;
	bool is_endpoint;
	uint64_t totals[COUNT_N];
};

struct entry {
	struct service *service;  /* first; a reference */
	struct counter *counters; /* by key */
	struct place *places;	  /* by address */
	size_t n_counters, n_places, places_cap;
	uint64_t totals[COUNT_N];
	uint64_t n_with_endpoints; /* connections when those were read last */
	uint64_t round;
	uint64_t measured_us, n_measured; /* the last measurement of the rate; 0: none */
	double rate;
};

struct reading {
	uint64_t key;
	struct sink_count count;
};

struct counts {
	const struct dataplane *dp;
	struct hash entries;
	bool is_known;
	int err; /* of the last reading */
	uint64_t all[COUNT_N];
	uint64_t n_rounds, round_us; /* complete ones, and when the last one ended */
	/* of the current reading */
	size_t sink;
	struct reading *readings;
	size_t n, cap;
};

static void entry_free(struct entry *e)
{
	service_unref(e->service);
	free(e->counters);
	free(e->places);
	free(e);
}

struct counts *counts_new(const struct dataplane *dp)
{
	struct counts *c = xcalloc(1, sizeof(*c));

	c->dp = dp;
	hash_init(&c->entries, &service_key_ops);
	return c;
}

void counts_free(struct counts *c)
{
	struct entry *e;

	if (!c)
		return;
	for (size_t i = 0; (e = hash_next(&c->entries, &i));)
		entry_free(e);
	hash_fini(&c->entries);
	free(c);
}

/* ---- places ---- */

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int order = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	if (order == 0)
		order = (int)x->port - (int)y->port;
	return order ? order : (int)x->is_endpoint - (int)y->is_endpoint;
}

static struct place *find_place(const struct entry *e, const struct place *key)
{
	if (e->n_places == 0)
		return NULL;
	return bsearch(key, e->places, e->n_places, sizeof(*e->places), compare_places);
}

static struct place *make_place(struct entry *e, const struct sink_count *count)
{
	const struct place key = {
		.addr = count->is_endpoint ? count->endpoint : count->frontend,
		.port = count->is_endpoint ? count->endpoint_port : count->port,
		.is_endpoint = count->is_endpoint,
	};
	struct place *found = find_place(e, &key);
	size_t at = 0;

	if (found)
		return found;
	while (at < e->n_places && compare_places(&e->places[at], &key) < 0)
		at++;
	e->places = xgrow(e->places, e->n_places, &e->places_cap, sizeof(*e->places));
	memmove(&e->places[at + 1], &e->places[at],
		(e->n_places - at) * sizeof(*e->places));
	e->n_places++;
	e->places[at] = key;
	return &e->places[at];
}

static bool has_place(const struct service *s, const struct place *p)
{
	const struct frontend *f = service_frontends(s);

	if (p->is_endpoint)
		return service_find_endpoint(s, &p->addr, p->port) != UINT32_MAX;
	for (uint32_t i = 0; i < s->n_frontends; i++)
		if (f[i].port == p->port && addr_equal(&f[i].addr, &p->addr))
			return true;
	return false;
}

/* Another version of the service: places that it lacks are forgotten. */
static void renew(struct entry *e, const struct service *s)
{
	size_t n = 0;

	if (e->service == s)
		return;
	service_unref(e->service);
	e->service = service_ref(s);
	for (size_t i = 0; i < e->n_places; i++)
		if (has_place(s, &e->places[i]))
			e->places[n++] = e->places[i];
	e->n_places = n;
}

/* ---- reading ---- */

static void collect(void *data, const struct sink_count *count)
{
	struct counts *c = data;

	if (!count->n)
		return;
	c->readings = xgrow(c->readings, c->n, &c->cap, sizeof(*c->readings));
	c->readings[c->n++] = (struct reading){
		.key = hash_mix(hash_bytes(count, IDENTITY_LEN), c->sink),
		.count = *count,
	};
}

static int compare_readings(const void *a, const void *b)
{
	const struct reading *x = a, *y = b;
	uintptr_t s = (uintptr_t)x->count.service, t = (uintptr_t)y->count.service;

	if (s != t)
		return s < t ? -1 : 1;
	return x->key == y->key ? 0 : x->key < y->key ? -1 : 1;
}

/* The first one of this service. */
static const struct reading *find_readings(const struct counts *c,
					   const struct service *s)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if ((uintptr_t)c->readings[middle].count.service < (uintptr_t)s)
			low = middle + 1;
		else
			high = middle;
	}
	return c->readings + low;
}

static void add(struct counts *c, struct entry *e, const struct sink_count *count,
		uint64_t before)
{
	uint64_t gained = count->n >= before ? count->n - before : count->n;

	if (!gained)
		return;
	make_place(e, count)->totals[count->kind] += gained;
	if (count->is_endpoint)
		return;
	e->totals[count->kind] += gained;
	c->all[count->kind] += gained;
}

/* Counters that were not read this time stay as they were; missing ones are forgotten. */
static void merge(struct counts *c, struct entry *e, const struct reading *r, size_t n,
		  bool with_endpoints)
{
	struct counter *old = e->counters, *end = old + e->n_counters;
	struct counter *counters = xcalloc(n + e->n_counters, sizeof(*counters));
	size_t n_counters = 0;

	for (size_t i = 0; i < n || old < end;) {
		bool is_old = old < end && (i == n || old->key <= r[i].key);
		bool is_read = i < n && (old == end || r[i].key <= old->key);
		uint64_t before = is_old ? old->n : 0;

		if (is_read) {
			add(c, e, &r[i].count, before);
			counters[n_counters++] = (struct counter){
				.key = r[i].key,
				.n = r[i].count.n,
				.is_endpoint = r[i].count.is_endpoint,
			};
		} else if (old->is_endpoint && !with_endpoints) {
			counters[n_counters++] = *old;
		}
		i += is_read;
		old += is_old;
	}
	free(e->counters);
	e->counters = xreallocarray(counters, n_counters + 1, sizeof(*counters));
	e->n_counters = n_counters;
}

static struct entry *make_entry(struct counts *c, const struct service *s)
{
	struct entry *e = xcalloc(1, sizeof(*e));

	e->service = service_ref(s);
	e->round = c->n_rounds;
	/* it had nothing in the last round; before the first one that is not known */
	e->measured_us = c->round_us;
	(void)hash_put(&c->entries, e);
	return e;
}

static void merge_service(struct counts *c, const struct service *s, bool with_endpoints)
{
	const struct reading *first = find_readings(c, s), *end = c->readings + c->n;
	struct entry *e = hash_find(&c->entries, s);
	size_t n = 0;

	while (first + n < end && first[n].count.service == s)
		n++;
	if (!e && n)
		e = make_entry(c, s);
	if (!e)
		return;
	renew(e, s);
	merge(c, e, first, n, with_endpoints);
	if (with_endpoints)
		e->n_with_endpoints = e->totals[COUNT_CONNECTIONS];
}

/* -ENODATA: no sink counts. */
static int read_sinks(struct counts *c, const struct changeset *of, bool with_endpoints)
{
	int err = -ENODATA;

	for (c->sink = 0; c->sink < c->dp->n_sinks; c->sink++) {
		struct sink *sink = c->dp->sinks[c->sink];

		if (!sink->ops->view || !sink->ops->view->counts)
			continue;
		err = sink->ops->view->counts(sink, of, with_endpoints, collect, c);
		if (!err)
			continue;
		if (err != c->err)
			log_warn("%s: cannot read connection counters: %s",
				 sink->ops->name, strerror(-err));
		return err;
	}
	return err;
}

static bool read_all(struct counts *c, const struct changeset *of, bool with_endpoints)
{
	c->err = read_sinks(c, of, with_endpoints);
	c->is_known = !c->err;
	if (c->n)
		qsort(c->readings, c->n, sizeof(*c->readings), compare_readings);
	for (size_t i = 0; c->is_known && i < of->n; i++)
		if (of->changes[i].new)
			merge_service(c, of->changes[i].new, with_endpoints);
	free(c->readings);
	c->readings = NULL;
	c->n = c->cap = 0;
	return c->is_known;
}

/* Those that have had connections, or those that have not. */
static bool read_some(struct counts *c, const struct changeset *of, bool is_busy)
{
	_cleanup_(freep) struct change *changes = xcalloc(of->n + 1, sizeof(*changes));
	struct changeset some = {.env = of->env, .changes = changes};

	for (size_t i = 0; i < of->n; i++) {
		const struct service *s = of->changes[i].new;

		if (s && (counts_total(c, s, COUNT_CONNECTIONS) > 0) == is_busy)
			changes[some.n++].new = s;
	}
	return some.n == 0 || read_all(c, &some, is_busy);
}

bool counts_read(struct counts *c, const struct changeset *of, bool with_endpoints)
{
	if (!with_endpoints || of->n == 0)
		return read_all(c, of, with_endpoints);
	return read_some(c, of, false) && read_some(c, of, true);
}

bool counts_are_known(const struct counts *c)
{
	return c->is_known;
}

/* ---- rates ---- */

static void measure(struct entry *e, uint64_t round, uint64_t now_us)
{
	uint64_t n = e->totals[COUNT_CONNECTIONS];

	e->round = round;
	if (e->measured_us && now_us > e->measured_us)
		e->rate = (double)(n - e->n_measured) * 1e6 /
			  (double)(now_us - e->measured_us);
	e->measured_us = now_us;
	e->n_measured = n;
}

bool counts_measure(struct counts *c, const struct changeset *of, uint64_t now_us)
{
	if (!counts_read(c, of, false))
		return false;
	for (size_t i = 0; i < of->n; i++) {
		struct entry *e = hash_find(&c->entries, of->changes[i].new);

		if (e)
			measure(e, c->n_rounds, now_us);
	}
	return true;
}

void counts_end_round(struct counts *c, uint64_t now_us)
{
	struct entry *e;

	for (size_t i = 0; (e = hash_next(&c->entries, &i));)
		if (e->round + KEPT_ROUNDS < c->n_rounds) {
			(void)hash_del(&c->entries, e->service);
			entry_free(e);
		}
	c->n_rounds++;
	c->round_us = now_us;
}

/* ---- questions ---- */

static const struct entry *find(const struct counts *c, const struct service *s)
{
	return hash_find(&c->entries, s);
}

static const struct place *look_up(const struct counts *c, const struct service *s,
				   const struct place *key)
{
	const struct entry *e = find(c, s);

	return e ? find_place(e, key) : NULL;
}

uint64_t counts_total(const struct counts *c, const struct service *s,
		      enum sink_count_kind kind)
{
	const struct entry *e = find(c, s);

	return e ? e->totals[kind] : 0;
}

bool counts_lack_endpoints(const struct counts *c, const struct service *s)
{
	const struct entry *e = find(c, s);

	return e && e->totals[COUNT_CONNECTIONS] != e->n_with_endpoints;
}

void counts_frontend(const struct counts *c, const struct service *s,
		     const struct frontend *f, uint64_t ret[static COUNT_N])
{
	const struct place key = {.addr = f->addr, .port = f->port};
	const struct place *place = look_up(c, s, &key);

	for (int kind = 0; kind < COUNT_N; kind++)
		ret[kind] = place ? place->totals[kind] : 0;
}

uint64_t counts_endpoint(const struct counts *c, const struct service *s,
			 const struct addr *addr, uint16_t port)
{
	const struct place key = {.addr = *addr, .port = port, .is_endpoint = true};
	const struct place *place = look_up(c, s, &key);

	return place ? place->totals[COUNT_CONNECTIONS] : 0;
}

double counts_rate(const struct counts *c, const struct service *s)
{
	const struct entry *e = find(c, s);

	return e ? e->rate : 0;
}

uint64_t counts_all(const struct counts *c, enum sink_count_kind kind)
{
	return c->all[kind];
}
