/*
 * Parts of a plan that the case tables do not show: flags of endpoints, values that
 * must not change when nothing did, node ports on real addresses, reasons.
 */
#include "tests/test.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/state.h"
#include "tests/unit/cluster_text.h"
#include "watchers/plan/plan.h"

DEFINE_CLEANUP(struct state *, state_free);

static const struct plan_options defaults = {
	.node_name = "here",
	.use_node_hints = true,
	.allow_external_ips = true,
};

static void put_web(struct cluster *c, const char *spec)
{
	(void)cluster_put_format(c,
				 "{apiVersion: v1, kind: Service, metadata: {name: web,"
				 " namespace: default}, spec: {clusterIP: 10.96.0.1,"
				 " %s}}",
				 spec);
}

#define PORT	  "ports: [{name: http, port: 80}]"
#define NODE_PORT "type: NodePort, ports: [{name: http, port: 80, nodePort: 30080}]"

/* The only service port in there. */
static struct service *plan_web(struct cluster *c, const struct plan_options *options)
{
	_cleanup_(state_freep) struct state *st = state_new();

	cluster_mark_all(c);
	(void)plan_dirty(c, options, st, SIZE_MAX);
	assert_int_equal(state_n_services(st), 1);
	return service_ref(state_next(st, &(size_t){0}));
}

/* C: cluster pool, L: local pool, S: serving, H: here */
static void assert_endpoints(struct cluster *c, const char *want)
{
	struct service *s = plan_web(c, &defaults);
	const struct endpoint *endpoints = service_endpoints(s);
	struct buf got = BUF_INIT;
	char text[ADDR_TEXT_LEN];

	for (uint32_t i = 0; i < s->n_endpoints; i++) {
		uint16_t flags = endpoints[i].flags;

		buf_printf(&got, "%s%s=%s%s%s%s", i ? " " : "",
			   addr_format(&endpoints[i].addr, text),
			   flags & ENDPOINT_CLUSTER ? "C" : "",
			   flags & ENDPOINT_LOCAL ? "L" : "",
			   flags & ENDPOINT_SERVING ? "S" : "",
			   flags & ENDPOINT_HERE ? "H" : "");
	}
	assert_string_equal(buf_string(&got), want);
	buf_fini(&got);
	service_unref(s);
}

static void endpoints_have_the_flags_of_their_conditions(void **state)
{
	static const struct {
		const char *spec, *endpoints, *want;
	} cases[] = {
		/* an unused pool is empty */
		{PORT, "10.0.0.1@here 10.0.0.2@there", "10.0.0.1=CSH 10.0.0.2=CS"},
		{PORT ", internalTrafficPolicy: Local", "10.0.0.1@here 10.0.0.2@there",
		 "10.0.0.1=LSH 10.0.0.2=S"},
		{NODE_PORT ", externalTrafficPolicy: Local",
		 "10.0.0.1@here 10.0.0.2@there", "10.0.0.1=CLSH 10.0.0.2=CS"},
		/* old flows to terminating ones live on; to dead ones they don't */
		{PORT, "10.0.0.1@here 10.0.0.2@there~ 10.0.0.3@there!",
		 "10.0.0.1=CSH 10.0.0.2=S"},
		{PORT, "10.0.0.2@there~ 10.0.0.3@there!", "10.0.0.2=CS"},
		/* of unknown place: may be here, as far as hairpin goes */
		{PORT, "10.0.0.1", "10.0.0.1=CSH"},
		{PORT ", internalTrafficPolicy: Local", "10.0.0.1", "10.0.0.1=SH"},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");

		put_web(c, cases[i].spec);
		(void)cluster_put_slice(c, "s", "web", cases[i].endpoints);
		assert_endpoints(c, cases[i].want);
	}
}

static void an_endpoint_in_overlapping_slices_counts_once(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");

	(void)state;
	put_web(c, PORT);
	(void)cluster_put_slice(c, "a", "web", "10.0.0.1@here 10.0.0.2@there!");
	(void)cluster_put_slice(c, "b", "web", "10.0.0.1@there! 10.0.0.2@there");
	assert_endpoints(c, "10.0.0.1=CSH 10.0.0.2=CS");

	/* without the one that won, the other is seen again */
	(void)cluster_del(c, OBJECT_SLICE, "default", "a");
	assert_endpoints(c, "10.0.0.2=CS");
	(void)cluster_put_slice(c, "a", "web", "10.0.0.1@here");
	(void)cluster_del(c, OBJECT_SLICE, "default", "b");
	assert_endpoints(c, "10.0.0.1=CSH");

	/* a dying pod's address is another pod's already */
	(void)cluster_put_slice(c, "a", "web", "10.0.0.1@there");
	(void)cluster_put_slice(c, "b", "web", "10.0.0.1@here~");
	assert_endpoints(c, "10.0.0.1=CS");
	(void)cluster_put_slice(c, "a", "web", "10.0.0.1@here~");
	(void)cluster_put_slice(c, "b", "web", "10.0.0.1@there");
	assert_endpoints(c, "10.0.0.1=CS");
	(void)cluster_del(c, OBJECT_SLICE, "default", "b");

	/* it moves, it is replaced */
	(void)cluster_put_slice(c, "a", "web", "10.0.0.1@there");
	assert_endpoints(c, "10.0.0.1=CS");
	(void)cluster_put_slice(c, "a", "web", "10.0.0.9@there");
	assert_endpoints(c, "10.0.0.9=CS");
}

/* Plans everything dirty and answers how many services changed for sinks. */
static size_t n_changes(struct cluster *c, const struct plan_options *options,
			struct state *state)
{
	struct state_taken taken;
	size_t n;

	(void)plan_dirty(c, options, state, SIZE_MAX);
	taken = state_take(state, false);
	n = taken.n;
	state_taken_fini(&taken);
	return n;
}

static void changes_without_an_effect_on_sinks_are_not_reported(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	_cleanup_(state_freep) struct state *st = state_new();

	(void)state;
	put_web(c, PORT ", internalTrafficPolicy: Local");
	(void)cluster_put_slice(c, "s", "web", "10.0.0.1@here 10.0.0.2@there");
	assert_int_equal(n_changes(c, &defaults, st), 1);

	/* the order in a slice, another slice, a dead endpoint: nothing */
	assert_true(cluster_put_slice(c, "s", "web", "10.0.0.2@there 10.0.0.1@here"));
	assert_int_equal(n_changes(c, &defaults, st), 0);
	assert_true(cluster_put_slice(c, "t", "web", "10.0.0.2@there"));
	assert_int_equal(n_changes(c, &defaults, st), 0);
	assert_true(cluster_put_slice(c, "u", "web", "10.0.0.3@there!"));
	assert_int_equal(n_changes(c, &defaults, st), 0);
	/* added and deleted before the next take: no change */
	(void)cluster_put_slice(c, "v", "web", "10.0.0.4@here");
	(void)cluster_del(c, OBJECT_SLICE, "default", "v");
	assert_int_equal(n_changes(c, &defaults, st), 0);

	/* one here becomes unready: that counts */
	assert_true(cluster_put_slice(c, "s", "web", "10.0.0.2@there 10.0.0.1@here!"));
	assert_int_equal(n_changes(c, &defaults, st), 1);

	/* gone altogether */
	(void)cluster_del(c, OBJECT_SERVICE, "default", "web");
	assert_int_equal(n_changes(c, &defaults, st), 1);
	assert_int_equal(state_n_services(st), 0);
}

static void options_of_the_object_are_those_of_each_port(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	_cleanup_(state_freep) struct state *st = state_new();
	const struct object_options *options;
	const struct service *s;

	(void)state;
	(void)cluster_put_text(
		c, "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: "
		   "default, annotations: {sluice.io/proxy-protocol: v2, sluice.io/hold: "
		   "5ms, sluice.io/health-check: 'http:/ready'}}, spec: {clusterIP: "
		   "10.96.0.1, ports: [{name: a, port: 80}, {name: b, port: 81}]}}");
	options = object_service_options(cluster_service(c, "default", "web"));
	assert_int_equal(options->service.proxy_protocol, 2);
	(void)plan_dirty(c, &defaults, st, SIZE_MAX);
	assert_int_equal(state_n_services(st), 2);
	for (size_t i = 0; (s = state_next(st, &i));) {
		assert_memory_equal(&s->options, &options->service, sizeof(s->options));
		assert_int_equal(service_times(s)->hold_ms, 5);
		assert_string_equal(service_health_path(s), "/ready");
	}
}

static void labels_hide_and_show_services(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	_cleanup_(state_freep) struct state *st = state_new();

	(void)state;
	put_web(c, PORT);
	assert_int_equal(n_changes(c, &defaults, st), 1);
	(void)cluster_put_text(c, "{apiVersion: v1, kind: Service, metadata: {name: web,"
				  " namespace: default, labels:"
				  " {service.kubernetes.io/service-proxy-name: x}},"
				  " spec: {clusterIP: 10.96.0.1, " PORT "}}");
	assert_int_equal(n_changes(c, &defaults, st), 1);
	assert_int_equal(state_n_services(st), 0);
	put_web(c, PORT);
	assert_int_equal(n_changes(c, &defaults, st), 1);
	assert_int_equal(state_n_services(st), 1);
}

static void at_most_max_services_are_planned(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	_cleanup_(state_freep) struct state *st = state_new();

	(void)state;
	for (int i = 0; i < 5; i++)
		(void)cluster_put_format(c,
					 "{apiVersion: v1, kind: Service, metadata:"
					 " {name: web-%d, namespace: default}, spec:"
					 " {clusterIP: 10.96.0.%d, " PORT "}}",
					 i, i + 1);
	assert_int_equal(plan_dirty(c, &defaults, st, 3), 3);
	assert_int_equal(cluster_n_dirty(c), 2);
	assert_int_equal(plan_dirty(c, &defaults, st, 3), 2);
	assert_int_equal(plan_dirty(c, &defaults, st, 3), 0);
	assert_int_equal(state_n_services(st), 5);
}

static void node_ports_at_several_addresses_are_one_frontend(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	struct nodeport_addresses all = {.all = true};
	struct plan_options options = defaults;
	struct addr hosts[3];
	struct service *s;

	(void)state;
	assert_int_equal(addr_parse("192.168.0.2", &hosts[0]), 0);
	assert_int_equal(addr_parse("192.168.0.3", &hosts[1]), 0);
	assert_int_equal(addr_parse("2001:db8::2", &hosts[2]), 0);
	options.nodeports = &all;
	options.host_addresses = hosts;
	options.n_host_addresses = 3;
	put_web(c, NODE_PORT);

	s = plan_web(c, &options);
	assert_int_equal(s->n_frontends, 2);
	assert_int_equal(s->frontends[0].kind, FRONTEND_CLUSTER_IP);
	assert_true(frontend_is_everywhere(&s->frontends[1]));
	assert_int_equal(s->frontends[1].port, 30080);
	service_unref(s);

	options.n_host_addresses = 1;
	s = plan_web(c, &options);
	assert_int_equal(s->n_frontends, 2);
	assert_true(addr_equal(&s->frontends[1].addr, &hosts[0]));
	service_unref(s);

	options.keep_nodeports = true;
	s = plan_web(c, &options);
	assert_int_equal(s->n_frontends, 2);
	assert_true(addr_is_unspecified(&s->frontends[1].addr));
	assert_int_equal(addr_family(&s->frontends[1].addr), FAMILY_IPV4);
	service_unref(s);
}

/* The balancer's address may be the node's, and its port the node port: the guarded one stays. */
static void source_ranges_aren_t_passed_by_through_a_node_port(void **state)
{
	static const struct nodeport_addresses all = {.all = true};
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	struct plan_options options = defaults;
	struct addr host;
	struct service *s;

	(void)state;
	assert_int_equal(addr_parse("192.168.0.2", &host), 0);
	options.nodeports = &all;
	options.host_addresses = &host;
	options.n_host_addresses = 1;
	put_web(c, "type: LoadBalancer, loadBalancerSourceRanges: [203.0.113.0/25],"
		   " ports: [{name: http, port: 30080, nodePort: 30080}]},"
		   " status: {loadBalancer: {ingress: [{ip: 192.168.0.2}]}");
	s = plan_web(c, &options);
	assert_int_equal(s->n_frontends, 2);
	assert_true(addr_equal(&s->frontends[1].addr, &host));
	assert_int_equal(s->frontends[1].kind, FRONTEND_LOAD_BALANCER);
	assert_true(s->frontends[1].is_limited);
	service_unref(s);
}

/* Source ranges without an effect must not change the service. */
static void source_ranges_without_a_load_balancer_address_are_ignored(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	struct service *s;

	(void)state;
	put_web(c, PORT ", loadBalancerSourceRanges: [192.168.0.0/16]");
	s = plan_web(c, &defaults);
	assert_int_equal(s->n_allowed, 0);
	assert_false(s->frontends[0].is_limited);
	service_unref(s);
}

static void the_unspecified_address_is_not_a_frontend(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	struct service *s;

	(void)state;
	put_web(c, PORT ", externalIPs: [0.0.0.0, 192.168.9.9]");
	s = plan_web(c, &defaults);
	assert_int_equal(s->n_frontends, 2);
	assert_int_equal(s->frontends[1].kind, FRONTEND_EXTERNAL_IP);
	assert_false(addr_is_unspecified(&s->frontends[1].addr));
	service_unref(s);
}

static void assert_reasons(struct cluster *c, const char *want)
{
	size_t n_slices, n;
	_cleanup_(freep) const struct object_slice **slices =
		cluster_slices(c, "default", "web", &n_slices);
	_cleanup_(freep) struct plan_endpoint_reason *reasons =
		plan_explain(cluster_service(c, "default", "web"), slices, n_slices,
			     cluster_node(c), &defaults, "http", IPPROTO_TCP, FAMILY_IPV4,
			     &n);
	struct buf got = BUF_INIT;
	char text[ADDR_TEXT_LEN];

	for (size_t i = 0; i < n; i++)
		buf_printf(&got, "%s %s%s %s\n", addr_format(&reasons[i].addr, text),
			   reasons[i].in_cluster_pool ? "C" : "-",
			   reasons[i].in_local_pool ? "L" : "-", reasons[i].reason);
	assert_string_equal(buf_string(&got), want);
	buf_fini(&got);
}

static void each_endpoint_has_its_reason(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	size_t n = 1;

	(void)state;
	put_web(c, NODE_PORT ", externalTrafficPolicy: Local");
	(void)cluster_put_slice(c, "s", "web",
				"10.0.0.1@here 10.0.0.2@there 10.0.0.3@here~ 10.0.0.4!");
	assert_reasons(c, "10.0.0.1 CL ready\n"
			  "10.0.0.2 C- ready\n"
			  "10.0.0.3 -- terminating, and others are there\n"
			  "10.0.0.4 -- not ready\n");
	(void)cluster_put_slice(c, "s", "web", "10.0.0.2@there 10.0.0.3@here~");
	assert_reasons(c, "10.0.0.2 C- ready\n"
			  "10.0.0.3 -L terminating but still serving, and nothing is"
			  " ready\n");
	put_web(c, PORT ", internalTrafficPolicy: Local");
	assert_reasons(c, "10.0.0.2 -- ready, but on another node (policy Local)\n"
			  "10.0.0.3 -L terminating but still serving, and nothing is"
			  " ready\n");
	assert_null(plan_explain(cluster_service(c, "default", "web"), NULL, 0, NULL,
				 &defaults, "https", IPPROTO_TCP, FAMILY_IPV4, &n));
	assert_int_equal(n, 0);
}

static void endpoints_excluded_by_hints_have_their_reason(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");

	(void)state;
	put_web(c, PORT);
	(void)cluster_put_text(
		c, "{apiVersion: v1, kind: Node, metadata: {name: here,"
		   " labels: {topology.kubernetes.io/zone: za}}}\n"
		   "---\n"
		   "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata:"
		   " {name: s, namespace: default,"
		   " labels: {kubernetes.io/service-name: web}}, addressType: IPv4,"
		   " ports: [{name: http, port: 80}], endpoints:"
		   " [{addresses: [10.0.0.1], hints: {forZones: [{name: za}]}},"
		   " {addresses: [10.0.0.2], hints: {forZones: [{name: zb}]}}]}");
	assert_reasons(c, "10.0.0.1 C- ready\n"
			  "10.0.0.2 -- ready, but hints keep traffic in this zone\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoints_have_the_flags_of_their_conditions),
		cmocka_unit_test(an_endpoint_in_overlapping_slices_counts_once),
		cmocka_unit_test(changes_without_an_effect_on_sinks_are_not_reported),
		cmocka_unit_test(options_of_the_object_are_those_of_each_port),
		cmocka_unit_test(labels_hide_and_show_services),
		cmocka_unit_test(at_most_max_services_are_planned),
		cmocka_unit_test(node_ports_at_several_addresses_are_one_frontend),
		cmocka_unit_test(source_ranges_aren_t_passed_by_through_a_node_port),
		cmocka_unit_test(
			source_ranges_without_a_load_balancer_address_are_ignored),
		cmocka_unit_test(the_unspecified_address_is_not_a_frontend),
		cmocka_unit_test(each_endpoint_has_its_reason),
		cmocka_unit_test(endpoints_excluded_by_hints_have_their_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
