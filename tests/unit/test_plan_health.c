/*
 * The health of endpoints: the verdict about one, and plan() with those that are down.
 */
#include "tests/test.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/state.h"
#include "tests/unit/cluster_text.h"
#include "watchers/checks/verdict.h"
#include "watchers/plan/plan.h"

DEFINE_CLEANUP(struct state *, state_free);

/* Results (+ success, - failure) and the verdict after each (U up, D down). */
static const struct {
	uint8_t rise, fall;
	const char *results, *verdicts;
} verdict_cases[] = {
	{0, 0, "+++", "UUU"},
	{0, 0, "---", "UUD"}, /* 3 and 2 are the defaults */
	{0, 0, "--+--+---", "UUUUUUUUD"},
	{0, 0, "---++", "UUDDU"},
	{0, 0, "---+-+-++--", "UUDDDDDDUUU"},
	{1, 1, "-+-+", "DUDU"},
	{3, 2, "--++-+++", "UDDDDDDU"},
};

static void a_verdict_changes_after_results_in_a_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(verdict_cases); i++) {
		const struct service_options given = {
			.health_rise = verdict_cases[i].rise,
			.health_fall = verdict_cases[i].fall,
		};
		const struct check_settings settings =
			check_settings_of(&given, &(struct service_times){0});
		const char *results = verdict_cases[i].results;
		struct verdict v = {0};

		for (size_t k = 0; results[k]; k++) {
			bool was_down = v.is_down;
			bool has_changed = verdict_note(&v, &settings,
							results[k] == '-' ? "no" : NULL);

			assert_int_equal(has_changed, was_down != v.is_down);
			if (verdict_cases[i].verdicts[k] != (v.is_down ? 'D' : 'U'))
				fail_msg("%s: after %zu results", results, k + 1);
		}
	}
}

static void a_silent_endpoint_is_down_within_fall_intervals(void **state)
{
	(void)state;
	for (uint8_t fall = 2; fall < 6; fall++) {
		const struct service_options given = {.health_fall = fall};
		const struct check_settings settings =
			check_settings_of(&given, &(struct service_times){0});
		/* it falls silent just after a check, and each check takes its time-out */
		uint32_t at_ms = settings.interval_ms;
		struct verdict v = {0};

		while (!verdict_note(&v, &settings, "silent"))
			at_ms += verdict_gap_ms(&v, &settings);
		assert_true(at_ms + settings.timeout_ms <= fall * settings.interval_ms);
	}
}

/* The fake: endpoints whose address is in the text are down. */
static const char *why_down(void *data, const struct object_service *s,
			    const struct addr *addr, uint16_t port)
{
	char text[ADDR_TEXT_LEN];

	(void)s;
	(void)port;
	return strstr(data, addr_format(addr, text)) ? "no route" : NULL;
}

static size_t n_planned;

static void on_planned(void *data, const char *ns, const char *name,
		       const struct object_service *s,
		       const struct object_slice *const *slices, size_t n)
{
	(void)data;
	(void)slices;
	assert_string_equal(ns, "default");
	assert_string_equal(name, "web");
	n_planned += s ? n : 0;
}

#define ALL    "10.0.0.1 10.0.0.2 10.0.0.3"
#define LOCALS "10.0.0.1@here 10.0.0.2@here 10.0.0.3@there"

/*
 * Pools of each endpoint (C cluster, L local) after its last number; R: the number of
 * ready ones on this node.
 */
static const struct {
	const char *endpoints, *down, *want;
	bool is_checked, is_udp;
} plan_cases[] = {
	{ALL, "", "1=C 2=C 3=C R0", true, false},
	{ALL, "10.0.0.2", "1=C 3=C R0", true, false},
	{ALL, "10.0.0.1 10.0.0.3", "2=C R0", true, false},
	/* all are down: checks are ignored */
	{ALL, ALL, "1=C 2=C 3=C R0", true, false},
	{ALL, "10.0.0.2", "1=C 2=C 3=C R0", false, false},
	{ALL, "10.0.0.2", "1=C 2=C 3=C R0", true, true},
	{LOCALS, "10.0.0.2", "1=CL 3=C R1", true, false},
	/* the load balancer hears that this node has none */
	{LOCALS, "10.0.0.1 10.0.0.2", "3=C R0", true, false},
	{LOCALS, ALL, "1=CL 2=CL 3=C R2", true, false},
	/* one that is not ready does not count as one that is up */
	{"10.0.0.1 10.0.0.2!", "10.0.0.1", "1=C R0", true, false},
	/* terminating ones are used only if no endpoint is ready at all */
	{"10.0.0.1 10.0.0.2~", "10.0.0.1", "1=C 2= R0", true, false},
};

static void put_service(struct cluster *c, bool is_checked, bool is_udp)
{
	(void)cluster_put_format(
		c,
		"{apiVersion: v1, kind: Service, metadata: {name: web, namespace: default"
		"%s}, spec: {type: LoadBalancer, clusterIP: 10.96.0.1, "
		"externalTrafficPolicy: Local, healthCheckNodePort: 30000, ports: "
		"[{name: "
		"http, port: 80, nodePort: 30080}%s]}}",
		is_checked ? ", annotations: {sluice.io/health-check: tcp}" : "",
		is_udp ? ", {name: dns, port: 53, protocol: UDP, nodePort: 30053}" : "");
}

static void put_udp_slice(struct cluster *c)
{
	(void)cluster_put_text(
		c,
		"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: "
		"web-dns, namespace: default, labels: {kubernetes.io/service-name: "
		"web}}, "
		"addressType: IPv4, ports: [{name: dns, port: 80, protocol: UDP}], "
		"endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}, "
		"{addresses: [10.0.0.3]}]}");
}

static void describe(const struct service *s, struct buf *out)
{
	char text[ADDR_TEXT_LEN];

	for (uint32_t i = 0; i < s->n_endpoints; i++) {
		const struct endpoint *e = &service_endpoints(s)[i];

		buf_printf(out, "%s=%s%s ", strrchr(addr_format(&e->addr, text), '.') + 1,
			   e->flags & ENDPOINT_CLUSTER ? "C" : "",
			   e->flags & ENDPOINT_LOCAL ? "L" : "");
	}
	buf_printf(out, "R%u", s->local_ready);
}

static void endpoints_that_are_down_are_in_no_pool(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(plan_cases); i++) {
		const struct plan_health health = {on_planned, why_down,
						   (void *)(uintptr_t)plan_cases[i].down};
		const struct plan_options options = {
			.node_name = "here",
			.allow_external_ips = true,
			.health = &health,
		};
		_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
		_cleanup_(state_freep) struct state *st = state_new();
		struct buf got = BUF_INIT;
		const struct service *s;

		put_service(c, plan_cases[i].is_checked, plan_cases[i].is_udp);
		(void)cluster_put_slice(c, "web-1", "web", plan_cases[i].endpoints);
		if (plan_cases[i].is_udp)
			put_udp_slice(c);
		n_planned = 0;
		assert_int_equal(plan_dirty(c, &options, st, SIZE_MAX), 1);
		assert_int_equal(n_planned, 1 + plan_cases[i].is_udp);
		for (size_t k = 0; (s = state_next(st, &k));)
			if (!plan_cases[i].is_udp || *service_port_name(s) == 'd')
				describe(s, &got);
		if (strcmp(buf_string(&got), plan_cases[i].want) != 0)
			fail_msg("case %zu: %s, not %s", i, buf_string(&got),
				 plan_cases[i].want);
		buf_fini(&got);
	}
}

static void a_zone_whose_endpoints_are_down_uses_those_of_others(void **state)
{
	const struct plan_health health = {on_planned, why_down, "10.0.0.1"};
	const struct plan_options options = {.node_name = "here", .health = &health};
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	_cleanup_(state_freep) struct state *st = state_new();
	struct buf got = BUF_INIT;
	size_t cursor = 0;

	(void)state;
	(void)cluster_put_text(
		c,
		"{apiVersion: v1, kind: Node, metadata: {name: here, labels: "
		"{topology.kubernetes.io/zone: a}}}\n---\n"
		"{apiVersion: v1, kind: Service, metadata: {name: web, namespace: "
		"default, "
		"annotations: {sluice.io/health-check: tcp}}, spec: {clusterIP: "
		"10.96.0.1, ports: [{port: 80}]}}\n---\n"
		"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: "
		"web-1, namespace: default, labels: {kubernetes.io/service-name: web}}, "
		"addressType: IPv4, ports: [{name: '', port: 80}], endpoints: ["
		"{addresses: [10.0.0.1], hints: {forZones: [{name: a}]}}, "
		"{addresses: [10.0.0.2], hints: {forZones: [{name: b}]}}]}");
	(void)plan_dirty(c, &options, st, SIZE_MAX);
	describe(state_next(st, &cursor), &got);
	assert_string_equal(buf_string(&got), "2=C R0");
	buf_fini(&got);
}

static void explain_has_the_verdict_and_why(void **state)
{
	const struct plan_health health = {on_planned, why_down, "10.0.0.2"};
	const struct plan_options options = {.node_name = "here", .health = &health};
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	_cleanup_(freep) const struct object_slice **slices = NULL;
	struct plan_endpoint_reason *reasons;
	size_t n_slices, n;

	(void)state;
	put_service(c, true, false);
	(void)cluster_put_slice(c, "web-1", "web", ALL);
	slices = cluster_slices(c, "default", "web", &n_slices);
	reasons = plan_explain(cluster_service(c, "default", "web"), slices, n_slices,
			       NULL, &options, "http", IPPROTO_TCP, FAMILY_IPV4, &n);
	assert_int_equal(n, 3);
	assert_string_equal(reasons[0].reason, "ready");
	assert_null(reasons[0].down);
	assert_string_equal(reasons[1].reason, "down");
	assert_string_equal(reasons[1].down, "no route");
	assert_false(reasons[1].in_cluster_pool);
	free(reasons);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verdict_changes_after_results_in_a_row),
		cmocka_unit_test(a_silent_endpoint_is_down_within_fall_intervals),
		cmocka_unit_test(endpoints_that_are_down_are_in_no_pool),
		cmocka_unit_test(a_zone_whose_endpoints_are_down_uses_those_of_others),
		cmocka_unit_test(explain_has_the_verdict_and_why),
	};

	return cmocka_run_group_tests_name("plan_health", tests, NULL, NULL);
}
