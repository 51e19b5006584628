#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/hash_keys.h"
#include "core/mem.h"
#include "watchers/cluster_private.h"

const struct object_node *cluster_node(const struct cluster *c)
{
	return c->node ? object_as_node(c->node) : NULL;
}

const struct object_service *cluster_service(const struct cluster *c, const char *ns,
					     const char *name)
{
	const struct service_record *record = service_index_find(&c->index, ns, name);

	return record && record->service ? object_as_service(record->service) : NULL;
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
	case OBJECT_POD:
		return c->pods.n;
	case OBJECT_NAMESPACE:
		return c->namespaces.n;
	case OBJECT_KIND_N:
		break;
	}
	return 0;
}

static bool has_real_slice(const struct service_record *record)
{
	for (size_t i = 0; i < record->n_slices; i++) {
		const struct object_slice *s =
			object_as_slice(service_record_slices(record)[i]);

		if (!s->is_hidden && !s->is_mirror)
			return true;
	}
	return false;
}

const struct object_slice **cluster_slices(const struct cluster *c, const char *ns,
					   const char *service, size_t *ret_n)
{
	const struct service_record *record = service_index_find(&c->index, ns, service);
	const struct object_slice **slices;
	bool use_mirrors;

	*ret_n = 0;
	if (!record || record->n_slices == 0)
		return NULL;
	slices = xreallocarray(NULL, record->n_slices, sizeof(struct object_slice *));
	use_mirrors = !has_real_slice(record);
	for (size_t i = 0; i < record->n_slices; i++) {
		const struct object_slice *s =
			object_as_slice(service_record_slices(record)[i]);

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
	struct service_record *record;
	size_t n = 0;

	for (size_t i = 0; (record = service_index_next(&c->index, &i));)
		if (record->service)
			services[n++] = object_as_service(record->service);
	qsort(services, n, sizeof(struct object_service *), compare_service);
	*ret_n = n;
	return services;
}

static size_t add_all(const struct hash *table, struct object **objects, size_t n)
{
	const struct object *o;

	for (size_t i = 0; (o = hash_next(table, &i));)
		objects[n++] = object_ref(o);
	return n;
}

struct object **cluster_objects(const struct cluster *c, size_t *ret_n)
{
	struct object **objects =
		xcalloc(c->n_services + c->slices.n + c->service_cidrs.n + 1,
			sizeof(struct object *));
	const struct service_record *record;
	size_t n = 0;

	if (c->node)
		objects[n++] = object_ref(c->node);
	n = add_all(&c->service_cidrs, objects, n);
	for (size_t i = 0; (record = service_index_next(&c->index, &i));)
		if (record->service)
			objects[n++] = object_ref(record->service);
	*ret_n = add_all(&c->slices, objects, n);
	return objects;
}

/* The Pod's own annotation counts before that of its Namespace. */
static bool opts_out(const struct cluster *c, const struct object_pod *pod)
{
	const struct name_key key = {.ns = "", .name = pod->base.ns};
	const struct object *ns = hash_find(&c->namespaces, &key);

	if (pod->is_finished || !*pod->cgroup_uid)
		return false;
	if (pod->socket_lb != SOCKET_LB_UNSET)
		return pod->socket_lb == SOCKET_LB_DISABLED;
	return ns && object_as_namespace(ns)->socket_lb == SOCKET_LB_DISABLED;
}

const char **cluster_opted_out(const struct cluster *c, size_t *ret_n)
{
	const char **uids = xcalloc(c->pods.n + 1, sizeof(*uids));
	const struct object *o;
	size_t n = 0;

	for (size_t i = 0; (o = hash_next(&c->pods, &i));)
		if (opts_out(c, object_as_pod(o)))
			uids[n++] = object_as_pod(o)->cgroup_uid;
	*ret_n = n;
	return uids;
}
