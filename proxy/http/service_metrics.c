/*
 * A walk over the services as sinks see them, and series for those with the most
 * connections.
 */
#include "proxy/http/service_metrics.h"

#include <stdlib.h>

#include "core/changeset.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/engine/counts.h"
#include "proxy/engine/last_census.h"
#include "proxy/http/busy_services.h"
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

/* Of one walk: with many services each of them is read from memory, not from a cache. */
struct tally {
	size_t n_without_endpoints;
	size_t n_lacking_local[FAMILY_N][POLICY_N];
};

static struct tally tally(const struct state *state)
{
	struct tally t = {0};
	const struct service *s;

	for (size_t i = 0; (s = state_next(state, &i));) {
		t.n_without_endpoints +=
			!s->n_pool[POOL_CLUSTER] && !s->n_pool[POOL_LOCAL];
		for (int policy = 0; policy < POLICY_N; policy++)
			t.n_lacking_local[s->family][policy] +=
				lacks_local(s, (enum policy)policy);
	}
	return t;
}

static void write_no_local(const struct metrics_input *in, const struct tally *t,
			   struct buf *out)
{
	static const char name[] = "kubeproxy_sync_proxy_rules_no_local_endpoints_total";

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
					  (double)t->n_lacking_local[family][policy]);
		}
}

/* Connections that got no endpoint. */
static const struct {
	enum sink_count_kind kind;
	const char *reason;
} failures[] = {
	{COUNT_NO_ENDPOINTS, "no-endpoints"},
	{COUNT_NO_LOCAL_ENDPOINTS, "no-local-endpoints"},
	{COUNT_SOURCE_RANGES, "source-ranges"},
};

/* Of connections that exist. */
static const struct {
	const char *of_all, *of_service, *help;
	size_t offset; /* in struct sink_flows */
} volumes[] = {
	{"sluice_current_bytes", "sluice_service_current_bytes",
	 "Bytes of connections that exist, by the last census.",
	 offsetof(struct sink_flows, n_bytes)},
	{"sluice_current_packets", "sluice_service_current_packets",
	 "Packets of connections that exist, by the last census.",
	 offsetof(struct sink_flows, n_packets)},
};

static const char *const directions[] = {"in", "out"}; /* from clients, to them */

static const uint64_t *volume(const struct sink_flows *flows, size_t v)
{
	return (const uint64_t *)((const char *)flows + volumes[v].offset);
}

static bool has_volume(const struct current *c, size_t v)
{
	return volumes[v].offset == offsetof(struct sink_flows, n_bytes) ? c->has_bytes
									 : c->has_packets;
}

/* extra: one more label; its value may be NULL: none. */
static void write_labelled(struct buf *out, const char *name, const struct service *s,
			   struct label extra, double value)
{
	const struct label labels[] = {
		{"namespace", service_namespace(s)},
		{"service", service_name(s)},
		{"port_name", service_port_name(s)},
		{"protocol", proto_name(s->proto)},
		{"ip_family", family_name((enum family)s->family)},
		extra,
	};

	exposition_sample(out, name, labels, N_ELEMENTS(labels) - !extra.value, value);
}

/* reason: of a failure, else NULL. */
static void write_one(struct buf *out, const char *name, const struct service *s,
		      const char *reason, double value)
{
	write_labelled(out, name, s, (struct label){"reason", reason}, value);
}

/* Only of a service that has connections. */
static void write_volume(const struct current *current, size_t v, const struct service *s,
			 struct buf *out)
{
	const struct sink_flows flows = current_of(current, s);

	for (size_t d = 0; flows.n && d < N_ELEMENTS(directions); d++)
		write_labelled(out, volumes[v].of_service, s,
			       (struct label){"direction", directions[d]},
			       (double)volume(&flows, v)[d]);
}

static bool read_counts(const struct metrics_input *in,
			const struct service *const *services, size_t n)
{
	_cleanup_(freep) struct change *changes = xcalloc(n + 1, sizeof(*changes));
	const struct changeset of = {.env = in->env, .changes = changes, .n = n};

	for (size_t i = 0; i < n; i++)
		changes[i].new = services[i];
	return counts_read(in->counts, &of, false);
}

static bool may_fail(const struct service *s, enum sink_count_kind kind)
{
	if (kind == COUNT_SOURCE_RANGES)
		return s->n_allowed > 0;
	return kind == COUNT_NO_ENDPOINTS || lacks_local(s, POLICY_INTERNAL) ||
	       lacks_local(s, POLICY_EXTERNAL);
}

/* A failure that cannot occur now has a series only once it has occurred. */
static void write_failures(const struct metrics_input *in, struct buf *out,
			   const char *name, size_t i, const struct service *s)
{
	uint64_t n = counts_total(in->counts, s, failures[i].kind);

	if (n || may_fail(s, failures[i].kind))
		write_one(out, name, s, failures[i].reason, (double)n);
}

static void write_counts(const struct metrics_input *in, struct buf *out,
			 const struct service *const *services, size_t n)
{
	static const char refused[] = "sluice_service_refused_connections_total";
	static const char dropped[] = "sluice_service_dropped_connections_total";

	exposition_family(out, "sluice_service_connections_total", "counter",
			  "New connections, as counted by the data plane.");
	for (size_t i = 0; i < n; i++)
		write_one(out, "sluice_service_connections_total", services[i], NULL,
			  (double)counts_total(in->counts, services[i],
					       COUNT_CONNECTIONS));
	exposition_family(out, refused, "counter",
			  "Attempts to connect that were refused.");
	for (size_t i = 0; i < n; i++)
		write_failures(in, out, refused, 0, services[i]);
	exposition_family(out, dropped, "counter",
			  "Packets of attempts to connect that were dropped.");
	for (size_t i = 0; i < n; i++)
		for (size_t j = 1; j < N_ELEMENTS(failures); j++)
			write_failures(in, out, dropped, j, services[i]);
}

static void write_sums(const struct metrics_input *in, struct buf *out)
{
	static const char refused[] = "sluice_refused_connections_total";
	static const char dropped[] = "sluice_dropped_connections_total";

	exposition_value(out, "sluice_connections_total", "counter",
			 "New connections of all services.",
			 (double)counts_all(in->counts, COUNT_CONNECTIONS));
	exposition_family(out, refused, "counter",
			  "Attempts to connect that were refused, of all services.");
	for (size_t i = 0; i < N_ELEMENTS(failures); i++) {
		const struct label reason = {"reason", failures[i].reason};

		if (i == 1)
			exposition_family(out, dropped, "counter",
					  "Packets of attempts to connect that were "
					  "dropped, of all services.");
		exposition_sample(out, i ? dropped : refused, &reason, 1,
				  (double)counts_all(in->counts, failures[i].kind));
	}
}

static void write_current(const struct current *current, struct buf *out,
			  const struct service *const *services, size_t n)
{
	static const char name[] = "sluice_service_current_connections";

	exposition_family(out, name, "gauge",
			  "Connections that exist, by the last census.");
	for (size_t i = 0; i < n; i++)
		write_one(out, name, services[i], NULL,
			  (double)current_of(current, services[i]).n);
	for (size_t v = 0; v < N_ELEMENTS(volumes); v++) {
		if (!has_volume(current, v))
			continue;
		exposition_family(out, volumes[v].of_service, "gauge", volumes[v].help);
		for (size_t i = 0; i < n; i++)
			write_volume(current, v, services[i], out);
	}
}

static void write_census(const struct current *current, struct buf *out)
{
	exposition_value(out, "sluice_current_connections", "gauge",
			 "Connections that exist, of all services, by the last census.",
			 (double)current->all.n);
	for (size_t v = 0; v < N_ELEMENTS(volumes); v++) {
		if (!has_volume(current, v))
			continue;
		exposition_family(out, volumes[v].of_all, "gauge", volumes[v].help);
		for (size_t d = 0; d < N_ELEMENTS(directions); d++) {
			const struct label label = {"direction", directions[d]};

			exposition_sample(out, volumes[v].of_all, &label, 1,
					  (double)volume(&current->all, v)[d]);
		}
	}
	exposition_value(out, "sluice_census_age_seconds", "gauge",
			 "Time since the last census of connections started.",
			 (double)current->age_us / 1e6);
}

static double n_endpoints(const struct service *s)
{
	const uint32_t *n = s->n_pool;

	return n[POOL_CLUSTER] > n[POOL_LOCAL] ? n[POOL_CLUSTER] : n[POOL_LOCAL];
}

static void write_each(const struct metrics_input *in, struct buf *out)
{
	size_t n;
	_cleanup_(freep) const struct service **busy =
		busy_services(in->state, in->counts, METRICS_MAX_SERVICES, &n);

	qsort(busy, n, sizeof(*busy), service_compare_items);
	exposition_family(out, "sluice_service_endpoints", "gauge",
			  "Endpoints that new connections may go to.");
	for (size_t i = 0; i < n; i++)
		write_one(out, "sluice_service_endpoints", busy[i], NULL,
			  n_endpoints(busy[i]));
	exposition_value(out, "sluice_services_without_series", "gauge",
			 "Services beyond those that have series of their own.",
			 (double)(state_n_services(in->state) - n));
	if (in->counts && read_counts(in, busy, n))
		write_counts(in, out, busy, n);
	if (in->current)
		write_current(in->current, out, busy, n);
}

void service_metrics_write(const struct metrics_input *in, struct buf *out)
{
	const struct tally t = tally(in->state);

	exposition_value(out, "sluice_services", "gauge",
			 "Services, each port and family counted.",
			 (double)state_n_services(in->state));
	exposition_value(
		out, "sluice_services_without_endpoints", "gauge",
		"Those of sluice_services without an endpoint for new connections.",
		(double)t.n_without_endpoints);
	exposition_value(
		out, "sluice_claims_waiting", "gauge",
		"Frontends that a Service claims while another Service holds them.",
		(double)state_n_conflicts(in->state));
	write_no_local(in, &t, out);
	if (in->with_services)
		write_each(in, out);
	if (in->counts && counts_are_known(in->counts))
		write_sums(in, out);
	if (in->current)
		write_census(in->current, out);
}
