/*
 * `get services` and `get endpoints`: what the daemon decided, with the
 * kernel's counters beside it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/state.h"
#include "proxy/counts.h"
#include "proxy/dataplane.h"
#include "proxy/facts.h"
#include "proxy/inspect_parts.h"
#include "watchers/cluster.h"

/* Which policy stands behind a frontend; the waist knows only what came of it. */
static const char *policy_of(const struct inspect *in, const struct service *s,
			     const struct frontend *f)
{
	const struct object_service *object =
		cluster_service(in->cluster, service_namespace(s), service_name(s));
	bool is_local =
		object && (f->kind == FRONTEND_CLUSTER_IP ? object->internal_local
							  : object->external_local);

	return is_local ? "Local" : "Cluster";
}

/* The source whom the frontend is made for. */
static const struct decision *main_decision(const struct frontend *f)
{
	return &f->from[f->kind == FRONTEND_CLUSTER_IP ? SOURCE_NODE : SOURCE_EXTERNAL];
}

static json_t *connections(const struct counts *counts, uint64_t n)
{
	return counts->is_known ? json_integer((json_int_t)n) : json_null();
}

static json_t *service_row(const struct inspect *in, const struct service *s,
			   const struct frontend *f, const struct counts *counts)
{
	const struct decision *decision = main_decision(f);
	uint32_t n_endpoints =
		decision->action == ACTION_BALANCE ? s->n_pool[decision->pool] : 0;
	json_t *row = inspect_service_key(s);

	(void)json_object_set_new(row, "type", json_string(inspect_kind_name(f->kind)));
	(void)json_object_set_new(row, "address", inspect_addr(&f->addr));
	(void)json_object_set_new(row, "port", json_integer(f->port));
	(void)json_object_set_new(row, "policy", json_string(policy_of(in, s, f)));
	(void)json_object_set_new(row, "action",
				  json_string(inspect_action_name(decision->action)));
	(void)json_object_set_new(row, "endpoints", json_integer(n_endpoints));
	(void)json_object_set_new(row, "affinitySeconds", json_integer(s->affinity_sec));
	(void)json_object_set_new(row, "healthCheckNodePort",
				  json_integer(s->health_check_port));
	(void)json_object_set_new(row, "connections",
				  connections(counts,
					      counts_frontend(counts, f, s->proto)));
	return row;
}

static bool is_wanted(const struct service *s, const struct control_request *request)
{
	return !*request->ns || strcmp(request->ns, service_namespace(s)) == 0;
}

json_t *inspect_services(const struct inspect *in, const struct control_request *request,
			 char **ret_error)
{
	size_t n;
	_cleanup_(freep) const struct service **services = state_sorted(in->state, &n);
	struct counts counts;
	json_t *rows = json_array();

	(void)ret_error;
	counts_read(&counts, in->dataplane);
	for (size_t i = 0; i < n; i++) {
		const struct service *s = services[i];

		for (uint32_t j = 0; is_wanted(s, request) && j < s->n_frontends; j++)
			(void)json_array_append_new(rows,
						    service_row(in, s,
								&service_frontends(s)[j],
								&counts));
	}
	counts_fini(&counts);
	return rows;
}

static uint64_t count_endpoint(const struct counts *counts, const struct service *s,
			       const struct plan_endpoint_reason *reason)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->n_frontends; i++)
		n += counts_endpoint(counts, &service_frontends(s)[i], s->proto,
				     &reason->addr, reason->port);
	return n;
}

static json_t *endpoint_row(const struct service *s, const struct counts *counts,
			    const struct plan_endpoint_reason *reason)
{
	json_t *row = inspect_service_key(s);

	(void)json_object_set_new(row, "address", inspect_addr(&reason->addr));
	(void)json_object_set_new(row, "port", json_integer(reason->port));
	(void)json_object_set_new(row, "node", json_string(reason->node));
	(void)json_object_set_new(row, "inClusterPool",
				  json_boolean(reason->in_cluster_pool));
	(void)json_object_set_new(row, "inLocalPool",
				  json_boolean(reason->in_local_pool));
	(void)json_object_set_new(row, "reason", json_string(reason->reason));
	(void)json_object_set_new(row, "connections",
				  connections(counts, count_endpoint(counts, s, reason)));
	return row;
}

static void add_endpoints(const struct inspect *in, const struct service *s,
			  const struct counts *counts, json_t *rows)
{
	size_t n;
	_cleanup_(freep) struct plan_endpoint_reason *reasons =
		inspect_endpoints_of(in, s, &n);

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(rows, endpoint_row(s, counts, &reasons[i]));
}

json_t *inspect_endpoints(const struct inspect *in, const struct control_request *request,
			  char **ret_error)
{
	size_t n;
	_cleanup_(freep) const struct service **services = state_sorted(in->state, &n);
	struct counts counts;
	json_t *rows = json_array();

	(void)ret_error;
	counts_read(&counts, in->dataplane);
	for (size_t i = 0; i < n; i++)
		if (is_wanted(services[i], request))
			add_endpoints(in, services[i], &counts, rows);
	counts_fini(&counts);
	return rows;
}
