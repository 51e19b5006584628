/*
 * The effect of a new, changed or deleted object, by kind: the Services that must be
 * planned again, and the cause.
 */
#include <string.h>

#include "core/clock.h"
#include "core/hash_keys.h"
#include "watchers/cluster_private.h"

void cluster_mark_put(const struct cluster *c, struct object *o)
{
	o->relist = c->relists[o->kind];
}

struct hash *cluster_table(struct cluster *c, enum object_kind kind)
{
	return kind == OBJECT_SLICE	     ? &c->slices
	       : kind == OBJECT_SERVICE_CIDR ? &c->service_cidrs
	       : kind == OBJECT_POD	     ? &c->pods
	       : kind == OBJECT_NAMESPACE    ? &c->namespaces
					     : NULL;
}

struct object *cluster_find(struct cluster *c, enum object_kind kind, const char *ns,
			    const char *name)
{
	const struct name_key key = {.ns = ns, .name = name};
	const struct hash *table = cluster_table(c, kind);
	const struct service_record *record;

	if (table)
		return hash_find(table, &key);
	record = kind == OBJECT_SERVICE ? service_index_find(&c->index, ns, name) : NULL;
	return record ? record->service : NULL;
}

/* Is the new object equal to the old one? Then the old one counts as put. */
static bool is_known(struct cluster *c, struct object *old, struct object *new)
{
	if (!old || !object_equal(old, new))
		return false;
	cluster_mark_put(c, old);
	object_unref(new); /* also if both are the same block: the reference was passed */
	return true;
}

/* The cause of planning a Service again, or, NULL, all. since_us 0: now. */
static void note_cause(struct cluster *c, const struct object *o, const char *service,
		       uint64_t since_us)
{
	struct cause cause = {
		.kind = object_kind_name((enum object_kind)o->kind),
		.ns = o->ns,
		.name = o->name,
		.since_us = since_us,
	};

	if (o->kind == OBJECT_SLICE && object_as_slice(o)->is_mirror) {
		cause.kind = "Endpoints";
		cause.name = object_as_slice(o)->service;
	}
	causes_note(&c->causes, o->ns, service, &cause);
}

static bool put_service(struct cluster *c, struct object *o)
{
	struct service_record *record = service_index_get(&c->index, o->ns, o->name);

	if (is_known(c, record->service, o))
		return false;
	if (record->service)
		object_unref(record->service);
	else
		c->n_services++;
	record->service = o;
	cluster_mark_put(c, o);
	service_index_mark(&c->index, record);
	note_cause(c, o, o->name, 0);
	return true;
}

static bool del_service(struct cluster *c, const char *ns, const char *name)
{
	struct service_record *record = service_index_find(&c->index, ns, name);

	if (!record || !record->service)
		return false;
	/* The caller's strings may be those of the removed object. */
	service_index_mark(&c->index, record);
	note_cause(c, record->service, record->name, 0);
	object_unref(record->service);
	record->service = NULL;
	c->n_services--;
	return true;
}

static void remove_slice(struct cluster *c, struct object *o)
{
	const char *service = object_as_slice(o)->service;
	struct service_record *record = service_index_find(&c->index, o->ns, service);

	if (record)
		service_index_remove_slice(&c->index, record, o);
	note_cause(c, o, service, 0);
	(void)hash_del(&c->slices, o);
	object_unref(o);
}

/* When the change of the slice was triggered, monotonic clock; 0: unknown, or not ours. */
static uint64_t new_trigger(const struct cluster *c, const struct object *old,
			    const struct object_slice *slice)
{
	uint64_t now_us = clock_monotonic_us();
	int64_t age_us = clock_wall_us() - slice->trigger_us;

	if (slice->trigger_us < c->triggers.since_us ||
	    (old && object_as_slice(old)->trigger_us == slice->trigger_us))
		return 0;
	return age_us > 0 && (uint64_t)age_us < now_us ? now_us - (uint64_t)age_us : 0;
}

static bool put_slice(struct cluster *c, struct object *o)
{
	const struct object_slice *slice = object_as_slice(o);
	struct object *old = hash_find(&c->slices, o);
	uint64_t trigger_us = new_trigger(c, old, slice);

	if (is_known(c, old, o))
		return false;
	/* It may have moved to another Service. */
	if (old)
		remove_slice(c, old);
	if (!*slice->service) {
		object_unref(o);
		return old;
	}
	(void)hash_put(&c->slices, o);
	cluster_mark_put(c, o);
	service_index_add_slice(&c->index,
				service_index_get(&c->index, o->ns, slice->service), o);
	triggers_note(&c->triggers, slice->trigger_us);
	note_cause(c, o, slice->service, trigger_us);
	return true;
}

static bool del_slice(struct cluster *c, const char *ns, const char *name)
{
	struct object *o = cluster_find(c, OBJECT_SLICE, ns, name);

	if (o)
		remove_slice(c, o);
	return o;
}

/* Does a field differ that plan() or the pod detector uses? */
static bool node_matters(const struct object_node *a, const struct object_node *b)
{
	if (strcmp(a->zone, b->zone) != 0 || a->n_addresses != b->n_addresses ||
	    a->n_pod_cidrs != b->n_pod_cidrs)
		return true;
	for (uint32_t i = 0; i < a->n_addresses; i++)
		if (!addr_equal(&a->addresses[i], &b->addresses[i]))
			return true;
	for (uint32_t i = 0; i < a->n_pod_cidrs; i++)
		if (!cidr_equal(&a->pod_cidrs[i], &b->pod_cidrs[i]))
			return true;
	return false;
}

static bool put_node(struct cluster *c, struct object *o)
{
	struct object *old = c->node;

	if (strcmp(o->name, c->node_name) != 0) {
		object_unref(o);
		return false;
	}
	if (is_known(c, old, o))
		return false;
	if (!old || node_matters(object_as_node(old), object_as_node(o))) {
		c->node_changed = true;
		note_cause(c, o, NULL, 0);
	}
	if (old)
		object_unref(old);
	c->node = o;
	cluster_mark_put(c, o);
	return true;
}

/* The host exists while this process runs, even without its Node object. */
static bool del_node(struct cluster *c, const char *ns, const char *name)
{
	return false;
}

/* Of a kind that is only kept by name. */
static bool put_plain(struct cluster *c, struct object *o)
{
	struct hash *table = cluster_table(c, o->kind);
	struct object *old = hash_find(table, o);

	if (is_known(c, old, o))
		return false;
	if (old) {
		(void)hash_del(table, old);
		object_unref(old);
	}
	(void)hash_put(table, o);
	cluster_mark_put(c, o);
	return true;
}

static bool del_plain(struct cluster *c, enum object_kind kind, const char *ns,
		      const char *name)
{
	const struct name_key key = {.ns = ns, .name = name};
	struct object *o = hash_del(cluster_table(c, kind), &key);

	if (!o)
		return false;
	object_unref(o);
	return true;
}

/* Sets the flag that the change is noticed by. */
static bool note(bool *flag, bool has_changed)
{
	*flag |= has_changed;
	return has_changed;
}

static bool put_service_cidr(struct cluster *c, struct object *o)
{
	return note(&c->service_cidrs_changed, put_plain(c, o));
}

static bool del_service_cidr(struct cluster *c, const char *ns, const char *name)
{
	return note(&c->service_cidrs_changed,
		    del_plain(c, OBJECT_SERVICE_CIDR, ns, name));
}

static bool del_pod(struct cluster *c, const char *ns, const char *name)
{
	return note(&c->pods_changed, del_plain(c, OBJECT_POD, ns, name));
}

/* Those of other nodes have no cgroup here. */
static bool put_pod(struct cluster *c, struct object *o)
{
	const char *node = object_as_pod(o)->node;
	bool was_known;

	if (!*node || strcmp(node, c->node_name) == 0)
		return note(&c->pods_changed, put_plain(c, o));
	was_known = del_pod(c, o->ns, o->name);
	object_unref(o);
	return was_known;
}

static bool put_namespace(struct cluster *c, struct object *o)
{
	return note(&c->pods_changed, put_plain(c, o));
}

static bool del_namespace(struct cluster *c, const char *ns, const char *name)
{
	return note(&c->pods_changed, del_plain(c, OBJECT_NAMESPACE, ns, name));
}

const struct cluster_kind cluster_kinds[OBJECT_KIND_N] = {
	[OBJECT_SERVICE] = {put_service, del_service},
	[OBJECT_SLICE] = {put_slice, del_slice},
	[OBJECT_NODE] = {put_node, del_node},
	[OBJECT_SERVICE_CIDR] = {put_service_cidr, del_service_cidr},
	[OBJECT_POD] = {put_pod, del_pod},
	[OBJECT_NAMESPACE] = {put_namespace, del_namespace},
};
