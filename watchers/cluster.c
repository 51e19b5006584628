/*
 * Relists, and the changes that other modules take. The changes of objects are in
 * cluster_kinds.c, the functions that only read in cluster_read.c.
 */
#include "watchers/cluster.h"

#include <stdlib.h>

#include "core/cleanup.h"
#include "core/hash_keys.h"
#include "core/mem.h"
#include "watchers/cluster_private.h"

struct cluster *cluster_new(const char *node_name)
{
	struct cluster *c = xcalloc(1, sizeof(*c));

	c->node_name = xstrdup(node_name);
	service_index_init(&c->index);
	hash_init(&c->slices, &name_key_ops);
	hash_init(&c->service_cidrs, &name_key_ops);
	hash_init(&c->pods, &name_key_ops);
	hash_init(&c->namespaces, &name_key_ops);
	return c;
}

static void free_objects(struct hash *table)
{
	struct object *o;

	for (size_t i = 0; (o = hash_next(table, &i));)
		object_unref(o);
	hash_fini(table);
}

void cluster_free(struct cluster *c)
{
	if (!c)
		return;
	service_index_fini(&c->index);
	free_objects(&c->slices);
	free_objects(&c->service_cidrs);
	free_objects(&c->pods);
	free_objects(&c->namespaces);
	object_unref(c->node);
	triggers_fini(&c->triggers);
	causes_fini(&c->causes);
	free(c->node_name);
	free(c);
}

bool cluster_put(struct cluster *c, struct object *object)
{
	return cluster_kinds[object->kind].put(c, object);
}

bool cluster_del(struct cluster *c, enum object_kind kind, const char *ns,
		 const char *name)
{
	return cluster_kinds[kind].del(c, ns, name);
}

void cluster_begin_replace(struct cluster *c, enum object_kind kind)
{
	c->relists[kind] = ++c->n_relists;
}

void cluster_keep(struct cluster *c, enum object_kind kind, const char *ns,
		  const char *name)
{
	struct object *o = cluster_find(c, kind, ns, name);

	if (o)
		cluster_mark_put(c, o);
}

static void sweep(struct cluster *c, enum object_kind kind, struct object *o)
{
	if (o && o->relist != c->relists[kind])
		(void)cluster_kinds[kind].del(c, o->ns, o->name);
}

void cluster_end_replace(struct cluster *c, enum object_kind kind)
{
	const struct hash *table = cluster_table(c, kind);
	struct service_record *record;
	struct object *o;

	if (!c->relists[kind])
		return;
	for (size_t i = 0; table && (o = hash_next(table, &i));)
		sweep(c, kind, o);
	for (size_t i = 0;
	     kind == OBJECT_SERVICE && (record = service_index_next(&c->index, &i));)
		sweep(c, kind, record->service);
	c->relists[kind] = 0;
}

static bool take_flag(bool *flag)
{
	bool was = *flag;

	*flag = false;
	return was;
}

bool cluster_take_node_change(struct cluster *c)
{
	return take_flag(&c->node_changed);
}

bool cluster_take_service_cidr_change(struct cluster *c)
{
	return take_flag(&c->service_cidrs_changed);
}

bool cluster_take_pod_change(struct cluster *c)
{
	return take_flag(&c->pods_changed);
}

void cluster_mark(struct cluster *c, const char *ns, const char *name)
{
	struct service_record *record = service_index_find(&c->index, ns, name);

	if (record)
		service_index_mark(&c->index, record);
}

void cluster_mark_all(struct cluster *c)
{
	service_index_mark_all(&c->index);
}

bool cluster_take_dirty(struct cluster *c, const char **ret_ns, const char **ret_name)
{
	const struct service_record *record = service_index_take(&c->index);

	if (!record)
		return false;
	*ret_ns = record->ns;
	*ret_name = record->name;
	return true;
}

size_t cluster_n_dirty(const struct cluster *c)
{
	return service_index_n_dirty(&c->index);
}

size_t cluster_take_triggers(struct cluster *c, int64_t *ret, size_t max)
{
	return triggers_take(&c->triggers, ret, max);
}

void cluster_set_triggers_since(struct cluster *c, int64_t since_us)
{
	c->triggers.since_us = since_us;
}

struct causes *cluster_causes(struct cluster *c)
{
	return &c->causes;
}

const struct object_slice *cluster_next_slice(const struct cluster *c, size_t *pos)
{
	const struct object *o = hash_next(&c->slices, pos);

	return o ? object_as_slice(o) : NULL;
}
