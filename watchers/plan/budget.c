/*
 * Counts the elements that the nftables data plane makes, as an upper bound:
 * duplicate addresses and endpoints are counted each time.
 */
#include "watchers/plan/budget.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/plan/frontends.h"
#include "watchers/reject.h"

/* Of a frontend: its verdict, its masquerading, its mark for affinity. */
#define ELEMENTS_OF_FRONTEND 3

struct cost {
	uint64_t n_elements, n_frontends;
	uint64_t n_listed;    /* endpoints times ports of all slices */
	uint64_t n_endpoints; /* of the largest port */
};

/* The number of frontends of each port in one family, apart from node ports. */
struct addresses {
	uint64_t n_cluster, n_external, n_limited, n_ranges;
};

static struct addresses count_addresses(const struct object_service *s,
					enum family family,
					const struct plan_options *options)
{
	struct addresses a = {.n_cluster = 1};

	for (uint32_t i = 0; options->allow_external_ips && i < s->n_external_ips; i++)
		a.n_external += addr_family(&s->external_ips[i]) == family;
	for (uint32_t i = 0; i < s->n_ingress; i++)
		a.n_limited += !s->ingress[i].is_proxy_mode &&
			       addr_family(&s->ingress[i].addr) == family;
	for (uint32_t i = 0; i < s->n_source_ranges; i++)
		a.n_ranges += cidr_family(&s->source_ranges[i]) == family;
	if (a.n_ranges > 0) /* the load balancer's own addresses may be added */
		a.n_ranges += a.n_limited;
	return a;
}

static uint64_t count_endpoints(const struct slices *slices, enum family family,
				const struct object_service_port *port)
{
	uint64_t n = 0;

	for (size_t i = 0; i < slices->n; i++) {
		const struct object_slice *slice = slices->items[i];

		for (uint32_t j = 0; slice->family == family && j < slice->n_ports; j++)
			if (slice->ports[j].proto == port->proto &&
			    !strcmp(slice->ports[j].name, port->name))
				n += slice->n_endpoints;
	}
	return n;
}

static void add_port(struct cost *cost, const struct exposure *exposure,
		     const struct addresses *a, uint64_t n_nodeports,
		     uint64_t n_endpoints)
{
	uint64_t is_sticky = exposure->service->has_affinity;
	uint64_t n_pools = exposure->external_local ? 2 : 1;
	uint64_t n_outside = a->n_external + a->n_limited + n_nodeports;

	cost->n_frontends += a->n_cluster + n_outside;
	cost->n_elements += (a->n_cluster + n_outside) * ELEMENTS_OF_FRONTEND +
			    a->n_limited * a->n_ranges +
			    a->n_cluster * n_endpoints * (1 + is_sticky) +
			    n_outside * n_endpoints * (n_pools + is_sticky);
	if (cost->n_endpoints < n_endpoints)
		cost->n_endpoints = n_endpoints;
}

static void add_family(struct cost *cost, const struct object_service *s,
		       enum family family, const struct slices *slices,
		       bool has_nodeports, const struct plan_options *options)
{
	const struct addresses addresses = count_addresses(s, family, options);
	struct exposure exposure;

	exposure_init(&exposure, s, family, options);
	for (size_t i = 0; i < slices->n; i++)
		if (slices->items[i]->family == family)
			cost->n_listed += (uint64_t)slices->items[i]->n_ports *
					  slices->items[i]->n_endpoints;
	for (uint32_t i = 0; i < s->n_ports; i++)
		add_port(cost, &exposure, &addresses,
			 s->ports[i].node_port && has_nodeports,
			 count_endpoints(slices, family, &s->ports[i]));
}

static char *find_excess(const struct cost *cost)
{
	if (cost->n_elements > BUDGET_MAX_ELEMENTS)
		return xasprintf("needs up to %llu map elements (%llu frontends, up to "
				 "%llu endpoints each); the limit for one Service is %d, "
				 "so it is not served",
				 (unsigned long long)cost->n_elements,
				 (unsigned long long)cost->n_frontends,
				 (unsigned long long)cost->n_endpoints,
				 BUDGET_MAX_ELEMENTS);
	if (cost->n_endpoints > BUDGET_MAX_ENDPOINTS)
		return xasprintf("has %llu endpoints at one port; the limit is %d, so "
				 "it is not served",
				 (unsigned long long)cost->n_endpoints,
				 BUDGET_MAX_ENDPOINTS);
	if (cost->n_listed > BUDGET_MAX_ELEMENTS)
		return xasprintf("its EndpointSlices list %llu endpoint ports; the limit "
				 "for one Service is %d, so it is not served",
				 (unsigned long long)cost->n_listed, BUDGET_MAX_ELEMENTS);
	return NULL;
}

bool budget_check(const struct object_service *service, const struct slices *slices,
		  const bool has_nodeports[FAMILY_N], const struct plan_options *options)
{
	_cleanup_(freep) char *excess = NULL;
	struct cost cost = {0};

	for (enum family f = 0; f < FAMILY_N; f++)
		if (service->has_family[f])
			add_family(&cost, service, f, slices, has_nodeports[f], options);
	excess = find_excess(&cost);
	if (!excess)
		return true;
	reject_call(options->reject, &(struct rejection){
					     .source = "",
					     .kind = "Service",
					     .ns = service->base.ns,
					     .name = service->base.name,
					     .field = "",
					     .reason = excess,
				     });
	return false;
}
