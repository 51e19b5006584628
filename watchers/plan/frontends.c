/*
 * The decision tables: see docs/SEMANTICS.md for them in prose.
 */
#include "watchers/plan/frontends.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"

static bool is_vip(const struct object_ingress *ingress, enum family family)
{
	return !ingress->is_proxy_mode && addr_family(&ingress->addr) == family;
}

static bool has_load_balancer(const struct object_service *s, enum family family)
{
	for (uint32_t i = 0; i < s->n_ingress; i++)
		if (is_vip(&s->ingress[i], family))
			return true;
	return false;
}

static bool has_external_ip(const struct object_service *s, enum family family)
{
	for (uint32_t i = 0; i < s->n_external_ips; i++)
		if (addr_family(&s->external_ips[i]) == family)
			return true;
	return false;
}

void exposure_init(struct exposure *e, const struct object_service *s, enum family family,
		   const struct plan_options *options)
{
	bool has_external = options->allow_external_ips && has_external_ip(s, family);

	*e = (struct exposure){
		.service = s,
		.family = family,
		.external_local = s->external_local &&
				  (s->type == SERVICE_LOAD_BALANCER ||
				   s->type == SERVICE_NODE_PORT ||
				   (s->type == SERVICE_CLUSTER_IP && has_external)),
		.has_addresses = has_external || has_load_balancer(s, family),
	};
}

void exposure_pools(const struct exposure *e, const struct object_service_port *port,
		    bool ret_uses[POOL_N])
{
	bool is_accessible = port->node_port != 0 || e->has_addresses;

	ret_uses[POOL_CLUSTER] = !e->service->internal_local || is_accessible;
	ret_uses[POOL_LOCAL] =
		e->service->internal_local || (e->external_local && is_accessible);
}

void frontend_list_fini(struct frontend_list *list)
{
	free(list->items);
	*list = (struct frontend_list){0};
}

static struct decision balance(const struct selection *sel, enum pool pool,
			       bool masquerade)
{
	if (!sel->has_any)
		return (struct decision){.action = ACTION_REJECT};
	if (sel->n_pool[pool] == 0)
		return (struct decision){.action = ACTION_DROP};
	return (struct decision){
		.action = ACTION_BALANCE,
		.pool = (uint8_t)pool,
		.masquerade = masquerade,
	};
}

/* Pods reach a cluster IP with their own address; others are masqueraded if a detector exists. */
static void decide_internal(const struct frontend_input *in,
			    struct decision from[CLIENT_N])
{
	bool all = in->options->masquerade_all;
	bool non_pods = all || in->options->has_detector[in->exposure->family];
	enum pool pool =
		in->exposure->service->internal_local ? POOL_LOCAL : POOL_CLUSTER;

	from[CLIENT_POD] = balance(in->selection, pool, all);
	from[CLIENT_NODE] = balance(in->selection, pool, non_pods);
	from[CLIENT_EXTERNAL] = from[CLIENT_NODE];
}

/*
 * Policy Local keeps the address of external clients by using local endpoints
 * only.  Pods and this node itself use all endpoints, as with the cluster IP.
 */
static void decide_external(const struct frontend_input *in,
			    struct decision from[CLIENT_N])
{
	const struct selection *sel = in->selection;

	if (!in->exposure->external_local) {
		for (enum client_class client = 0; client < CLIENT_N; client++)
			from[client] = balance(sel, POOL_CLUSTER, true);
		return;
	}
	from[CLIENT_EXTERNAL] = balance(sel, POOL_LOCAL, false);
	from[CLIENT_NODE] = balance(sel, POOL_CLUSTER, true);
	/* Without a detector pods and external clients are the same. */
	from[CLIENT_POD] = in->options->has_detector[in->exposure->family]
				   ? balance(sel, POOL_CLUSTER, false)
				   : from[CLIENT_EXTERNAL];
}

static void add(struct frontend_list *list, const struct frontend *template,
		enum frontend_kind kind, const struct addr *addr, uint16_t port)
{
	struct frontend *f;

	/* 0.0.0.0 is not an address, it stands for all node addresses */
	if (kind != FRONTEND_NODE_PORT && addr_is_unspecified(addr))
		return;
	list->items = xgrow(list->items, list->n, &list->cap, sizeof(*list->items));
	f = &list->items[list->n++];
	*f = *template;
	f->addr = *addr;
	f->port = port;
	f->kind = (uint8_t)kind;
}

static void add_external(struct frontend_list *list, const struct frontend_input *in,
			 const struct frontend *template)
{
	const struct object_service *s = in->exposure->service;
	enum family family = in->exposure->family;
	uint32_t n = in->options->allow_external_ips ? s->n_external_ips : 0;
	struct frontend limited = *template;

	for (uint32_t i = 0; i < n; i++)
		if (addr_family(&s->external_ips[i]) == family)
			add(list, template, FRONTEND_EXTERNAL_IP, &s->external_ips[i],
			    in->port->port);
	limited.is_limited = in->is_limited;
	for (uint32_t i = 0; i < s->n_ingress; i++)
		if (is_vip(&s->ingress[i], family))
			add(list, &limited, FRONTEND_LOAD_BALANCER, &s->ingress[i].addr,
			    in->port->port);
	if (in->port->node_port != 0 && in->nodeport)
		add(list, template, FRONTEND_NODE_PORT, in->nodeport,
		    in->port->node_port);
}

/* The lowest is kept. */
static const uint8_t ranks[] = {
	[FRONTEND_CLUSTER_IP] = 0,
	[FRONTEND_LOAD_BALANCER] = 1,
	[FRONTEND_EXTERNAL_IP] = 2,
	[FRONTEND_NODE_PORT] = 3,
};

static int compare_place(const struct frontend *a, const struct frontend *b)
{
	int order = addr_compare(&a->addr, &b->addr);

	return order ? order : (int)a->port - (int)b->port;
}

static int compare_claim(const void *va, const void *vb)
{
	const struct frontend *a = va, *b = vb;
	int order = compare_place(a, b);

	return order ? order : (int)ranks[a->kind] - (int)ranks[b->kind];
}

static void keep_first_of_equals(struct frontend_list *list)
{
	size_t n = 0;

	if (list->n < 2)
		return;
	qsort(list->items, list->n, sizeof(*list->items), compare_claim);
	for (size_t i = 1; i < list->n; i++)
		if (compare_place(&list->items[n], &list->items[i]) != 0)
			list->items[++n] = list->items[i];
	list->n = n + 1;
}

void frontend_list_fill(struct frontend_list *list, const struct frontend_input *in)
{
	struct frontend template = {0};

	list->n = 0;
	decide_internal(in, template.from);
	add(list, &template, FRONTEND_CLUSTER_IP,
	    &in->exposure->service->cluster_ip[in->exposure->family], in->port->port);
	if (in->port->node_port == 0 && !in->exposure->has_addresses)
		return;
	decide_external(in, template.from);
	add_external(list, in, &template);
	keep_first_of_equals(list);
}
