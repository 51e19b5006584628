/*
 * Services hang in their subjects (which also index the slices by Service),
 * slices and ServiceCIDRs in hash tables by name, of Nodes only ours is kept.
 */
#include "watchers/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/hash.h"
#include "core/mem.h"
#include "watchers/relist.h"
#include "watchers/subjects.h"

struct cluster {
	char *node_name;
	struct subjects subjects;
	size_t n_services;
	struct hash slices, service_cidrs; /* of objects, owned */
	struct object *node;		   /* ours */
	bool node_changed, service_cidrs_changed;
	struct relist relists[OBJECT_KIND_N];
	int64_t *triggers, triggers_since;
	size_t n_triggers, cap_triggers;
};

static uint64_t name_hash(const void *key)
{
	const struct object *o = key;

	return hash_mix(hash_string(o->ns), hash_string(o->name));
}

static bool name_equal(const void *item, const void *key)
{
	const struct object *a = item, *b = key;

	return !strcmp(a->name, b->name) && !strcmp(a->ns, b->ns);
}

static const void *itself(const void *item)
{
	return item;
}

static const struct hash_ops by_name = {
	.hash = name_hash,
	.equal = name_equal,
	.key = itself,
};

struct cluster *cluster_new(const char *node_name)
{
	struct cluster *c = xcalloc(1, sizeof(*c));

	c->node_name = xstrdup(node_name);
	subjects_init(&c->subjects);
	hash_init(&c->slices, &by_name);
	hash_init(&c->service_cidrs, &by_name);
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
	free(c->triggers);
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

static void note_trigger(struct cluster *c, int64_t trigger_us)
{
	if (trigger_us == 0 || trigger_us < c->triggers_since ||
	    c->n_triggers == CLUSTER_MAX_TRIGGERS)
		return;
	c->triggers =
		xgrow(c->triggers, c->n_triggers, &c->cap_triggers, sizeof(*c->triggers));
	c->triggers[c->n_triggers++] = trigger_us;
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
	note_trigger(c, slice->trigger_us);
	return true;
}

static bool del_slice(struct cluster *c, const char *ns, const char *name)
{
	const struct object key = {.ns = ns, .name = name};
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

static bool del_node(struct cluster *c, const char *ns, const char *name)
{
	(void)ns; /* Nodes have none */
	if (!c->node || strcmp(name, c->node_name) != 0)
		return false;
	release(c, take_ptr(c->node));
	c->node_changed = true;
	return true;
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
	const struct object key = {.ns = ns, .name = name};
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

void cluster_abort_replace(struct cluster *c, enum object_kind kind)
{
	relist_stop(&c->relists[kind]);
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
	case OBJECT_NODE:
		sweep(c, kind, c->node);
		break;
	case OBJECT_SERVICE_CIDR:
		sweep_table(c, kind, &c->service_cidrs);
		break;
	case OBJECT_KIND_N:
		break;
	}
	relist_stop(&c->relists[kind]);
}

const struct object_node *cluster_node(const struct cluster *c)
{
	return c->node ? object_as_node(c->node) : NULL;
}

const struct object_service *cluster_service(const struct cluster *c, const char *ns,
					     const char *name)
{
	const struct subject *subject = subjects_find(&c->subjects, ns, name);

	return subject && subject->service ? object_as_service(subject->service) : NULL;
}

size_t cluster_n(const struct cluster *c, enum object_kind kind)
{
	switch (kind) {
	case OBJECT_SERVICE:
		return c->n_services;
	case OBJECT_SLICE:
		return c->slices.n;
	case OBJECT_NODE:
		return c->node ? 1 : 0;
	case OBJECT_SERVICE_CIDR:
		return c->service_cidrs.n;
	case OBJECT_KIND_N:
		break;
	}
	return 0;
}

static bool has_real_slice(const struct subject *subject)
{
	for (size_t i = 0; i < subject->n_slices; i++) {
		const struct object_slice *s = object_as_slice(subject->slices[i]);

		if (!s->is_hidden && !s->is_mirror)
			return true;
	}
	return false;
}

const struct object_slice **cluster_slices(const struct cluster *c, const char *ns,
					   const char *service, size_t *ret_n)
{
	const struct subject *subject = subjects_find(&c->subjects, ns, service);
	const struct object_slice **slices;
	bool use_mirrors;

	*ret_n = 0;
	if (!subject || subject->n_slices == 0)
		return NULL;
	slices = xreallocarray(NULL, subject->n_slices, sizeof(struct object_slice *));
	use_mirrors = !has_real_slice(subject);
	for (size_t i = 0; i < subject->n_slices; i++) {
		const struct object_slice *s = object_as_slice(subject->slices[i]);

		if (!s->is_hidden && s->is_mirror == use_mirrors)
			slices[(*ret_n)++] = s;
	}
	return slices;
}

static int compare_cidr(const void *va, const void *vb)
{
	const struct cidr *a = va, *b = vb;
	int order = addr_compare(&a->addr, &b->addr);

	return order ? order : (int)a->prefix_len - (int)b->prefix_len;
}

size_t cluster_service_cidrs(const struct cluster *c, struct cidr *ret, size_t max)
{
	_cleanup_(freep) struct cidr *all = NULL;
	const struct object *o;
	size_t n = 0, cap = 0, n_ret = 0;

	for (size_t i = 0; (o = hash_next(&c->service_cidrs, &i));) {
		const struct object_service_cidr *s = object_as_service_cidr(o);

		for (uint32_t j = 0; j < s->n_cidrs; j++) {
			all = xgrow(all, n, &cap, sizeof(*all));
			all[n++] = s->cidrs[j];
		}
	}
	if (n > 0)
		qsort(all, n, sizeof(*all), compare_cidr);
	for (size_t i = 0; i < n && n_ret < max; i++)
		if (n_ret == 0 || !cidr_equal(&ret[n_ret - 1], &all[i]))
			ret[n_ret++] = all[i];
	return n_ret;
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

bool cluster_has_dirty(const struct cluster *c)
{
	return subjects_n_dirty(&c->subjects) > 0;
}

size_t cluster_n_dirty(const struct cluster *c)
{
	return subjects_n_dirty(&c->subjects);
}

static int compare_service(const void *va, const void *vb)
{
	const struct object_service *a = *(const struct object_service *const *)va;
	const struct object_service *b = *(const struct object_service *const *)vb;
	int order = strcmp(a->base.ns, b->base.ns);

	return order ? order : strcmp(a->base.name, b->base.name);
}

const struct object_service **cluster_services(const struct cluster *c, size_t *ret_n)
{
	const struct object_service **services =
		xcalloc(c->n_services + 1, sizeof(struct object_service *));
	struct subject *subject;
	size_t n = 0;

	for (size_t i = 0; (subject = subjects_next(&c->subjects, &i));)
		if (subject->service)
			services[n++] = object_as_service(subject->service);
	qsort(services, n, sizeof(struct object_service *), compare_service);
	*ret_n = n;
	return services;
}

size_t cluster_take_triggers(struct cluster *c, int64_t *ret, size_t max)
{
	size_t n = c->n_triggers < max ? c->n_triggers : max;

	if (n > 0)
		memcpy(ret, c->triggers, n * sizeof(*ret));
	c->n_triggers = 0;
	return n;
}

void cluster_set_triggers_since(struct cluster *c, int64_t since_us)
{
	c->triggers_since = since_us;
}
