/*
 * A Service whose frontends and endpoints multiply beyond the limit is
 * reported with one line and is not served; the others are.
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/state.h"
#include "tests/unit/cluster_text.h"
#include "watchers/plan/plan.h"
#include "watchers/reject.h"

DEFINE_CLEANUP(struct state *, state_free);
#define _buf_ _cleanup_(buf_fini) struct buf

struct lines {
	unsigned n;
	char last[512];
};

static void on_rejection(void *data, const struct rejection *x)
{
	struct lines *lines = data;

	lines->n++;
	(void)snprintf(lines->last, sizeof(lines->last), "%s %s/%s: %s", x->kind, x->ns,
		       x->name, x->reason);
}

static void put_service(struct cluster *c, const char *name, int n_ports, int n_external,
			const char *more)
{
	_buf_ text = BUF_INIT;

	buf_printf(&text,
		   "{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: d},"
		   " spec: {clusterIP: 10.96.0.1, %s externalIPs: [",
		   name, more);
	for (int i = 0; i < n_external; i++)
		buf_printf(&text, "192.0.%d.%d,", 2 + i / 200, 1 + i % 200);
	buf_add_string(&text, "], ports: [");
	for (int i = 0; i < n_ports; i++)
		buf_printf(&text, "{name: p%d, port: %d},", i, 1000 + i);
	buf_add_string(&text, "]}}");
	assert_int_equal(cluster_put_text(c, buf_string(&text)), 1);
}

static void put_slice(struct cluster *c, const char *service, int n_ports,
		      int n_endpoints)
{
	_buf_ text = BUF_INIT;

	buf_printf(&text,
		   "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: "
		   "IPv4, metadata: {name: %s-1, namespace: d, labels: "
		   "{kubernetes.io/service-name: %s}}, endpoints: [",
		   service, service);
	for (int i = 0; i < n_endpoints; i++)
		buf_printf(&text, "{addresses: [10.%d.%d.%d]},", 1 + i / 40000,
			   i / 200 % 200, 1 + i % 200);
	buf_add_string(&text, "], ports: [");
	for (int i = 0; i < n_ports; i++)
		buf_printf(&text, "{name: p%d, port: %d},", i, 1000 + i);
	buf_add_string(&text, "]}");
	assert_int_equal(cluster_put_text(c, buf_string(&text)), 1);
}

#define N_HOSTS 1000

static size_t plan_all(struct cluster *c, struct state *st, struct lines *lines)
{
	static const struct nodeport_addresses all = {.all = true};
	static struct addr hosts[N_HOSTS];
	const struct reject reject = {.call = on_rejection, .data = lines};
	const struct plan_options options = {
		.node_name = "here",
		.allow_external_ips = true,
		.nodeports = &all,
		.host_addresses = hosts,
		.n_host_addresses = N_HOSTS,
		.reject = &reject,
	};

	for (unsigned i = 0; i < N_HOSTS; i++)
		hosts[i] = addr_from_bytes(FAMILY_IPV4,
					   (const uint8_t[]){198, 18, (uint8_t)(i / 250),
							     (uint8_t)(1 + i % 250)});

	(void)plan_dirty(c, &options, st, SIZE_MAX);
	return state_n_services(st);
}

static void a_service_over_the_limit_is_one_line_and_the_others_are_served(void **state)
{
	static const struct {
		int n_ports, n_external, n_endpoints;
		const char *more, *line; /* NULL: it is served */
	} cases[] = {
		{100, 100, 100, "",
		 "Service d/big: needs up to 1040300 map elements (10100 frontends, up "
		 "to "
		 "100 endpoints each); the limit for one Service is 100000, so it is not "
		 "served"},
		{100, 100, 1000, "",
		 "Service d/big: needs up to 10130300 map elements (10100 frontends, up "
		 "to 1000 endpoints each); the limit for one Service is 100000, so it is "
		 "not served"},
		{10, 9, 990, "", NULL},
		{10, 9, 1000, "",
		 "Service d/big: needs up to 100300 map elements (100 frontends, up to "
		 "1000 endpoints each); the limit for one Service is 100000, so it is "
		 "not "
		 "served"},
		/* affinity: each endpoint once more for each frontend */
		{10, 9, 490, "sessionAffinity: ClientIP,", NULL},
		{10, 9, 500, "sessionAffinity: ClientIP,",
		 "Service d/big: needs up to 100300 map elements (100 frontends, up to "
		 "500 endpoints each); the limit for one Service is 100000, so it is not "
		 "served"},
		/* policy Local: external frontends have two pools */
		{10, 9, 500, "externalTrafficPolicy: Local,", NULL},
		{10, 9, 600, "externalTrafficPolicy: Local,",
		 "Service d/big: needs up to 114300 map elements (100 frontends, up to "
		 "600 endpoints each); the limit for one Service is 100000, so it is not "
		 "served"},
		{1000, 100, 0, "",
		 "Service d/big: needs up to 303000 map elements (101000 frontends, up "
		 "to 0 endpoints each); the limit for one Service is 100000, so it is "
		 "not served"},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
		_cleanup_(state_freep) struct state *st = state_new();
		struct lines lines = {0};

		put_service(c, "big", cases[i].n_ports, cases[i].n_external,
			    cases[i].more);
		put_slice(c, "big", cases[i].n_ports, cases[i].n_endpoints);
		put_service(c, "small", 1, 0, "");
		assert_int_equal(plan_all(c, st, &lines),
				 1 + (cases[i].line ? 0 : (size_t)cases[i].n_ports));
		assert_string_equal(lines.last, cases[i].line ? cases[i].line : "");
		assert_int_equal(lines.n, cases[i].line != NULL);
	}
}

static void a_pool_larger_than_the_slot_numbers_is_refused(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	_cleanup_(state_freep) struct state *st = state_new();
	struct lines lines = {0};

	(void)state;
	put_service(c, "big", 1, 0, "");
	put_slice(c, "big", 1, 65000);
	assert_int_equal(plan_all(c, st, &lines), 1);
	put_slice(c, "more", 1, 1); /* of another Service: does not count */
	assert_int_equal(
		cluster_put_text(c, "{apiVersion: discovery.k8s.io/v1, kind: "
				    "EndpointSlice, addressType: IPv4, metadata: {name: "
				    "big-2, namespace: d, labels: "
				    "{kubernetes.io/service-name: big}}, ports: [{name: "
				    "p0, port: 1}, {name: p0, port: 2}, {name: p0, port: "
				    "3}], endpoints: [{addresses: [10.9.0.1]}]}"),
		1);
	assert_int_equal(plan_all(c, st, &lines), 1);
	assert_int_equal(lines.n, 0);
	put_slice(c, "big", 1, 65534);
	assert_int_equal(plan_all(c, st, &lines), 0);
	assert_string_equal(lines.last, "Service d/big: has 65537 endpoints at one port; "
					"the limit is 65536, so it is not served");
	assert_int_equal(lines.n, 1);
}

static void slices_with_many_other_ports_are_refused(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	_cleanup_(state_freep) struct state *st = state_new();
	struct lines lines = {0};

	(void)state;
	put_service(c, "big", 1, 0, "");
	put_slice(c, "big", 1000, 1000);
	assert_int_equal(plan_all(c, st, &lines), 0);
	assert_string_equal(lines.last,
			    "Service d/big: its EndpointSlices list 1000000 endpoint "
			    "ports; the limit for one Service is 100000, so it is not "
			    "served");
}

static void a_service_that_shrinks_below_the_limit_is_served_again(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	_cleanup_(state_freep) struct state *st = state_new();
	struct lines lines = {0};

	(void)state;
	put_service(c, "big", 100, 100, "");
	put_slice(c, "big", 100, 5);
	assert_int_equal(plan_all(c, st, &lines), 100);
	put_slice(c, "big", 100, 100);
	assert_int_equal(plan_all(c, st, &lines), 0);
	assert_int_equal(lines.n, 1);
	put_slice(c, "big", 100, 6);
	assert_int_equal(plan_all(c, st, &lines), 100);
	assert_int_equal(lines.n, 1);
}

static void refusing_ten_million_elements_takes_little_memory(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	_cleanup_(state_freep) struct state *st = state_new();
	struct rusage before, after;
	struct lines lines = {0};

	(void)state;
	put_service(c, "big", 100, 100, "");
	put_slice(c, "big", 100, 1000);
	(void)getrusage(RUSAGE_SELF, &before);
	assert_int_equal(plan_all(c, st, &lines), 0);
	(void)getrusage(RUSAGE_SELF, &after);
	assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, 10 * 1024);
}

static void a_node_port_counts_once_whatever_the_number_of_addresses(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	_cleanup_(state_freep) struct state *st = state_new();
	struct lines lines = {0};

	(void)state;
	assert_int_equal(cluster_put_text(c, "{apiVersion: v1, kind: Service, metadata: "
					     "{name: np, namespace: d}, spec: {type: "
					     "NodePort, clusterIP: 10.96.0.1, ports: "
					     "[{name: p0, port: 80, nodePort: 30080}]}}"),
			 1);
	put_slice(c, "np", 1, 1000);
	assert_int_equal(plan_all(c, st, &lines), 1);
	assert_int_equal(lines.n, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_service_over_the_limit_is_one_line_and_the_others_are_served),
		cmocka_unit_test(a_pool_larger_than_the_slot_numbers_is_refused),
		cmocka_unit_test(slices_with_many_other_ports_are_refused),
		cmocka_unit_test(a_service_that_shrinks_below_the_limit_is_served_again),
		cmocka_unit_test(refusing_ten_million_elements_takes_little_memory),
		cmocka_unit_test(
			a_node_port_counts_once_whatever_the_number_of_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
