/*
 * Writing one entry, and flushing what several of them queued.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/ebpf_table_private.h"
#include "core/cleanup.h"
#include "core/mem.h"

#define RETIRED_MAX 1024  /* frontends; then the next addition waits */
#define SEARCH_MAX  16384 /* comparisons */
#define MARGIN	    64	  /* part of the maps that stays free after a grace period */

int ebpf_key_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ebpf_frontend_key));
}

void ebpf_key_list_add(struct ebpf_key_list *list, const struct ebpf_frontend_key *key,
		       const struct ebpf_frontend *value)
{
	list->keys = xgrow(list->keys, list->n, &list->keys_cap, sizeof(*list->keys));
	list->keys[list->n] = *key;
	if (value) {
		list->values = xgrow(list->values, list->n, &list->values_cap,
				     sizeof(*list->values));
		list->values[list->n] = *value;
	}
	list->n++;
}

static void store(__u64 *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static uint32_t new_endpoint(struct ebpf_table *t, const struct ebpf_arrays *a,
			     uint32_t service, const struct endpoint *endpoint,
			     uint32_t options)
{
	uint32_t id = ebpf_ids_take(&t->endpoints);

	assert(id != EBPF_ID_NONE); /* reserved */
	a->endpoints[id].n_connections = 0;
	ebpf_fill_endpoint(&a->endpoints[id], endpoint, service, ++t->generation,
			   options);
	return id;
}

/* Flags that come are set before the pool has the endpoint. True: all records are new. */
static bool write_endpoints(struct ebpf_table *t, const struct ebpf_arrays *a,
			    struct ebpf_entry *e)
{
	const struct endpoint *endpoints = service_endpoints(e->service);
	uint32_t *ids = e->endpoint_ids, options = ebpf_options_of(e->service);
	bool are_new = true;

	for (uint32_t i = 0; i < e->service->n_endpoints; i++) {
		if (ids[i] == EBPF_ID_NONE) {
			ids[i] = new_endpoint(t, a, e->id, &endpoints[i], options);
			continue;
		}
		are_new = false;
		__atomic_fetch_or(&a->endpoints[ids[i]].flags,
				  ebpf_flags_of(&endpoints[i]), __ATOMIC_RELEASE);
	}
	return are_new;
}

/* Flags that go are cleared after the pool has lost the endpoint. */
static void trim_flags(const struct ebpf_arrays *a, const struct ebpf_entry *e)
{
	const struct endpoint *endpoints = service_endpoints(e->service);
	uint32_t options = ebpf_options_of(e->service);

	for (uint32_t i = 0; i < e->service->n_endpoints; i++) {
		struct ebpf_endpoint *record = &a->endpoints[e->endpoint_ids[i]];

		record->options = options;
		__atomic_store_n(&record->flags, ebpf_flags_of(&endpoints[i]),
				 __ATOMIC_RELEASE);
	}
}

bool ebpf_table_has_pool(const struct ebpf_arrays *a, const struct ebpf_entry *e,
			 enum ebpf_pool pool)
{
	const struct endpoint *endpoints = service_endpoints(e->service);
	struct ebpf_range range = e->pool[pool];

	if (range.n != e->service->n_pool[pool])
		return false;
	for (uint32_t i = 0, n = 0; n < range.n; i++)
		if (endpoints[i].flags & 1u << pool &&
		    a->slots[range.first + n++].endpoint != e->endpoint_ids[i])
			return false;
	return true;
}

/* A pool that changes gets a new range, which is filled before its word is stored. */
static void write_pool(struct ebpf_table *t, const struct ebpf_arrays *a,
		       struct ebpf_entry *e, enum ebpf_pool pool)
{
	const struct endpoint *endpoints = service_endpoints(e->service);
	struct ebpf_range range = {.n = e->service->n_pool[pool]};
	uint32_t n = 0;

	if (ebpf_table_has_pool(a, e, pool))
		return;
	if (range.n) {
		range.first = ebpf_ranges_take(&t->slots, range.n);
		assert(range.first != EBPF_RANGE_NONE); /* reserved */
	}
	for (uint32_t i = 0; i < e->service->n_endpoints; i++)
		if (endpoints[i].flags & 1u << pool)
			a->slots[range.first + n++] =
				(struct ebpf_slot){e->endpoint_ids[i], 0};
	assert(n == range.n);
	store(&a->services[e->id].pool[pool], range.first | (uint64_t)range.n << 32);
	ebpf_ranges_give_back(&t->slots, e->pool[pool]);
	e->pool[pool] = range;
}

void ebpf_table_write(struct ebpf_table *t, struct ebpf_entry *e,
		      const struct environment *env)
{
	struct ebpf_arrays a = ebpf_kernel_arrays(t->kernel);
	struct ebpf_service *record = &a.services[e->id];
	bool are_new = write_endpoints(t, &a, e);

	for (enum ebpf_pool pool = 0; pool < EBPF_POOL_N; pool++)
		write_pool(t, &a, e, pool);
	record->affinity_sec = e->service->affinity_sec;
	store(&record->rows, ebpf_rows_of(e->service, env));
	if (!are_new)
		trim_flags(&a, e);
}

void ebpf_table_release_endpoint(struct ebpf_table *t, const struct ebpf_entry *e,
				 uint32_t id)
{
	struct ebpf_arrays a = ebpf_kernel_arrays(t->kernel);

	/* what was counted of it stays with the service */
	a.services[e->id].n_removed += a.endpoints[id].n_connections;
	t->gone = xgrow(t->gone, t->n_gone, &t->gone_cap, sizeof(*t->gone));
	t->gone[t->n_gone++] = id;
}

struct ebpf_sizes ebpf_sizes_of(const struct service *s)
{
	struct ebpf_sizes sizes = {
		.frontends = s->n_frontends,
		.services = 1,
		.endpoints = s->n_endpoints,
	};

	for (enum ebpf_pool pool = 0; pool < EBPF_POOL_N; pool++)
		if (s->n_pool[pool])
			sizes.slots += ebpf_ranges_rounded(s->n_pool[pool]);
	return sizes;
}

static bool has_room(const struct ebpf_table *t, const struct ebpf_sizes *more)
{
	struct ebpf_sizes sizes = ebpf_kernel_sizes(t->kernel);

	return t->stats.n_frontends + t->retired.n + more->frontends <= sizes.frontends &&
	       ebpf_ids_available(&t->services) >= more->services &&
	       ebpf_ids_available(&t->endpoints) >= more->endpoints &&
	       t->slots.cap - t->slots.next >= more->slots + ebpf_ranges_lack(&t->slots);
}

/* Deletes the frontends that no longer lead anywhere. */
static int purge(struct ebpf_table *t)
{
	int err = ebpf_kernel_delete_frontends(t->kernel, t->retired.keys, t->retired.n);

	t->retired.n = 0;
	return err;
}

/* Ids and slots that were given back may be taken again; no element leads to them. */
static int settle(struct ebpf_table *t)
{
	int err = purge(t);

	if (err != 0 ||
	    t->services.n_limbo + t->endpoints.n_limbo + t->slots.n_limbo == 0)
		return err;
	err = ebpf_kernel_wait(t->kernel);
	if (err != 0)
		return err;
	ebpf_ids_settle(&t->services);
	ebpf_ids_settle(&t->endpoints);
	ebpf_ranges_settle(&t->slots);
	return 0;
}

/* Room enough that the next changes need not wait, too. */
static bool has_ample_room(const struct ebpf_table *t, const struct ebpf_sizes *more)
{
	const struct ebpf_sizes sizes = ebpf_kernel_sizes(t->kernel),
				ample = {
					more->frontends + sizes.frontends / MARGIN,
					more->services + sizes.services / MARGIN,
					more->slots,
					more->endpoints + sizes.endpoints / MARGIN,
				};

	return has_room(t, &ample) &&
	       ebpf_ranges_available(&t->slots) >= more->slots + sizes.slots / MARGIN;
}

static uint32_t size_for(uint32_t n)
{
	return n + n / MARGIN * 2;
}

static int make_room(struct ebpf_table *t, const struct ebpf_sizes *more)
{
	struct ebpf_sizes need;
	int err;

	if (has_room(t, more))
		return 0;
	err = settle(t);
	if (err != 0 || has_ample_room(t, more))
		return err;
	need = (struct ebpf_sizes){
		.frontends = size_for((uint32_t)t->stats.n_frontends + more->frontends),
		.services = size_for(t->services.next + more->services),
		.slots = size_for(t->slots.next + more->slots +
				  ebpf_ranges_lack(&t->slots)),
		.endpoints = size_for(t->endpoints.next + more->endpoints),
	};
	err = ebpf_kernel_grow(t->kernel, &need);
	if (err != 0)
		return err;
	need = ebpf_kernel_sizes(t->kernel);
	t->services.cap = need.services;
	t->endpoints.cap = need.endpoints;
	t->slots.cap = need.slots;
	t->stats.n_grown++;
	return 0;
}

int ebpf_table_reserve(struct ebpf_table *t, const struct ebpf_sizes *more)
{
	int err = make_room(t, more);

	ebpf_ranges_want_none(&t->slots);
	return err;
}

static bool is_deleted(const struct ebpf_table *t, const struct ebpf_frontend_key *key)
{
	return t->deleted.n && bsearch(key, t->deleted.keys, t->deleted.n, sizeof(*key),
				       ebpf_key_compare);
}

/* Would a retired frontend be found instead of the added element, or is it the same? */
static bool hides(const struct ebpf_frontend_key *retired,
		  const struct ebpf_frontend_key *added)
{
	if (added->kind == EBPF_KEY_NODE_ADDRESS)
		return memcmp(retired->addr, added->addr, sizeof(added->addr)) == 0;
	if (added->kind == EBPF_KEY_EVERYWHERE)
		return retired->port == added->port && retired->proto == added->proto;
	return ebpf_key_compare(retired, added) == 0;
}

/* Is a retired frontend in the way? Many that are added are not searched for. */
static bool reuses_retired(const struct ebpf_table *t)
{
	if (t->retired.n * t->added.n > SEARCH_MAX)
		return true;
	for (size_t i = 0; i < t->retired.n; i++)
		for (size_t k = 0; k < t->added.n; k++)
			if (hides(&t->retired.keys[i], &t->added.keys[k]))
				return true;
	return false;
}

/* Sockets can be connected through it: a UDP frontend, or a node port at a node address. */
static bool is_named_by_udp(const struct ebpf_frontend_key *key)
{
	return key->kind == EBPF_KEY_NODE_ADDRESS || key->proto == IPPROTO_UDP;
}

/*
 * A frontend that changes its service is deleted and added again after a grace
 * period; in between nftables serves it.
 */
static int flush_frontends(struct ebpf_table *t)
{
	struct ebpf_key_list *added = &t->added, *deleted = &t->deleted, moved = {0};
	size_t n = 0;
	int err = t->retired.n > RETIRED_MAX || reuses_retired(t) ? purge(t) : 0;

	if (err != 0)
		return err;
	if (deleted->n)
		qsort(deleted->keys, deleted->n, sizeof(*deleted->keys),
		      ebpf_key_compare);
	for (size_t i = 0; i < added->n; i++) {
		if (is_deleted(t, &added->keys[i])) {
			ebpf_key_list_add(&moved, &added->keys[i], &added->values[i]);
			continue;
		}
		added->keys[n] = added->keys[i];
		added->values[n++] = added->values[i];
	}
	err = ebpf_kernel_add_frontends(t->kernel, added->keys, added->values, n);
	if (err == 0)
		err = ebpf_kernel_delete_frontends(t->kernel, deleted->keys, deleted->n);
	if (err == 0)
		err = ebpf_kernel_add_frontends(t->kernel, moved.keys, moved.values,
						moved.n);
	if (err == 0)
		t->stats.n_frontends += added->n - deleted->n;
	for (size_t i = 0; i < deleted->n; i++)
		t->stats.n_lost += is_named_by_udp(&deleted->keys[i]);
	free(moved.keys);
	free(moved.values);
	added->n = deleted->n = 0;
	return err;
}

int ebpf_table_flush(struct ebpf_table *t)
{
	struct ebpf_arrays a = ebpf_kernel_arrays(t->kernel);
	int err = flush_frontends(t);

	/* from here on their sockets and the affinity to them are stale */
	for (size_t i = 0; i < t->n_gone; i++) {
		__atomic_store_n(&a.endpoints[t->gone[i]].flags, 0, __ATOMIC_RELEASE);
		ebpf_ids_give_back(&t->endpoints, t->gone[i]);
	}
	t->stats.n_gone += t->n_gone;
	t->stats.n_endpoints -= t->n_gone;
	t->n_gone = 0;
	return err;
}
