/*
 * For each family and port of a Service: merge its endpoints, select pools,
 * decide frontends, build the service.
 *
 * The planner owns the intermediate arrays and reuses them for the next Service,
 * so planning allocates little more than its results.
 */
#include "watchers/plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/state.h"
#include "watchers/cluster.h"
#include "watchers/plan/budget.h"
#include "watchers/plan/endpoints.h"
#include "watchers/plan/frontends.h"
#include "watchers/plan/nodeport.h"
#include "watchers/plan/source_ranges.h"
#include "watchers/plan/topology.h"
#include "watchers/reject.h"

/* Rejections of plan() are counted apart from those of the Service's decoder. */
#define PLAN_REJECT_KIND "planned Service"

/* The node's part of all Services; computed when first needed. */
struct planner_node {
	bool is_known;
	bool has_primary;
	struct addr primary;
	bool has_nodeport;
	struct addr nodeport; /* unspecified: all node addresses */
};

struct planner {
	const struct plan_options *options;
	const struct object_node *node; /* or NULL */
	struct planner_node nodes[FAMILY_N];
	struct merged_list merged;
	struct frontend_list frontends;
	struct cidr_list allowed;
	struct endpoint *endpoints;
	size_t cap_endpoints;
	struct service **services; /* the results for one Service */
	size_t n, cap;
};

static void planner_fini(struct planner *p)
{
	for (size_t i = 0; i < p->n; i++)
		service_unref(p->services[i]);
	free(p->services);
	free(p->endpoints);
	cidr_list_fini(&p->allowed);
	frontend_list_fini(&p->frontends);
	merged_fini(&p->merged);
}

static const struct planner_node *planner_node(struct planner *p, enum family family)
{
	struct planner_node *n = &p->nodes[family];

	if (n->is_known)
		return n;
	n->is_known = true;
	n->has_primary = nodeport_primary(p->options, p->node, family, &n->primary);
	if (!p->options->keep_nodeports)
		n->has_nodeport =
			plan_nodeport_address(p->options, p->node, family, &n->nodeport);
	else
		n->nodeport = addr_unspecified(family);
	n->has_nodeport |= p->options->keep_nodeports;
	return n;
}

static bool is_ours(const struct object_service *s)
{
	return !s->is_hidden && !s->is_headless && s->type != SERVICE_EXTERNAL_NAME;
}

static void selection_init(struct selection *sel, const struct exposure *exposure,
			   const struct object_service_port *port,
			   const struct plan_options *options,
			   const struct object_node *node)
{
	*sel = (struct selection){
		.use_node_hints = options->use_node_hints,
		.node_name = options->node_name,
		.zone = node ? node->zone : "",
	};
	exposure_pools(exposure, port, sel->uses);
}

static uint16_t endpoint_flags(const struct merged *m)
{
	uint16_t flags = 0;

	for (enum pool pool = 0; pool < POOL_N; pool++)
		if (m->in_pool[pool])
			flags |= (uint16_t)(1u << pool);
	if (m->flags & (OBJECT_ENDPOINT_READY | OBJECT_ENDPOINT_SERVING))
		flags |= ENDPOINT_SERVING;
	if (flags && (m->is_local || !*m->endpoint->node))
		flags |= ENDPOINT_HERE;
	return flags;
}

/* Endpoints without new and without existing flows are left out. */
static size_t fill_endpoints(struct planner *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->merged.n; i++) {
		const struct merged *m = &p->merged.items[i];
		uint16_t flags = endpoint_flags(m);

		if (!flags)
			continue;
		p->endpoints =
			xgrow(p->endpoints, n, &p->cap_endpoints, sizeof(*p->endpoints));
		p->endpoints[n++] = (struct endpoint){m->addr, m->port, flags};
	}
	return n;
}

static uint16_t health_check_port(const struct exposure *e)
{
	if (e->service->type != SERVICE_LOAD_BALANCER || !e->external_local)
		return 0;
	return e->service->health_check_node_port;
}

static bool has_limited(const struct frontend_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->items[i].is_limited)
			return true;
	return false;
}

static void decide_port(struct planner *p, const struct exposure *exposure,
			const struct object_service_port *port,
			const struct slices *slices)
{
	const struct planner_node *node = planner_node(p, exposure->family);
	struct selection selection;

	selection_init(&selection, exposure, port, p->options, p->node);
	merged_collect(&p->merged, slices, exposure->family, port->name, port->proto);
	merged_apply_health(&p->merged, exposure->service, p->options->health);
	topology_select(&selection, &p->merged);
	frontend_list_fill(&p->frontends,
			   &(struct frontend_input){
				   .exposure = exposure,
				   .port = port,
				   .selection = &selection,
				   .options = p->options,
				   .is_limited = p->allowed.n > 0,
				   .nodeport =
					   node->has_nodeport ? &node->nodeport : NULL,
			   });
}

static struct service *plan_port(struct planner *p, const struct exposure *exposure,
				 const struct object_service_port *port,
				 const struct slices *slices, uint32_t local_ready)
{
	const struct object_service *s = exposure->service;
	const struct object_options *options = object_service_options(s);
	size_t n_endpoints;

	decide_port(p, exposure, port, slices);
	n_endpoints = fill_endpoints(p);
	return service_new(&(struct service_spec){
		.ns = s->base.ns,
		.name = s->base.name,
		.port_name = port->name,
		.family = exposure->family,
		.proto = port->proto,
		.affinity_sec = s->has_affinity ? s->affinity_sec : 0,
		.local_ready = local_ready,
		.health_check_port = health_check_port(exposure),
		.options = options->service,
		.times = options->times,
		.health_path = options->health_path,
		.frontends = p->frontends.items,
		.n_frontends = p->frontends.n,
		.endpoints = p->endpoints,
		.n_endpoints = n_endpoints,
		.allowed = p->allowed.items,
		.n_allowed = has_limited(&p->frontends) ? p->allowed.n : 0,
	});
}

static void plan_family(struct planner *p, const struct object_service *s,
			enum family family, const struct slices *slices)
{
	const struct planner_node *node = planner_node(p, family);
	struct exposure exposure;
	uint32_t local_ready;

	exposure_init(&exposure, s, family, p->options);
	source_ranges_fill(&p->allowed, s, family,
			   node->has_primary ? &node->primary : NULL);
	local_ready =
		merged_local_ready(&p->merged, s, slices, family, p->options->health);
	for (uint32_t i = 0; i < s->n_ports; i++) {
		p->services = xgrow(p->services, p->n, &p->cap, sizeof(*p->services));
		p->services[p->n++] =
			plan_port(p, &exposure, &s->ports[i], slices, local_ready);
	}
}

static bool is_affordable(struct planner *p, const struct object_service *s,
			  const struct slices *slices)
{
	bool has_nodeports[FAMILY_N];

	for (enum family f = 0; f < FAMILY_N; f++)
		has_nodeports[f] = planner_node(p, f)->has_nodeport;
	return budget_check(s, slices, has_nodeports, p->options);
}

/* Leaves the results in p->services. */
static void planner_run(struct planner *p, const struct object_service *s,
			const struct object_slice *const *items, size_t n_items)
{
	const struct slices slices = {
		.items = items,
		.n = n_items,
		.node_name = p->options->node_name,
	};

	p->n = 0;
	if (!is_ours(s) || !is_affordable(p, s, &slices))
		return;
	for (enum family f = 0; f < FAMILY_N; f++)
		if (s->has_family[f])
			plan_family(p, s, f, &slices);
}

static void plan_one(struct planner *p, struct cluster *cluster, struct state *state,
		     const char *ns, const char *name)
{
	const struct object_service *s = cluster_service(cluster, ns, name);
	_cleanup_(freep) const struct object_slice **slices = NULL;
	size_t n = 0;

	p->n = 0;
	reject_begin(p->options->reject, PLAN_REJECT_KIND, ns, name);
	if (s) {
		slices = cluster_slices(cluster, ns, name, &n);
		planner_run(p, s, slices, n);
	}
	reject_end(p->options->reject);
	if (p->options->health)
		p->options->health->planned(p->options->health->data, ns, name,
					    p->n > 0 ? s : NULL, slices, n);
	if (p->options->planned)
		p->options->planned(p->options->planned_data, ns, name);
	state_replace(state, ns, name, p->services, p->n);
	p->n = 0; /* the state has the references now */
}

size_t plan_dirty(struct cluster *cluster, const struct plan_options *options,
		  struct state *state, size_t max)
{
	struct planner p = {.options = options, .node = cluster_node(cluster)};
	const char *ns, *name;
	size_t n = 0;

	for (; n < max && cluster_take_dirty(cluster, &ns, &name); n++)
		plan_one(&p, cluster, state, ns, name);
	planner_fini(&p);
	return n;
}

static const struct object_service_port *find_port(const struct object_service *s,
						   const char *name, uint8_t proto)
{
	for (uint32_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].proto == proto && !strcmp(s->ports[i].name, name))
			return &s->ports[i];
	return NULL;
}

struct plan_endpoint_reason *plan_explain(const struct object_service *svc,
					  const struct object_slice *const *slices,
					  size_t n_slices, const struct object_node *node,
					  const struct plan_options *options,
					  const char *port_name, uint8_t proto,
					  enum family family, size_t *ret_n)
{
	const struct slices all = {slices, n_slices, options->node_name};
	struct plan_endpoint_reason *reasons;
	struct merged_list list = {0};
	const struct object_service_port *port = find_port(svc, port_name, proto);
	struct exposure exposure;
	struct selection sel;

	*ret_n = 0;
	if (!port)
		return NULL;
	exposure_init(&exposure, svc, family, options);
	selection_init(&sel, &exposure, port, options, node);
	merged_collect(&list, &all, family, port_name, proto);
	merged_apply_health(&list, svc, options->health);
	topology_select(&sel, &list);
	reasons = xcalloc(list.n, sizeof(*reasons));
	for (size_t i = 0; i < list.n; i++)
		reasons[i] = (struct plan_endpoint_reason){
			.addr = list.items[i].addr,
			.port = list.items[i].port,
			.node = list.items[i].endpoint->node,
			.in_cluster_pool = list.items[i].in_pool[POOL_CLUSTER],
			.in_local_pool = list.items[i].in_pool[POOL_LOCAL],
			.reason = topology_reason(&sel, &list.items[i]),
			.down = list.items[i].down,
		};
	*ret_n = list.n;
	merged_fini(&list);
	return reasons;
}
