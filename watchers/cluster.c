/*
 * What comes into the cluster and goes; what is asked of it is in
 * cluster_read.c.
 */
#include "watchers/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/hash_keys.h"
#include "core/mem.h"
#include "watchers/cluster_private.h"

struct cluster *cluster_new(const char *node_name)
{
	struct cluster *c = xcalloc(1, sizeof(*c));

	c->node_name = xstrdup(node_name);
	subjects_init(&c->subjects);
	hash_init(&c->slices, &name_key_ops);
	hash_init(&c->service_cidrs, &name_key_ops);
	for (size_t i = 0; i < OBJECT_KIND_N; i++)
		relist_init(&c->relists[i]);
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
	subjects_fini(&c->subjects);
	free_objects(&c->slices);
	free_objects(&c->service_cidrs);
	object_unref(c->node);
	for (size_t i = 0; i < OBJECT_KIND_N; i++)
		relist_fini(&c->relists[i]);
	triggers_fini(&c->triggers);
	free(c->node_name);
	free(c);
}

static void release(struct cluster *c, struct object *o)
{
	relist_forget(&c->relists[o->kind], o);
	object_unref(o);
}

/* Is the same thing there already? Then it counts as put, and the new one goes. */
static bool is_known(struct cluster *c, struct object *old, struct object *new)
{
	if (!old || !object_equal(old, new))
		return false;
	relist_note(&c->relists[old->kind], old);
	object_unref(new); /* also when it is the very same: the reference was given */
	return true;
}

static bool put_service(struct cluster *c, struct object *o)
{
	struct subject *subject = subjects_get(&c->subjects, o->ns, o->name);

	if (is_known(c, subject->service, o))
		return false;
	if (subject->service)
		release(c, subject->service);
	else
		c->n_services++;
	subject->service = o;
	relist_note(&c->relists[o->kind], o);
	subjects_mark(&c->subjects, subject);
	return true;
}

static bool del_service(struct cluster *c, const char *ns, const char *name)
{
	struct subject *subject = subjects_find(&c->subjects, ns, name);

	if (!subject || !subject->service)
		return false;
	/* The caller's strings may be those of the object that goes. */
	subjects_mark(&c->subjects, subject);
	release(c, subject->service);
	subject->service = NULL;
	c->n_services--;
	return true;
}

static void remove_slice(struct cluster *c, struct object *o)
{
	const char *service = object_as_slice(o)->service;
	struct subject *subject = subjects_find(&c->subjects, o->ns, service);

	if (subject)
		subjects_remove_slice(&c->subjects, subject, o);
	(void)hash_del(&c->slices, o);
	release(c, o);
}

static bool put_slice(struct cluster *c, struct object *o)
{
	const struct object_slice *slice = object_as_slice(o);
	struct object *old = hash_find(&c->slices, o);

	if (is_known(c, old, o))
		return false;
	/* It may have moved to another Service: out here, in there. */
	if (old)
		remove_slice(c, old);
	if (!*slice->service) {
		object_unref(o);
		return old;
	}
	(void)hash_put(&c->slices, o);
	relist_note(&c->relists[o->kind], o);
	subjects_add_slice(&c->subjects,
			   subjects_get(&c->subjects, o->ns, slice->service), o);
	triggers_note(&c->triggers, slice->trigger_us);
	return true;
}

static bool del_slice(struct cluster *c, const char *ns, const char *name)
{
	const struct name_key key = {.ns = ns, .name = name};
	struct object *o = hash_find(&c->slices, &key);

	if (o)
		remove_slice(c, o);
	return o;
}

/* Does anything differ that plan() or the pod detector looks at? */
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
	if (!old || node_matters(object_as_node(old), object_as_node(o)))
		c->node_changed = true;
	if (old)
		release(c, old);
	c->node = o;
	relist_note(&c->relists[o->kind], o);
	return true;
}

/* For as long as we run the host is there, whatever becomes of its object. */
static bool del_node(struct cluster *c, const char *ns, const char *name)
{
	(void)c;
	(void)ns;
	(void)name;
	return false;
}

static bool put_service_cidr(struct cluster *c, struct object *o)
{
	struct object *old = hash_find(&c->service_cidrs, o);

	if (is_known(c, old, o))
		return false;
	if (old) {
		(void)hash_del(&c->service_cidrs, old);
		release(c, old);
	}
	(void)hash_put(&c->service_cidrs, o);
	relist_note(&c->relists[o->kind], o);
	c->service_cidrs_changed = true;
	return true;
}

static bool del_service_cidr(struct cluster *c, const char *ns, const char *name)
{
	const struct name_key key = {.ns = ns, .name = name};
	struct object *o = hash_del(&c->service_cidrs, &key);

	if (!o)
		return false;
	release(c, o);
	c->service_cidrs_changed = true;
	return true;
}

static const struct {
	bool (*put)(struct cluster *c, struct object *o);
	bool (*del)(struct cluster *c, const char *ns, const char *name);
} kinds[OBJECT_KIND_N] = {
	[OBJECT_SERVICE] = {put_service, del_service},
	[OBJECT_SLICE] = {put_slice, del_slice},
	[OBJECT_NODE] = {put_node, del_node},
	[OBJECT_SERVICE_CIDR] = {put_service_cidr, del_service_cidr},
};

bool cluster_put(struct cluster *c, struct object *object)
{
	return kinds[object->kind].put(c, object);
}

bool cluster_del(struct cluster *c, enum object_kind kind, const char *ns,
		 const char *name)
{
	return kinds[kind].del(c, ns, name);
}

void cluster_begin_replace(struct cluster *c, enum object_kind kind)
{
	relist_start(&c->relists[kind]);
}

static struct object *find(const struct cluster *c, enum object_kind kind, const char *ns,
			   const char *name)
{
	const struct object key = {.ns = ns, .name = name};
	const struct subject *subject;

	switch (kind) {
	case OBJECT_SERVICE:
		subject = subjects_find(&c->subjects, ns, name);
		return subject ? subject->service : NULL;
	case OBJECT_SLICE:
		return hash_find(&c->slices, &key);
	case OBJECT_SERVICE_CIDR:
		return hash_find(&c->service_cidrs, &key);
	case OBJECT_NODE: /* is never swept */
	case OBJECT_KIND_N:
		break;
	}
	return NULL;
}

void cluster_keep(struct cluster *c, enum object_kind kind, const char *ns,
		  const char *name)
{
	struct object *o = find(c, kind, ns, name);

	if (o)
		relist_note(&c->relists[kind], o);
}

static void sweep(struct cluster *c, enum object_kind kind, struct object *o)
{
	if (o && !relist_has(&c->relists[kind], o))
		(void)kinds[kind].del(c, o->ns, o->name);
}

static void sweep_services(struct cluster *c)
{
	struct subject *subject;

	for (size_t i = 0; (subject = subjects_next(&c->subjects, &i));)
		sweep(c, OBJECT_SERVICE, subject->service);
}

static void sweep_table(struct cluster *c, enum object_kind kind,
			const struct hash *table)
{
	struct object *o;

	for (size_t i = 0; (o = hash_next(table, &i));)
		sweep(c, kind, o);
}

void cluster_end_replace(struct cluster *c, enum object_kind kind)
{
	if (!c->relists[kind].is_running)
		return;
	switch (kind) {
	case OBJECT_SERVICE:
		sweep_services(c);
		break;
	case OBJECT_SLICE:
		sweep_table(c, kind, &c->slices);
		break;
	case OBJECT_SERVICE_CIDR:
		sweep_table(c, kind, &c->service_cidrs);
		break;
	case OBJECT_NODE: /* stays */
	case OBJECT_KIND_N:
		break;
	}
	relist_stop(&c->relists[kind]);
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

void cluster_mark_all(struct cluster *c)
{
	subjects_mark_all(&c->subjects);
}

bool cluster_take_dirty(struct cluster *c, const char **ret_ns, const char **ret_name)
{
	const struct subject *subject = subjects_take(&c->subjects);

	if (!subject)
		return false;
	*ret_ns = subject->ns;
	*ret_name = subject->name;
	return true;
}

size_t cluster_n_dirty(const struct cluster *c)
{
	return subjects_n_dirty(&c->subjects);
}

size_t cluster_take_triggers(struct cluster *c, int64_t *ret, size_t max)
{
	return triggers_take(&c->triggers, ret, max);
}

void cluster_set_triggers_since(struct cluster *c, int64_t since_us)
{
	c->triggers.since_us = since_us;
}
