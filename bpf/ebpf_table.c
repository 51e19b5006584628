/*
 * Delta change sets. What one service needs is known from its old and its new
 * value alone; the maps are not read.
 */
#include "bpf/ebpf_table.h"

#include <stdlib.h>
#include <string.h>

#include "bpf/ebpf_table_private.h"
#include "core/hash_keys.h"
#include "core/mem.h"

struct ebpf_table *ebpf_table_new(struct ebpf_kernel *kernel)
{
	struct ebpf_table *t = xcalloc(1, sizeof(*t));

	t->kernel = kernel;
	hash_init(&t->entries, &service_key_ops);
	return t;
}

void ebpf_table_clear(struct ebpf_table *t)
{
	struct ebpf_entry *e;

	for (size_t i = 0; (e = hash_next(&t->entries, &i));)
		ebpf_entry_free(e);
	hash_clear(&t->entries);
	ebpf_ids_fini(&t->services);
	ebpf_ids_fini(&t->endpoints);
	ebpf_ranges_fini(&t->slots);
	t->added.n = t->deleted.n = t->retired.n = t->n_gone = 0;
	t->stats.n_services = t->stats.n_frontends = t->stats.n_endpoints = 0;
}

void ebpf_table_free(struct ebpf_table *t)
{
	if (!t)
		return;
	ebpf_table_clear(t);
	hash_fini(&t->entries);
	free(t->added.keys);
	free(t->added.values);
	free(t->deleted.keys);
	free(t->retired.keys);
	free(t->gone);
	free(t);
}

/* Numbers of the endpoints that both values have; others of the old one are released. */
static void carry_over(struct ebpf_table *t, const struct ebpf_entry *old,
		       struct ebpf_entry *new)
{
	const struct endpoint *olds = service_endpoints(old->service),
			      *news = service_endpoints(new->service);
	uint32_t i = 0, k = 0, n_olds = old->service->n_endpoints,
		 n_news = new->service->n_endpoints;

	/* both are in the same order */
	while (i < n_olds || k < n_news) {
		int order = i == n_olds	  ? 1
			    : k == n_news ? -1
					  : service_compare_endpoint(&olds[i], &news[k]);

		if (order < 0) {
			ebpf_table_release_endpoint(t, old, old->endpoint_ids[i++]);
		} else if (order > 0) {
			k++;
			t->stats.n_endpoints++;
		} else {
			new->endpoint_ids[k++] = old->endpoint_ids[i++];
		}
	}
}

static struct ebpf_frontend value_of(const struct ebpf_entry *e, const struct service *s,
				     const struct frontend *f)
{
	return (struct ebpf_frontend){.service = e->id, .row = ebpf_row_of(s, f)};
}

static void add_frontend(struct ebpf_table *t, const struct ebpf_entry *e,
			 const struct service *s, const struct frontend *f)
{
	struct ebpf_frontend_key key = ebpf_key_of(s, f);
	struct ebpf_frontend value = value_of(e, s, f);

	ebpf_key_list_add(&t->added, &key, &value);
}

static void delete_frontend(struct ebpf_key_list *list, const struct service *s,
			    const struct frontend *f)
{
	struct ebpf_frontend_key key = ebpf_key_of(s, f);

	ebpf_key_list_add(list, &key, NULL);
}

/* Frontends of both are in one order: a walk along both finds the difference. */
static void change_frontends(struct ebpf_table *t, const struct ebpf_entry *e,
			     const struct service *old, const struct service *new)
{
	const struct frontend *olds = service_frontends(old),
			      *news = service_frontends(new);
	uint32_t i = 0, k = 0;

	while (i < old->n_frontends || k < new->n_frontends) {
		int order = i == old->n_frontends ? 1
			    : k == new->n_frontends
				    ? -1
				    : service_compare_frontend(&olds[i], &news[k]);

		if (order < 0) {
			delete_frontend(&t->deleted, old, &olds[i++]);
		} else if (order > 0) {
			add_frontend(t, e, new, &news[k++]);
		} else {
			if (ebpf_row_of(old, &olds[i]) != ebpf_row_of(new, &news[k])) {
				delete_frontend(&t->deleted, old, &olds[i]);
				add_frontend(t, e, new, &news[k]);
			}
			i++;
			k++;
		}
	}
}

static void update(struct ebpf_table *t, struct ebpf_entry *old,
		   const struct service *new, const struct environment *env)
{
	struct ebpf_entry *e = ebpf_entry_new(new, old->id);

	memcpy(e->pool, old->pool, sizeof(e->pool));
	carry_over(t, old, e);
	ebpf_table_write(t, e, env);
	change_frontends(t, e, old->service, new);
	(void)hash_put(&t->entries, e); /* in the place of the old one */
	ebpf_entry_free(old);
}

static void create(struct ebpf_table *t, const struct service *new,
		   const struct environment *env)
{
	struct ebpf_entry *e = ebpf_entry_new(new, ebpf_ids_take(&t->services));
	const struct frontend *frontends = service_frontends(new);

	ebpf_kernel_arrays(t->kernel).services[e->id] = (struct ebpf_service){0};
	ebpf_table_write(t, e, env);
	for (uint32_t i = 0; i < new->n_frontends; i++)
		add_frontend(t, e, new, &frontends[i]);
	(void)hash_put(&t->entries, e);
	t->stats.n_services++;
	t->stats.n_endpoints += new->n_endpoints;
}

static void delete (struct ebpf_table *t, struct ebpf_entry *e)
{
	struct ebpf_service *record = &ebpf_kernel_arrays(t->kernel).services[e->id];
	const struct frontend *frontends = service_frontends(e->service);

	__atomic_store_n(&record->rows, 0, __ATOMIC_RELEASE); /* pass, from now on */
	for (uint32_t i = 0; i < e->service->n_frontends; i++)
		delete_frontend(&t->retired, e->service, &frontends[i]);
	t->stats.n_frontends -= e->service->n_frontends;
	for (uint32_t i = 0; i < e->service->n_endpoints; i++)
		ebpf_table_release_endpoint(t, e, e->endpoint_ids[i]);
	for (enum ebpf_pool pool = 0; pool < EBPF_POOL_N; pool++)
		ebpf_ranges_give_back(&t->slots, e->pool[pool]);
	ebpf_ids_give_back(&t->services, e->id);
	(void)hash_del(&t->entries, e->service);
	ebpf_entry_free(e);
	t->stats.n_services--;
}

static void add_sizes(struct ebpf_sizes *sum, struct ebpf_sizes more)
{
	sum->frontends += more.frontends;
	sum->services += more.services;
	sum->slots += more.slots;
	sum->endpoints += more.endpoints;
}

static void change_node(struct ebpf_table *t, const struct node_change *change)
{
	struct ebpf_frontend_key key = ebpf_key_of_node(&change->addr);
	struct ebpf_frontend value = ebpf_value_of_node(&change->addr);

	if (change->is_added)
		ebpf_key_list_add(&t->added, &key, &value);
	else
		ebpf_key_list_add(&t->deleted, &key, NULL);
}

/* Slots are wanted as runs, so that those that were given back count. */
static void want(struct ebpf_table *t, const struct service *s, struct ebpf_sizes *more)
{
	struct ebpf_sizes sizes = ebpf_sizes_of(s);

	sizes.slots = 0;
	add_sizes(more, sizes);
	for (enum ebpf_pool pool = 0; pool < EBPF_POOL_N; pool++)
		if (s->n_pool[pool])
			ebpf_ranges_want(&t->slots, s->n_pool[pool]);
}

static int apply_delta(struct ebpf_table *t, const struct changeset *cs)
{
	struct ebpf_sizes more = {.frontends = (uint32_t)cs->n_node_changes};
	int err;

	for (size_t i = 0; i < cs->n; i++)
		if (cs->changes[i].new &&ebpf_is_served(cs->changes[i].new))
			want(t, cs->changes[i].new, &more);
	err = ebpf_table_reserve(t, &more);
	if (err != 0)
		return err;
	for (size_t i = 0; i < cs->n_node_changes; i++)
		change_node(t, &cs->node_changes[i]);
	for (size_t i = 0; i < cs->n; i++) {
		const struct change *c = &cs->changes[i];
		struct ebpf_entry *e = hash_find(&t->entries, c->new ? c->new : c->old);

		bool is_served = c->new &&ebpf_is_served(c->new);

		if (e && is_served)
			update(t, e, c->new, cs->env);
		else if (e)
			delete (t, e);
		else if (is_served)
			create(t, c->new, cs->env);
	}
	return ebpf_table_flush(t);
}

int ebpf_table_apply(struct ebpf_table *t, const struct changeset *cs)
{
	int err;

	t->stats.n_applied++;
	err = cs->full ? ebpf_table_adopt(t, cs) : apply_delta(t, cs);
	ebpf_kernel_next_epoch(t->kernel); /* after an error, too: half may be written */
	return err;
}

struct ebpf_table_stats ebpf_table_stats(const struct ebpf_table *t)
{
	return t->stats;
}

bool ebpf_table_counts(const struct ebpf_table *t, const struct service *s,
		       struct ebpf_counts *ret)
{
	struct ebpf_arrays a = ebpf_kernel_arrays(t->kernel);
	const struct ebpf_entry *e = hash_find(&t->entries, s);

	/* the ids are in the order of the endpoints of this very value */
	if (!e || e->service->n_endpoints != s->n_endpoints ||
	    !service_equal(e->service, s))
		return false;
	*ret = (struct ebpf_counts){
		.n_connections = a.services[e->id].n_removed,
		.n_refused = a.services[e->id].n_refused,
		.endpoint_ids = e->endpoint_ids,
	};
	for (uint32_t i = 0; i < s->n_endpoints; i++)
		ret->n_connections += a.endpoints[e->endpoint_ids[i]].n_connections;
	return true;
}

static int compare_endpoint(const void *a, const void *b)
{
	return service_compare_endpoint(a, b);
}

const struct service *ebpf_table_find_other(const struct ebpf_table *t,
					    const struct service *s,
					    const struct endpoint *endpoint)
{
	const struct ebpf_entry *e;

	for (size_t i = 0; (e = hash_next(&t->entries, &i));)
		if (e->service->proto == IPPROTO_UDP && e->service->n_endpoints &&
		    !service_same_key(e->service, s) &&
		    bsearch(endpoint, service_endpoints(e->service),
			    e->service->n_endpoints, sizeof(*endpoint), compare_endpoint))
			return e->service;
	return NULL;
}

uint64_t ebpf_table_endpoint_count(const struct ebpf_table *t,
				   const struct ebpf_counts *counts, uint32_t i)
{
	return ebpf_kernel_arrays(t->kernel)
		.endpoints[counts->endpoint_ids[i]]
		.n_connections;
}
