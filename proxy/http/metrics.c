/*
 * Counts events, and writes all metrics for a scrape.  Families of kube-proxy keep
 * the meaning of its help texts, its label names and its buckets.
 */
#include "proxy/http/metrics.h"

#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/http/exposition.h"
#include "proxy/http/process_metrics.h"
#include "proxy/http/service_metrics.h"
#include "proxy/http/sink_metrics.h"
#include "watchers/checks/checker.h"

#define USEC_PER_SEC 1e6
#define N_STATUSES   16

struct status_count {
	int status;
	char method[8];
	uint64_t n;
};

struct metrics {
	struct histogram_bounds sync_bounds, network_bounds;
	struct histogram sync[FAMILY_N], full[FAMILY_N], partial[FAMILY_N];
	struct histogram network[FAMILY_N];
	struct status_count healthz[N_STATUSES], livez[N_STATUSES], api[N_STATUSES];
};

struct metrics *metrics_new(void)
{
	struct metrics *m = xcalloc(1, sizeof(*m));

	m->sync_bounds = histogram_exponential(0.001, 2, 15);
	m->network_bounds = histogram_network_programming();
	return m;
}

void metrics_free(struct metrics *m)
{
	free(m);
}

static void count_status(struct status_count *counts, int status, const char *method)
{
	for (size_t i = 0; i < N_STATUSES; i++) {
		struct status_count *c = &counts[i];

		if (c->n && (c->status != status || strcmp(c->method, method)))
			continue;
		c->status = status;
		(void)strncpy(c->method, method, sizeof(c->method) - 1);
		c->n++;
		return;
	}
}

void metrics_health_answered(struct metrics *m, bool is_livez, int status)
{
	count_status(is_livez ? m->livez : m->healthz, status, "");
}

void metrics_api_answered(struct metrics *m, int status, const char *method)
{
	count_status(m->api, status, method);
}

static void observe_triggers(struct metrics *m, enum family family,
			     const struct sync_run *run, int64_t now_us)
{
	for (size_t i = 0; i < run->n_triggers; i++) {
		double sec = (double)(now_us - run->triggers[i]) / USEC_PER_SEC;

		histogram_observe(&m->network[family], &m->network_bounds,
				  sec > 0 ? sec : 0);
	}
}

void metrics_ran(struct metrics *m, const struct sync_run *run, int64_t now_us)
{
	double sec = (double)run->total_us / USEC_PER_SEC;

	for (int family = 0; family < FAMILY_N; family++) {
		if (!run->touched[family] && !run->full)
			continue;
		histogram_observe(&m->sync[family], &m->sync_bounds, sec);
		histogram_observe(run->full ? &m->full[family] : &m->partial[family],
				  &m->sync_bounds, sec);
		if (run->touched[family] && !run->err)
			observe_triggers(m, (enum family)family, run, now_us);
	}
}

/* One sample for each family in use. */
static void add_by_family(struct buf *out, const struct metrics_input *in,
			  const char *name, const char *type, const char *help,
			  const double values[FAMILY_N])
{
	exposition_family(out, name, type, help);
	for (int family = 0; family < FAMILY_N; family++) {
		struct label label = {"ip_family", family_name((enum family)family)};

		if (in->family_used[family])
			exposition_sample(out, name, &label, 1, values[family]);
	}
}

static void add_histograms(struct buf *out, const struct metrics_input *in,
			   const char *name, const char *help,
			   const struct histogram_bounds *bounds,
			   const struct histogram histograms[FAMILY_N])
{
	exposition_family(out, name, "histogram", help);
	for (int family = 0; family < FAMILY_N; family++) {
		struct label label = {"ip_family", family_name((enum family)family)};

		if (in->family_used[family])
			exposition_histogram(out, name, &label, 1, bounds,
					     &histograms[family]);
	}
}

static void add_statuses(struct buf *out, const char *name, const char *help,
			 const struct status_count *counts, const char *host)
{
	exposition_family(out, name, "counter", help);
	for (size_t i = 0; i < N_STATUSES && counts[i].n; i++) {
		char code[16] = "<error>";
		struct label labels[] = {{"code", code},
					 {"method", counts[i].method},
					 {"host", host}};

		if (counts[i].status)
			(void)snprintf(code, sizeof(code), "%d", counts[i].status);
		exposition_sample(out, name, labels, host ? 3 : 1, (double)counts[i].n);
	}
}

static void write_state(const struct metrics_input *in, struct buf *out)
{
	exposition_value(out, "sluice_in_sync", "gauge",
			 "1 if all objects are read and programmed and the source "
			 "answers, as sluice status says.",
			 in->is_in_sync);
	exposition_value(out, "sluice_last_audit_timestamp_seconds", "gauge",
			 "The last comparison of all rules with the kernel's; 0: none.",
			 (double)in->sync->ended_us[SYNC_REASON_AUDIT] / USEC_PER_SEC);
}

static void write_sync(const struct metrics *m, const struct metrics_input *in,
		       struct buf *out)
{
	const struct sync_stats *s = in->sync;
	double updated[FAMILY_N], queued[FAMILY_N], changes = 0;

	for (int family = 0; family < FAMILY_N; family++) {
		updated[family] = (double)s->last_updated_us[family] / USEC_PER_SEC;
		queued[family] = (double)s->last_queued_us[family] / USEC_PER_SEC;
		changes += (double)s->n_changes[family];
	}
	add_histograms(out, in, "kubeproxy_sync_proxy_rules_duration_seconds",
		       "SyncProxyRules latency in seconds", &m->sync_bounds, m->sync);
	add_histograms(out, in, "kubeproxy_sync_full_proxy_rules_duration_seconds",
		       "SyncProxyRules latency in seconds for full resyncs",
		       &m->sync_bounds, m->full);
	add_histograms(out, in, "kubeproxy_sync_partial_proxy_rules_duration_seconds",
		       "SyncProxyRules latency in seconds for partial resyncs",
		       &m->sync_bounds, m->partial);
	add_histograms(out, in, "kubeproxy_network_programming_duration_seconds",
		       "In Cluster Network Programming Latency in seconds",
		       &m->network_bounds, m->network);
	add_by_family(out, in, "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
		      "gauge", "The last time proxy rules were successfully synced",
		      updated);
	add_by_family(out, in, "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
		      "gauge", "The last time a sync of proxy rules was queued", queued);
	/* Endpoints and Services are planned together here: each counts the common number. */
	exposition_value(out, "kubeproxy_sync_proxy_rules_endpoint_changes_pending",
			 "gauge", "Pending proxy rules Endpoint changes",
			 (double)in->n_pending);
	exposition_value(out, "kubeproxy_sync_proxy_rules_endpoint_changes_total",
			 "counter", "Cumulative proxy rules Endpoint changes", changes);
	exposition_value(out, "kubeproxy_sync_proxy_rules_service_changes_pending",
			 "gauge", "Pending proxy rules Service changes",
			 (double)in->n_pending);
	exposition_value(out, "kubeproxy_sync_proxy_rules_service_changes_total",
			 "counter", "Cumulative proxy rules Service changes",
			 (double)s->n_planned);
}

static void write_api(const struct metrics *m, const struct metrics_input *in,
		      struct buf *out)
{
	const struct source_api *api = in->api;
	int64_t since_us = api->silent_since_us;

	add_statuses(
		out, "rest_client_requests_total",
		"Number of HTTP requests, partitioned by status code, method, and host.",
		m->api, api->host);
	exposition_value(out, "sluice_api_silent_seconds", "gauge",
			 "Seconds since the API server became unreachable; 0 while it is "
			 "reachable.",
			 since_us ? (double)(in->now_us - since_us) / USEC_PER_SEC : 0);
	exposition_value(out, "sluice_api_watch_restarts_total", "counter",
			 "Times that a kind of object had to be listed again.",
			 (double)api->n_watch_restarts);
}

/* Samples of one family that differ in one label. */
struct check_count {
	const char *value;
	uint64_t n;
};

static void add_counts(struct buf *out, const char *name, const char *help,
		       const char *label, const struct check_count *counts, size_t n)
{
	exposition_family(out, name, "counter", help);
	for (size_t i = 0; i < n; i++) {
		struct label with = {label, counts[i].value};

		exposition_sample(out, name, &with, 1, (double)counts[i].n);
	}
}

static void write_checks(const struct checker *checker, struct buf *out)
{
	const struct checker_stats s = checker_stats(checker);
	const struct check_count results[] = {{"success", s.n_succeeded},
					      {"failure", s.n_failed},
					      {"unknown", s.n_unknown}};
	const struct check_count changes[] = {{"down", s.n_went_down},
					      {"up", s.n_came_up}};

	exposition_value(out, "sluice_endpoint_health_checked", "gauge",
			 "Endpoints that health checks are made of.",
			 (double)s.n_endpoints);
	exposition_value(out, "sluice_endpoint_health_down", "gauge",
			 "Those of sluice_endpoint_health_checked that are down.",
			 (double)s.n_down);
	add_counts(out, "sluice_endpoint_health_checks_total",
		   "Health checks of endpoints by result; unknown: this host lacked "
		   "resources.",
		   "result", results, N_ELEMENTS(results));
	add_counts(out, "sluice_endpoint_health_changes_total",
		   "Endpoints that health checks found down, or up again.", "to", changes,
		   N_ELEMENTS(changes));
}

static void write_build(const struct metrics_input *in, struct buf *out)
{
	struct label labels[] = {{"version", in->version},
				 {"commit", in->commit},
				 {"mode", in->mode}};

	exposition_family(out, "sluice_build_info", "gauge",
			  "The running build; always 1.");
	exposition_sample(out, "sluice_build_info", labels, N_ELEMENTS(labels), 1);
	exposition_value(out, "sluice_rejected_fields", "gauge",
			 "Objects or fields that are ignored because they are invalid.",
			 (double)in->n_rejected);
	exposition_value(out, "sluice_sources_missing", "gauge",
			 "Paths of manifests that cannot be found or read; their last "
			 "objects stay in "
			 "effect.",
			 (double)in->n_missing);
}

void metrics_write(struct metrics *m, const struct metrics_input *in, struct buf *out)
{
	write_build(in, out);
	write_state(in, out);
	write_sync(m, in, out);
	if (in->sinks)
		sink_metrics_write(in, out);
	if (in->checker)
		write_checks(in->checker, out);
	if (in->api)
		write_api(m, in, out);
	add_statuses(out, "kubeproxy_proxy_healthz_total",
		     "Cumulative proxy healthz HTTP status", m->healthz, NULL);
	add_statuses(out, "kubeproxy_proxy_livez_total",
		     "Cumulative proxy livez HTTP status", m->livez, NULL);
	service_metrics_write(in, out);
	process_metrics_write(out);
}
