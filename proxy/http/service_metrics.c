/*
 * One walk over the services as sinks see them.
 */
#include "proxy/http/service_metrics.h"

#include "core/cleanup.h"
#include "core/state.h"
#include "proxy/http/exposition.h"

enum policy { POLICY_INTERNAL, POLICY_EXTERNAL, POLICY_N };

static const char *const policy_names[POLICY_N] = {"internal", "external"};

/* The service has endpoints, but none on this node, and the policy is Local. */
static bool lacks_local(const struct service *s, enum policy policy)
{
	const struct frontend *frontends = service_frontends(s);

	for (uint32_t i = 0; i < s->n_frontends; i++) {
		bool is_internal = frontends[i].kind == FRONTEND_CLUSTER_IP;

		if (is_internal == (policy == POLICY_INTERNAL) &&
		    frontends[i].from[CLIENT_EXTERNAL].action == ACTION_DROP)
			return true;
	}
	return false;
}

static void write_no_local(const struct metrics_input *in, struct buf *out)
{
	static const char name[] = "kubeproxy_sync_proxy_rules_no_local_endpoints_total";
	size_t n[FAMILY_N][POLICY_N] = {0};
	const struct service *s;

	for (size_t i = 0; (s = state_next(in->state, &i));)
		for (int policy = 0; policy < POLICY_N; policy++)
			n[s->family][policy] += lacks_local(s, (enum policy)policy);
	/* kube-proxy's name for a gauge; without a type it passes linters. */
	exposition_family(
		out, name, "untyped",
		"Number of services with a Local traffic policy and no endpoints");
	for (int family = 0; family < FAMILY_N; family++)
		for (int policy = 0; in->family_used[family] && policy < POLICY_N;
		     policy++) {
			struct label labels[] = {
				{"ip_family", family_name((enum family)family)},
				{"traffic_policy", policy_names[policy]},
			};

			exposition_sample(out, name, labels, N_ELEMENTS(labels),
					  (double)n[family][policy]);
		}
}

static void write_one(struct buf *out, const char *name, const struct service *s,
		      double value)
{
	struct label labels[] = {
		{"namespace", service_namespace(s)},
		{"service", service_name(s)},
		{"port_name", service_port_name(s)},
		{"protocol", proto_name(s->proto)},
		{"ip_family", family_name((enum family)s->family)},
	};

	exposition_sample(out, name, labels, N_ELEMENTS(labels), value);
}

static void write_each(const struct metrics_input *in, struct buf *out)
{
	size_t n, n_written;
	_cleanup_(freep) const struct service **all = state_sorted(in->state, &n);

	n_written = n < METRICS_MAX_SERVICES ? n : METRICS_MAX_SERVICES;
	exposition_family(out, "sluice_service_endpoints", "gauge",
			  "Endpoints that new connections may go to.");
	for (size_t i = 0; i < n_written; i++)
		write_one(out, "sluice_service_endpoints", all[i],
			  (double)(all[i]->n_pool[POOL_CLUSTER] >
						   all[i]->n_pool[POOL_LOCAL]
					   ? all[i]->n_pool[POOL_CLUSTER]
					   : all[i]->n_pool[POOL_LOCAL]));
	exposition_value(out, "sluice_services_without_series", "gauge",
			 "Services beyond those that have series of their own.",
			 (double)(n - n_written));
	if (!in->connections)
		return;
	exposition_family(out, "sluice_service_connections_total", "counter",
			  "New connections, as counted by the kernel.");
	for (size_t i = 0; i < n_written; i++)
		write_one(out, "sluice_service_connections_total", all[i],
			  (double)in->connections[i]);
}

static size_t n_without_endpoints(const struct state *state)
{
	const struct service *s;
	size_t n = 0;

	for (size_t i = 0; (s = state_next(state, &i));)
		n += !s->n_pool[POOL_CLUSTER] && !s->n_pool[POOL_LOCAL];
	return n;
}

void service_metrics_write(const struct metrics_input *in, struct buf *out)
{
	exposition_value(out, "sluice_services", "gauge",
			 "Services, each port and family counted.",
			 (double)state_n_services(in->state));
	exposition_value(
		out, "sluice_services_without_endpoints", "gauge",
		"Those of sluice_services without an endpoint for new connections.",
		(double)n_without_endpoints(in->state));
	exposition_value(
		out, "sluice_claims_waiting", "gauge",
		"Frontends that a Service claims while another Service holds them.",
		(double)state_n_conflicts(in->state));
	write_no_local(in, out);
	if (in->with_services)
		write_each(in, out);
}
