/*
 * The page for Prometheus: the text format, kube-proxy's families, and ours.
 */
#include "tests/test.h"

#include <errno.h>
#include <ev.h>
#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/state.h"
#include "proxy/engine/counts.h"
#include "proxy/engine/dataplane.h"
#include "proxy/engine/full_changes.h"
#include "proxy/engine/last_census.h"
#include "proxy/http/exposition.h"
#include "proxy/http/metrics.h"
#include "tests/short_service.h"
#include "tests/unit/counting_sink.h"

#define SEC 1000000ll

/* ---- the format ---- */

static const struct {
	double value;
	const char *text;
} numbers[] = {
	{0, "0"},
	{-1, "-1"},
	{0.1, "0.1"},
	{1795364729, "1795364729"},
	{1795364729.123456, "1795364729.123456"},
	{1e300, "1e+300"},
	{1.0 / 3, "0.3333333333333333"},
	{(double)INFINITY, "+Inf"},
	{-(double)INFINITY, "-Inf"},
};

static void formatted_numbers_parse_back_equal(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(numbers); i++) {
		_cleanup_(buf_fini) struct buf out = BUF_INIT;
		_cleanup_(buf_fini) struct buf wanted = BUF_INIT;

		exposition_sample(&out, "x", NULL, 0, numbers[i].value);
		buf_printf(&wanted, "x %s\n", numbers[i].text);
		assert_string_equal(buf_string(&out), buf_string(&wanted));
		assert_true(strtod(buf_string(&out) + 2, NULL) == numbers[i].value);
	}
}

static void label_values_are_escaped(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	const struct label labels[] = {{"a", "say \"hi\""}, {"b", "c:\\d\ne"}};

	(void)state;
	exposition_sample(&out, "x", labels, N_ELEMENTS(labels), 1);
	assert_string_equal(buf_string(&out),
			    "x{a=\"say \\\"hi\\\"\",b=\"c:\\\\d\\ne\"} 1\n");
}

static void buckets_count_values_up_to_their_bound(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct histogram_bounds bounds = histogram_exponential(1, 2, 3);
	const struct label label = {"f", "v"};
	struct histogram h = {0};

	(void)state;
	histogram_observe(&h, &bounds, 1); /* on a bound: in its bucket */
	histogram_observe(&h, &bounds, 3.5);
	histogram_observe(&h, &bounds, 100); /* above all */
	exposition_histogram(&out, "h", &label, 1, &bounds, &h);
	assert_string_equal(buf_string(&out), "h_bucket{f=\"v\",le=\"1\"} 1\n"
					      "h_bucket{f=\"v\",le=\"2\"} 1\n"
					      "h_bucket{f=\"v\",le=\"4\"} 2\n"
					      "h_bucket{f=\"v\",le=\"+Inf\"} 3\n"
					      "h_sum{f=\"v\"} 104.5\n"
					      "h_count{f=\"v\"} 3\n");
}

static void network_programming_has_kube_proxys_buckets(void **state)
{
	const struct histogram_bounds b = histogram_network_programming();

	(void)state;
	assert_true(b.le[0] == 0 && b.le[1] == 0.25 && b.le[2] == 0.5 && b.le[3] == 1);
	assert_true(b.le[b.n - 1] == 300);
	for (size_t i = 1; i < b.n; i++)
		assert_true(b.le[i - 1] < b.le[i]);
}

/* ---- the families ---- */

struct world {
	struct metrics *metrics;
	struct state *state;
	struct sync_stats sync;
	struct source_api api;
	struct environment env;
	struct dataplane dataplane;
	struct counting_sink sink;
	struct counts *counts;
	struct last_census *census;
	struct metrics_input in;
	struct buf out;
};

static void world_open(struct world *w)
{
	*w = (struct world){.metrics = metrics_new(), .state = state_new()};
	w->api.host = "api:6443";
	counting_sink_init(&w->sink);
	dataplane_add(&w->dataplane, &w->sink.sink);
	w->counts = counts_new(&w->dataplane);
	w->census = last_census_new(ev_default_loop(0), &w->dataplane, w->state, &w->env);
	w->in = (struct metrics_input){
		.now_us = 1000 * SEC,
		.mode = "nftables",
		.version = "1.2.3",
		.commit = "abcdef",
		.sync = &w->sync,
		.state = w->state,
		.api = &w->api,
		.counts = w->counts,
		.env = &w->env,
		.family_used = {true, true},
	};
}

static void world_close(struct world *w)
{
	buf_fini(&w->out);
	metrics_free(w->metrics);
	counts_free(w->counts);
	last_census_free(w->census);
	state_free(w->state);
}

static void expect(struct world *w, const char *line)
{
	_cleanup_(buf_fini) struct buf wanted = BUF_INIT;

	if (!w->out.len) {
		buf_add_char(&w->out, '\n');
		metrics_write(w->metrics, &w->in, &w->out);
	}
	buf_printf(&wanted, "\n%s\n", line);
	if (!strstr(buf_string(&w->out), buf_string(&wanted)))
		fail_msg("no line \"%s\" in:\n%s", line, buf_string(&w->out));
}

static void expect_none(struct world *w, const char *text)
{
	buf_clear(&w->out);
	metrics_write(w->metrics, &w->in, &w->out);
	assert_null(strstr(buf_string(&w->out), text));
}

static void a_partial_run_counts_for_the_families_it_touched(void **state)
{
	const int64_t triggers[] = {997 * SEC, 990 * SEC};
	const struct sync_run run = {.total_us = 3000,
				     .triggers = triggers,
				     .n_triggers = 2,
				     .touched = {[FAMILY_IPV4] = true}};
	struct world w;

	(void)state;
	world_open(&w);
	metrics_ran(w.metrics, &run, 1000 * SEC);
	expect(&w,
	       "kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 1");
	expect(&w,
	       "kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv6\"} 0");
	expect(&w, "kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="
		   "\"IPv4\"} 1");
	expect(&w, "kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="
		   "\"IPv4\"} 0");
	expect(&w,
	       "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\","
	       "le=\"0.002\"} 0");
	expect(&w,
	       "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\","
	       "le=\"0.004\"} 1");
	expect(&w,
	       "kubeproxy_network_programming_duration_seconds_sum{ip_family=\"IPv4\"} "
	       "13");
	expect(&w, "kubeproxy_network_programming_duration_seconds_count{ip_family="
		   "\"IPv6\"} 0");
	world_close(&w);
}

static void a_failed_run_has_no_programming_latency(void **state)
{
	const int64_t trigger = 997 * SEC;
	const struct sync_run run = {.err = -ENOBUFS,
				     .total_us = 3000,
				     .triggers = &trigger,
				     .n_triggers = 1,
				     .touched = {[FAMILY_IPV4] = true}};
	struct world w;

	(void)state;
	world_open(&w);
	metrics_ran(w.metrics, &run, 1000 * SEC);
	expect(&w, "kubeproxy_network_programming_duration_seconds_count{ip_family="
		   "\"IPv4\"} 0");
	expect(&w,
	       "kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 1");
	world_close(&w);
}

static void an_unused_family_has_no_series(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	w.in.family_used[FAMILY_IPV6] = false;
	expect_none(&w, "ip_family=\"IPv6\"");
	world_close(&w);
}

static void answers_are_counted_by_status(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	metrics_health_answered(w.metrics, false, 200);
	metrics_health_answered(w.metrics, false, 503);
	metrics_health_answered(w.metrics, false, 503);
	metrics_health_answered(w.metrics, true, 200);
	metrics_api_answered(w.metrics, 403, "GET");
	metrics_api_answered(w.metrics, 0, "GET");
	expect(&w, "kubeproxy_proxy_healthz_total{code=\"200\"} 1");
	expect(&w, "kubeproxy_proxy_healthz_total{code=\"503\"} 2");
	expect(&w, "kubeproxy_proxy_livez_total{code=\"200\"} 1");
	expect(&w, "rest_client_requests_total{code=\"403\",method=\"GET\",host=\""
		   "api:6443\"} 1");
	expect(&w, "rest_client_requests_total{code=\"<error>\",method=\"GET\",host="
		   "\"api:6443\"} 1");
	world_close(&w);
}

/* A server that makes up statuses doesn't make us grow. */
static void statuses_beyond_the_limit_are_left_out(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	for (int status = 200; status < 600; status++)
		metrics_api_answered(w.metrics, status, "GET");
	expect(&w, "rest_client_requests_total{code=\"200\",method=\"GET\",host=\""
		   "api:6443\"} 1");
	expect_none(&w, "code=\"599\"");
	world_close(&w);
}

static void an_outage_counts_its_seconds(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	w.api.silent_since_us = 910 * SEC;
	w.api.n_watch_restarts = 3;
	expect(&w, "sluice_api_silent_seconds 90");
	expect(&w, "sluice_api_watch_restarts_total 3");
	buf_clear(&w.out);
	w.api.silent_since_us = 0;
	expect(&w, "sluice_api_silent_seconds 0");
	world_close(&w);
}

static void without_an_api_server_it_has_no_series(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	w.in.api = NULL;
	expect_none(&w, "sluice_api_");
	expect_none(&w, "rest_client_");
	world_close(&w);
}

static void put_service(struct world *w, const char *name, const char *frontends,
			const char *endpoints)
{
	struct service *s = short_service(name, IPPROTO_TCP, frontends, endpoints);

	state_replace(w->state, "test", name, &s, 1); /* takes s */
}

static void read_all(struct world *w)
{
	_cleanup_(full_changes_fini) struct full_changes all = {0};

	full_changes_init(&all, w->state, &w->env);
	assert_true(counts_read(w->counts, &all.cs, false));
}

/* A census finds these, and is read four seconds later. */
static void read_current(struct world *w, const char *busy, uint64_t n)
{
	w->sink.busy = busy;
	w->sink.n_current = n;
	(void)last_census_read(w->census, 1000 * SEC);
	w->in.current = last_census_read(w->census, 1004 * SEC);
}

static void services_have_series_when_configured(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	put_service(&w, "web", "10.96.0.1:80", "10.0.0.1:80 10.0.0.2:80");
	put_service(&w, "dns", "10.96.0.2:53", "10.0.0.3:53");
	w.in.with_services = true;
	counting_sink_set(&w.sink, "dns", COUNT_CONNECTIONS, 7);
	counting_sink_set(&w.sink, "web", COUNT_CONNECTIONS, 9);
	counting_sink_set(&w.sink, "web", COUNT_NO_ENDPOINTS, 4);
	counting_sink_set(&w.sink, "web", COUNT_SOURCE_RANGES, 5);
	expect(&w, "sluice_services 2");
	expect(&w,
	       "sluice_service_endpoints{namespace=\"test\",service=\"web\",port_name="
	       "\"\",protocol=\"TCP\",ip_family=\"IPv4\"} 2");
	expect(&w, "sluice_service_connections_total{namespace=\"test\",service=\"dns\","
		   "port_name=\"\",protocol=\"TCP\",ip_family=\"IPv4\"} 7");
	expect(&w, "sluice_service_refused_connections_total{namespace=\"test\",service="
		   "\"web\",port_name=\"\",protocol=\"TCP\",ip_family=\"IPv4\",reason="
		   "\"no-endpoints\"} 4");
	expect(&w, "sluice_service_dropped_connections_total{namespace=\"test\",service="
		   "\"web\",port_name=\"\",protocol=\"TCP\",ip_family=\"IPv4\",reason="
		   "\"source-ranges\"} 5");
	expect_none(&w, "service=\"dns\",port_name=\"\",protocol=\"TCP\",ip_family="
			"\"IPv4\",reason=\"source-ranges\"");
	expect(&w, "sluice_connections_total 16");
	expect(&w, "sluice_refused_connections_total{reason=\"no-endpoints\"} 4");
	expect(&w, "sluice_dropped_connections_total{reason=\"no-local-endpoints\"} 0");
	expect(&w, "sluice_dropped_connections_total{reason=\"source-ranges\"} 5");
	expect_none(&w, "current_connections");
	read_current(&w, "dns", 6);
	buf_clear(&w.out);
	expect(&w,
	       "sluice_service_current_connections{namespace=\"test\",service=\"dns\","
	       "port_name=\"\",protocol=\"TCP\",ip_family=\"IPv4\"} 6");
	expect(&w,
	       "sluice_service_current_connections{namespace=\"test\",service=\"web\","
	       "port_name=\"\",protocol=\"TCP\",ip_family=\"IPv4\"} 0");
	expect(&w, "sluice_current_connections 6");
	expect(&w, "sluice_census_age_seconds 4");
	expect_none(&w, "current_bytes"); /* they are not counted */
	w.sink.has_bytes = true;
	(void)last_census_read(w.census, 1010 * SEC);
	buf_clear(&w.out);
	expect(&w,
	       "sluice_service_current_bytes{namespace=\"test\",service=\"dns\","
	       "port_name=\"\",protocol=\"TCP\",ip_family=\"IPv4\",direction=\"out\"} "
	       "12000");
	expect(&w,
	       "sluice_service_current_packets{namespace=\"test\",service=\"dns\","
	       "port_name=\"\",protocol=\"TCP\",ip_family=\"IPv4\",direction=\"in\"} 6");
	expect(&w, "sluice_current_bytes{direction=\"in\"} 6000");
	expect(&w, "sluice_current_packets{direction=\"out\"} 12");
	expect_none(&w, "service=\"web\",port_name=\"\",protocol=\"TCP\",ip_family="
			"\"IPv4\",direction");
	w.in.with_services = false;
	expect_none(&w, "service=\"web\"");
	world_close(&w);
}

static void services_beyond_the_limit_with_the_least_traffic_have_no_series(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	for (unsigned i = 0; i < METRICS_MAX_SERVICES + 5; i++) {
		char name[16], frontend[32];

		(void)snprintf(name, sizeof(name), "s-%04u", i);
		(void)snprintf(frontend, sizeof(frontend), "10.96.%u.%u:80", i / 256,
			       i % 256);
		put_service(&w, name, frontend, "10.0.0.1:80");
	}
	w.in.with_services = true;
	expect(&w, "sluice_services_without_series 5");
	expect_none(&w, "service=\"s-1000\"");
	/* a reading of all, as the daemon does it every few seconds */
	counting_sink_set(&w.sink, "s-1002", COUNT_CONNECTIONS, 3);
	read_all(&w);
	buf_clear(&w.out);
	expect(&w,
	       "sluice_service_connections_total{namespace=\"test\",service=\"s-1002\","
	       "port_name=\"\",protocol=\"TCP\",ip_family=\"IPv4\"} 3");
	expect(&w, "sluice_services_without_series 5");
	expect_none(&w, "service=\"s-0999\"");
	world_close(&w);
}

/* Each family once: HELP, TYPE, then its samples and no others. */
static void the_series_of_a_metric_are_contiguous(void **state)
{
	_cleanup_(freep) char *text = NULL;
	char family[128] = "", *save = NULL;
	struct world w;

	(void)state;
	world_open(&w);
	put_service(&w, "web", "10.96.0.1:80", "10.0.0.1:80");
	w.in.with_services = true;
	metrics_health_answered(w.metrics, false, 200);
	metrics_write(w.metrics, &w.in, &w.out);
	text = xstrdup(buf_string(&w.out));
	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char name[128], type[128], again[160];

		if (sscanf(line, "# HELP %127s", name) == 1) {
			(void)snprintf(again, sizeof(again), "# HELP %s ", name);
			assert_null(strstr(strstr(buf_string(&w.out), again) + 1, again));
			strcpy(family, name);
			continue;
		}
		if (sscanf(line, "# TYPE %127s %127s", name, type) == 2) {
			assert_string_equal(name, family);
			continue;
		}
		assert_int_equal(strncmp(line, family, strlen(family)), 0);
	}
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formatted_numbers_parse_back_equal),
		cmocka_unit_test(label_values_are_escaped),
		cmocka_unit_test(buckets_count_values_up_to_their_bound),
		cmocka_unit_test(network_programming_has_kube_proxys_buckets),
		cmocka_unit_test(a_partial_run_counts_for_the_families_it_touched),
		cmocka_unit_test(a_failed_run_has_no_programming_latency),
		cmocka_unit_test(an_unused_family_has_no_series),
		cmocka_unit_test(answers_are_counted_by_status),
		cmocka_unit_test(statuses_beyond_the_limit_are_left_out),
		cmocka_unit_test(an_outage_counts_its_seconds),
		cmocka_unit_test(without_an_api_server_it_has_no_series),
		cmocka_unit_test(services_have_series_when_configured),
		cmocka_unit_test(
			services_beyond_the_limit_with_the_least_traffic_have_no_series),
		cmocka_unit_test(the_series_of_a_metric_are_contiguous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
