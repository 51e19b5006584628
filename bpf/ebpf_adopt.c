/*
 * Full change sets: start, recovery, audit. The content of the maps is read
 * back, services are recognised by any of their frontends and endpoints by
 * service, address and port, so that they keep their numbers; then the
 * difference is written.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/ebpf_found.h"
#include "bpf/ebpf_table_private.h"
#include "core/cleanup.h"
#include "core/mem.h"

#define AHEAD 8 /* services */

struct found { /* the content of the maps */
	struct ebpf_found frontends;
	struct ebpf_found_endpoints endpoints;
	uint8_t *has_service, *has_endpoint; /* numbers that were recognised */
	struct ebpf_range *ranges;
	size_t n_ranges, ranges_cap;
	struct ebpf_sizes sizes;
};

static void found_fini(struct found *f)
{
	ebpf_found_fini(&f->frontends);
	ebpf_found_endpoints_fini(&f->endpoints);
	free(f->has_service);
	free(f->has_endpoint);
	free(f->ranges);
}

/* The number that this service had, or EBPF_ID_NONE. Counts the frontends that are new. */
static uint32_t recognise_service(struct found *f, const struct service *s,
				  uint32_t *n_new)
{
	const struct frontend *frontends = service_frontends(s);
	uint32_t id = EBPF_ID_NONE;

	for (uint32_t i = 0; i < s->n_frontends; i++) {
		struct ebpf_frontend_key key = ebpf_key_of(s, &frontends[i]);
		size_t at = ebpf_found_find(&f->frontends, &key);
		uint32_t service;

		*n_new += at == EBPF_FOUND_NONE;
		if (id != EBPF_ID_NONE || at == EBPF_FOUND_NONE)
			continue;
		service = f->frontends.values[at].service;
		if (service < f->sizes.services && !f->has_service[service]) {
			id = service;
			f->has_service[id] = 1;
		}
	}
	return id;
}

static int compare_endpoint(const void *a, const void *b)
{
	return service_compare_endpoint(a, b);
}

/* Which endpoint of the service a record has; n_endpoints: none. guess may be right. */
static uint32_t find_endpoint(const struct service *s, const struct ebpf_endpoint *record,
			      uint32_t guess)
{
	const struct endpoint *endpoints = service_endpoints(s), *found;
	struct endpoint key = {.port = ntohs(record->port)};

	memcpy(&key.addr, record->addr, sizeof(key.addr));
	if (guess < s->n_endpoints &&
	    service_compare_endpoint(&key, &endpoints[guess]) == 0)
		return guess;
	found = s->n_endpoints ? bsearch(&key, endpoints, s->n_endpoints, sizeof(key),
					 compare_endpoint)
			       : NULL;
	return found ? (uint32_t)(found - endpoints) : s->n_endpoints;
}

/* Returns how many have a record. */
static uint32_t recognise_endpoints(struct found *f, const struct ebpf_arrays *a,
				    struct ebpf_entry *e)
{
	const struct ebpf_found_endpoints *records = &f->endpoints;
	uint32_t at = 0, n = 0;

	for (uint32_t k = records->first[e->id]; k < records->first[e->id + 1]; k++) {
		uint32_t record = records->ids[k];

		at = find_endpoint(e->service, &a->endpoints[record], at);
		if (at < e->service->n_endpoints && e->endpoint_ids[at] == EBPF_ID_NONE) {
			e->endpoint_ids[at] = record;
			f->has_endpoint[record] = 1;
			n++;
		}
		at++;
	}
	return n;
}

/* The range of a pool as its word says, if that can be. */
static struct ebpf_range read_range(struct found *f, uint64_t word)
{
	struct ebpf_range range = {(uint32_t)word, (uint32_t)(word >> 32)};

	if (range.n == 0 || range.n > f->sizes.slots || range.first > f->sizes.slots ||
	    ebpf_ranges_rounded(range.n) > f->sizes.slots - range.first)
		return (struct ebpf_range){0};
	f->ranges = xgrow(f->ranges, f->n_ranges, &f->ranges_cap, sizeof(*f->ranges));
	f->ranges[f->n_ranges++] = range;
	return range;
}

/* The entry of a service with its numbers in the maps; adds its other needs to *more. */
static struct ebpf_entry *recognise(struct found *f, const struct ebpf_arrays *a,
				    const struct service *s, struct ebpf_sizes *more)
{
	struct ebpf_entry *e =
		ebpf_entry_new(s, recognise_service(f, s, &more->frontends));

	if (e->id == EBPF_ID_NONE) {
		more->services++;
		more->endpoints += s->n_endpoints;
		more->slots += ebpf_sizes_of(s).slots;
		return e;
	}
	more->endpoints += s->n_endpoints - recognise_endpoints(f, a, e);
	for (enum ebpf_pool pool = 0; pool < EBPF_POOL_N; pool++) {
		e->pool[pool] = read_range(f, a->services[e->id].pool[pool]);
		if (s->n_pool[pool] && !ebpf_table_has_pool(a, e, pool))
			more->slots += ebpf_ranges_rounded(s->n_pool[pool]);
	}
	return e;
}

/* Services are all over the memory, and each pass reads all of them. */
static void prefetch(const struct changeset *cs, size_t i)
{
	const char *later =
		i + AHEAD < cs->n ? (const char *)cs->changes[i + AHEAD].new : NULL;

	for (size_t line = 0; later && line < 4; line++)
		__builtin_prefetch(later + line * 64);
}

/* entries[i] stays NULL for a service that the maps do not have. */
static struct ebpf_sizes recognise_all(struct found *f, const struct ebpf_arrays *a,
				       const struct changeset *cs,
				       struct ebpf_entry **entries)
{
	struct ebpf_sizes more = {0};

	for (size_t i = 0; i < cs->n; i++) {
		prefetch(cs, i);
		if (ebpf_is_served(cs->changes[i].new))
			entries[i] = recognise(f, a, cs->changes[i].new, &more);
	}
	return more;
}

/* Records that no service of the change set has: they end. */
static void end_unrecognised(struct ebpf_table *t, const struct found *f,
			     const struct ebpf_arrays *a)
{
	for (uint32_t i = 0; i < f->endpoints.n; i++) {
		uint32_t id = f->endpoints.ids[i];

		if (f->has_endpoint[id])
			continue;
		__atomic_store_n(&a->endpoints[id].flags, 0, __ATOMIC_RELEASE);
		t->stats.n_gone++;
		t->stats.n_repaired++;
	}
	for (uint32_t i = 0; i < f->sizes.services; i++)
		if (!f->has_service[i] && a->services[i].rows) {
			__atomic_store_n(&a->services[i].rows, 0, __ATOMIC_RELEASE);
			t->stats.n_repaired++;
		}
}

/* One that is as it should be stays; true if the maps do not have its key. */
static bool compare_element(struct ebpf_table *t, struct found *f,
			    const struct ebpf_frontend_key *key,
			    const struct ebpf_frontend *value)
{
	size_t at = ebpf_found_find(&f->frontends, key);

	if (at != EBPF_FOUND_NONE &&
	    memcmp(&f->frontends.values[at], value, sizeof(*value)) == 0)
		f->frontends.flags[at] |= EBPF_FOUND_WANTED;
	else
		ebpf_key_list_add(&t->added, key, value);
	return at == EBPF_FOUND_NONE;
}

/* Frontends of one service. */
static void compare_frontends(struct ebpf_table *t, struct found *f,
			      const struct ebpf_entry *e)
{
	const struct frontend *frontends = service_frontends(e->service);

	for (uint32_t i = 0; i < e->service->n_frontends; i++) {
		struct ebpf_frontend_key key = ebpf_key_of(e->service, &frontends[i]);
		struct ebpf_frontend value = {
			.service = e->id,
			.row = ebpf_row_of(e->service, &frontends[i]),
		};

		(void)compare_element(t, f, &key, &value);
	}
}

static void write_entry(struct ebpf_table *t, struct found *f, struct ebpf_entry *e,
			const struct environment *env)
{
	if (e->id == EBPF_ID_NONE) {
		e->id = ebpf_ids_take(&t->services);
		ebpf_kernel_arrays(t->kernel).services[e->id] = (struct ebpf_service){0};
	}
	ebpf_table_write(t, e, env);
	compare_frontends(t, f, e);
	t->stats.n_services++;
	t->stats.n_endpoints += e->service->n_endpoints;
}

/* Another program made the ranges overlap: all pools get new ones. */
static void init_allocators(struct ebpf_table *t, struct found *f,
			    struct ebpf_entry **entries, size_t n,
			    struct ebpf_sizes *more)
{
	ebpf_ids_init(&t->services, f->sizes.services, f->has_service, f->sizes.services);
	ebpf_ids_init(&t->endpoints, f->sizes.endpoints, f->has_endpoint,
		      f->sizes.endpoints);
	t->generation = f->endpoints.generation;
	if (ebpf_ranges_init(&t->slots, f->sizes.slots, f->ranges, f->n_ranges))
		return;
	more->slots = 0;
	for (size_t i = 0; i < n; i++) {
		if (!entries[i])
			continue;
		memset(entries[i]->pool, 0, sizeof(entries[i]->pool));
		more->slots += ebpf_sizes_of(entries[i]->service).slots;
	}
	(void)ebpf_ranges_init(&t->slots, f->sizes.slots, NULL, 0);
}

/* Takes the entries. */
static int write_all(struct ebpf_table *t, struct found *f, struct ebpf_entry **entries,
		     const struct changeset *cs)
{
	uint64_t hashes[AHEAD] = {0};

	for (size_t i = 0; i < cs->n + AHEAD; i++) {
		if (i >= AHEAD && entries[i - AHEAD])
			hash_put_prepared(&t->entries, take_ptr(entries[i - AHEAD]),
					  hashes[i % AHEAD]);
		prefetch(cs, i);
		if (i >= cs->n || !entries[i])
			continue;
		hashes[i % AHEAD] = hash_prepare(&t->entries, entries[i]);
		write_entry(t, f, entries[i], cs->env);
	}
	for (size_t i = 0; i < f->frontends.n; i++) {
		if (f->frontends.flags[i] & EBPF_FOUND_WANTED)
			continue;
		ebpf_key_list_add(&t->deleted, &f->frontends.keys[i], NULL);
		t->stats.n_repaired += !(f->frontends.flags[i] & EBPF_FOUND_RETIRED);
	}
	return ebpf_table_flush(t);
}

/* Elements of node addresses; counts those that are new. */
static void compare_nodes(struct ebpf_table *t, struct found *f,
			  const struct environment *env, uint32_t *n_new)
{
	for (enum family family = 0; family < FAMILY_N; family++)
		for (size_t i = 0; i < env->n_node_addresses[family]; i++) {
			const struct addr *a = &env->node_addresses[family][i];
			struct ebpf_frontend_key key = ebpf_key_of_node(a);
			struct ebpf_frontend value = ebpf_value_of_node(a);

			*n_new += compare_element(t, f, &key, &value);
		}
}

/* A number that is used again must not be what an old element leads to. */
static int reserve(struct ebpf_table *t, const struct found *f,
		   const struct ebpf_sizes *more)
{
	int err;

	for (size_t i = 0; i < f->frontends.n; i++) {
		uint32_t service = f->frontends.values[i].service;

		if (f->frontends.flags[i] & EBPF_FOUND_WANTED) /* a node address */
			continue;
		if (service >= f->sizes.services || !f->has_service[service])
			ebpf_key_list_add(&t->retired, &f->frontends.keys[i], NULL);
	}
	t->stats.n_frontends = f->frontends.n - t->retired.n;
	err = ebpf_table_reserve(t, more);
	t->stats.n_frontends = f->frontends.n;
	t->retired.n = 0; /* they are among those that write_all() deletes */
	return err;
}

int ebpf_table_adopt(struct ebpf_table *t, const struct changeset *cs)
{
	struct ebpf_arrays a = ebpf_kernel_arrays(t->kernel);
	struct found f = {.sizes = ebpf_kernel_sizes(t->kernel)};
	struct ebpf_entry **entries = xcalloc(cs->n + 1, sizeof(struct ebpf_entry *));
	struct ebpf_sizes more;
	int err = ebpf_found_read(&f.frontends, t->kernel);

	if (err != 0)
		goto out;
	ebpf_table_clear(t);
	f.has_service = xcalloc(f.sizes.services, 1);
	f.has_endpoint = xcalloc(f.sizes.endpoints, 1);
	ebpf_found_read_endpoints(&f.endpoints, &a, &f.sizes);
	more = recognise_all(&f, &a, cs, entries);
	compare_nodes(t, &f, cs->env, &more.frontends);
	init_allocators(t, &f, entries, cs->n, &more);
	hash_reserve(&t->entries, cs->n);
	end_unrecognised(t, &f, &a);
	err = reserve(t, &f, &more);
	if (err != 0)
		goto out;
	err = write_all(t, &f, entries, cs);
out:
	for (size_t i = 0; i < cs->n; i++)
		ebpf_entry_free(entries[i]);
	free(entries);
	found_fini(&f);
	return err;
}
