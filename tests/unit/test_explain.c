/*
 * The output of explain about addresses that are not a frontend, and about obstacles
 * for those that are.
 */
#include "tests/test.h"

#include <netinet/in.h> /* before the kernel's */

#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/config/config.h"
#include "proxy/control/inspect.h"
#include "proxy/engine/dataplane.h"
#include "proxy/host/node_info.h"
#include "tests/unit/cluster_text.h"
#include "tests/unit/inspect_world.h"
#include "watchers/cluster.h"
#include "watchers/plan/plan.h"

static const char objects[] = "apiVersion: v1\n"
			      "kind: Service\n"
			      "metadata: {name: web, namespace: demo}\n"
			      "spec:\n"
			      "  type: LoadBalancer\n"
			      "  externalTrafficPolicy: Local\n"
			      "  healthCheckNodePort: 30999\n"
			      "  clusterIP: 10.96.0.10\n"
			      "  externalIPs: [198.51.100.5]\n"
			      "  ports: [{name: http, port: 80, nodePort: 30080}]\n"
			      "status: {loadBalancer: {ingress: [{ip: 203.0.113.5}]}}\n"
			      "---\n"
			      "apiVersion: discovery.k8s.io/v1\n"
			      "kind: EndpointSlice\n"
			      "metadata: {name: web, namespace: demo,\n"
			      "  labels: {kubernetes.io/service-name: web}}\n"
			      "addressType: IPv4\n"
			      "endpoints: [{addresses: [10.244.1.1], nodeName: node-0}]\n"
			      "ports: [{name: http, port: 8080}]\n";

static int set_up(void **state)
{
	struct inspect_world *w = xcalloc(1, sizeof(*w));

	inspect_world_open(w, objects);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	inspect_world_close(*state);
	free(*state);
	return 0;
}

static json_t *explain(struct inspect_world *w, const char *frontend)
{
	struct control_request request = {.verb = CONTROL_EXPLAIN};

	(void)snprintf(request.frontend, sizeof(request.frontend), "%s", frontend);
	return inspect_world_ask(w, &request);
}

static const struct {
	const char *frontend, *action, *why;
} unmatched[] = {
	{"10.96.0.10:81", "reject",
	 "it is the cluster IP of demo/web:http, but not a port of it"},
	{"203.0.113.5:81", "untouched",
	 "it is an address of demo/web:http (LoadBalancer), but not a port of it; "
	 "packets "
	 "from other hosts are refused where they would leave by the interface that they "
	 "came in by"},
	{"198.51.100.5:81", "untouched",
	 "it is an address of demo/web:http (ExternalIP), but not a port of it; packets "
	 "from other hosts are refused where they would leave by the interface that they "
	 "came in by"},
	{"10.1.0.1:30999", "untouched",
	 "it is the health check node port of demo/web: 200, 1 endpoint on this node"},
	{"10.1.0.2:30999", "untouched", "it is not an address of a Service"},
	{"10.244.1.1:8080", "untouched",
	 "it is an endpoint of demo/web:http; packets go there directly and are not "
	 "balanced"},
	{"10.244.1.1:8081", "untouched", "it is not an address of a Service"},
};

static void explain_has_a_reason_for_each_address_that_is_not_a_frontend(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(unmatched); i++) {
		json_t *result = explain(*state, unmatched[i].frontend);

		assert_string_equal(json_string_value(json_object_get(result, "why")),
				    unmatched[i].why);
		assert_string_equal(json_string_value(json_object_get(result, "action")),
				    unmatched[i].action);
		json_decref(result);
	}
}

/* matches: the ports of those that are explained; "": why says the reason. */
static const struct {
	const char *text, *matches, *why;
} wide[] = {
	{"demo/web", "80 ", NULL},
	{"demo/web:http", "80 ", NULL},
	{"demo/web:80", "80 ", NULL},
	{"demo/web:81", "", "Service demo/web has no port 81"},
	{"demo/nope", "", "there is no Service demo/nope"},
	{"web.demo.svc", "80 ", NULL},
	{"web.demo.svc.cluster.local:80", "80 ", NULL},
	{":30080", "30080 ", NULL},
	{":30080/TCP", "30080 ", NULL},
	{":30080/UDP", "", "no Service has node port 30080 here"},
	{":30081", "", "no Service has node port 30081 here"},
	{"10.96.0.10", "80 ", NULL},
	{"203.0.113.5", "80 ", NULL},
	{"10.244.1.1", "",
	 "it is an endpoint of demo/web:http; connections to it are direct, not "
	 "balanced"},
	{"[fd00::1]", "", "it is not an address of a Service or of an endpoint"},
};

static void explain_takes_a_service_a_node_port_or_an_address_alone(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(wide); i++) {
		json_t *result = explain(*state, wide[i].text);
		const json_t *matches = json_object_get(result, "matches"), *match;
		const char *why = json_string_value(json_object_get(result, "why"));
		_cleanup_(buf_fini) struct buf ports = BUF_INIT;
		size_t m;

		json_array_foreach(matches, m, match)
		{
			assert_non_null(json_object_get(match, "sources"));
			buf_printf(&ports, "%lld ",
				   json_integer_value(json_object_get(match, "port")));
		}
		assert_string_equal(buf_string(&ports), wide[i].matches);
		assert_string_equal(why ? why : "", wide[i].why ? wide[i].why : "");
		json_decref(result);
	}
}

static void a_subject_of_another_form_is_refused(void **state)
{
	static const char *const texts[] = {"",
					    ":",
					    ":0",
					    ":65536",
					    ":80/ICMP",
					    "web",
					    "a/b/c",
					    "a/b:c/d",
					    "/web",
					    "demo/",
					    "web.svc",
					    "web.demo.svcs",
					    "10.0.0.1:80/ICMP"};
	struct inspect_world *w = *state;

	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		struct control_request request = {.verb = CONTROL_EXPLAIN};
		_cleanup_(freep) char *error = NULL;

		(void)snprintf(request.frontend, sizeof(request.frontend), "%s",
			       texts[i]);
		assert_null(inspect_answer(&w->in, &request, &error));
		assert_non_null(strstr(error, "is not ADDRESS:PORT"));
	}
}

static int list_chains(nf_chain_fn fn, void *data)
{
	const struct nf_chain forward = {
		.family = "ip",
		.table = "filter",
		.name = "FORWARD",
		.type = "filter",
		.hook = NF_INET_FORWARD,
		.is_drop = true,
	};

	fn(data, &forward);
	return 0;
}

static void explain_warns_of_a_chain_that_drops_by_default(void **state)
{
	struct inspect_world *w = *state;
	json_t *result, *warnings;
	bool is_there = false;

	w->in.list_chains = list_chains;
	result = explain(w, "203.0.113.5:80");
	warnings = json_object_get(result, "warnings");
	for (size_t i = 0; i < json_array_size(warnings); i++)
		is_there |= strstr(json_string_value(json_array_get(warnings, i)),
				   "chain FORWARD of table ip filter drops") != NULL;
	assert_true(is_there);
	json_decref(result);
}

/* The slice's port is called http. */
static void explain_says_which_port_the_slices_lack(void **state)
{
	static const struct {
		const char *port;
		bool has_second_slice;
		const char *warning;
	} rows[] = {
		{"{name: web, port: 80}", false,
		 "slice m-1 has 2 endpoints, but no TCP port called web; use the same "
		 "port "
		 "name and protocol in both"},
		{"{port: 80}", false,
		 "slice m-1 has 2 endpoints, but no TCP port without a name; use the "
		 "same port "
		 "name and protocol in both"},
		{"{name: web, port: 80}", true,
		 "its 2 slices have 4 endpoints, but no TCP port called web; use the "
		 "same port "
		 "name and protocol in both"},
		{"{name: http, port: 80}", false, NULL},
	};
	static const char slice[] =
		"---\n"
		"apiVersion: discovery.k8s.io/v1\n"
		"kind: EndpointSlice\n"
		"metadata: {name: %s, namespace: demo,\n"
		"  labels: {kubernetes.io/service-name: mine}}\n"
		"addressType: IPv4\n"
		"endpoints: [{addresses: [10.244.2.1]}, {addresses: [10.244.2.2]}]\n"
		"ports: [{name: http, port: 8080}]\n";
	struct inspect_world *w = *state;

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct buf text = BUF_INIT;
		json_t *result, *warnings;
		const char *first;

		buf_printf(&text,
			   "apiVersion: v1\nkind: Service\n"
			   "metadata: {name: mine, namespace: demo}\n"
			   "spec: {clusterIP: 10.96.0.11, ports: [%s]}\n",
			   rows[i].port);
		buf_printf(&text, slice, "m-1");
		if (rows[i].has_second_slice)
			buf_printf(&text, slice, "m-2");
		else
			(void)cluster_del(w->cluster, OBJECT_SLICE, "demo", "m-2");
		(void)cluster_put_text(w->cluster, buf_string(&text));
		(void)plan_dirty(w->cluster, &w->info.options, w->state, SIZE_MAX);
		result = explain(w, "10.96.0.11:80");
		warnings = json_object_get(result, "warnings");
		first = json_string_value(json_array_get(warnings, 0));
		if (rows[i].warning)
			assert_string_equal(first, rows[i].warning);
		else /* others are about this machine */
			assert_true(!first || !strstr(first, "but no TCP port"));
		json_decref(result);
		buf_fini(&text);
	}
}

static bool toy_decides(const struct sink *sink, const struct sink_question *q,
			const char **ret_why)
{
	(void)sink;
	*ret_why = "it is too far away";
	return q->client != CLIENT_EXTERNAL;
}

static bool rest_decides(const struct sink *sink, const struct sink_question *q,
			 const char **ret_why)
{
	(void)sink;
	(void)q;
	*ret_why = NULL;
	return true;
}

static void expect_source(const json_t *source, const char *sink, const char *why)
{
	const json_t *because = json_object_get(source, "passedBecause");

	assert_string_equal(json_string_value(json_object_get(source, "decidedBy")),
			    sink);
	assert_false(!because != !why);
	if (why)
		assert_string_equal(json_string_value(because), why);
}

static void explain_names_the_sink_that_decides_where_there_are_several(void **state)
{
	static const struct sink_view toy_view = {.decides = toy_decides,
						  .keeps_source = true};
	static const struct sink_view rest_view = {.decides = rest_decides};
	static const struct sink_ops toy_ops = {.name = "toy", .view = &toy_view};
	static const struct sink_ops rest_ops = {.name = "rest", .view = &rest_view};
	struct sink toy = {.ops = &toy_ops}, rest = {.ops = &rest_ops};
	struct inspect_world *w = *state;
	const json_t *sources;
	json_t *json;

	dataplane_add(&w->dataplane, &toy);
	json = explain(w, "203.0.113.5:80");
	sources = json_object_get(json, "sources");
	assert_null(json_object_get(json_array_get(sources, 0), "decidedBy"));
	json_decref(json);

	dataplane_add(&w->dataplane, &rest);
	json = explain(w, "203.0.113.5:80");
	sources = json_object_get(json, "sources");
	assert_int_equal(json_array_size(sources), CLIENT_N);
	for (size_t i = 0; i < CLIENT_N; i++) {
		const json_t *source = json_array_get(sources, i);
		const char *from = json_string_value(json_object_get(source, "from"));

		if (strcmp(from, "external") == 0) {
			expect_source(source, "rest", "it is too far away");
			continue;
		}
		expect_source(source, "toy", NULL);
		assert_false(json_is_true(json_object_get(source, "masquerade")));
	}
	json_decref(json);
	w->dataplane.n_sinks = 0;
}

static const char *text_of(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text ? text : "";
}

static void a_node_port_at_several_addresses_is_one_row_and_found_at_each(void **state)
{
	const struct control_request get = {.verb = CONTROL_SERVICES};
	struct inspect_world *w = *state;
	struct addr hosts[3];
	size_t n_node_ports = 0;
	json_t *json, *row;
	size_t i;

	assert_int_equal(addr_parse("10.1.0.1", &hosts[0]), 0);
	assert_int_equal(addr_parse("10.1.0.2", &hosts[1]), 0);
	assert_int_equal(addr_parse("127.0.0.1", &hosts[2]), 0);
	node_info_set_hosts(&w->info, hosts, N_ELEMENTS(hosts));
	assert_true(node_info_update(&w->info, w->cluster) & NODE_INFO_PLAN);
	node_info_set_state(&w->info, w->state);
	cluster_mark_all(w->cluster);
	(void)plan_dirty(w->cluster, &w->info.options, w->state, SIZE_MAX);

	json = inspect_world_ask(w, &get);
	json_array_foreach(json, i, row)
	{
		if (strcmp(text_of(row, "type"), "NodePort") != 0)
			continue;
		assert_string_equal(text_of(row, "address"), "*");
		n_node_ports++;
	}
	assert_int_equal(n_node_ports, 1);
	json_decref(json);

	json = explain(w, "10.1.0.2:30080");
	assert_string_equal(text_of(json, "kind"), "NodePort");
	assert_string_equal(text_of(json, "address"), "10.1.0.2");
	json_decref(json);
	json = explain(w, "127.0.0.1:30080");
	assert_string_equal(text_of(json, "why"),
			    "it is a node port of demo/web:http, which doesn't answer on "
			    "this address (nodeport-addresses)");
	json_decref(json);
}

#define WITH_OBJECTS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_OBJECTS(
			explain_has_a_reason_for_each_address_that_is_not_a_frontend),
		WITH_OBJECTS(explain_takes_a_service_a_node_port_or_an_address_alone),
		WITH_OBJECTS(a_subject_of_another_form_is_refused),
		WITH_OBJECTS(explain_names_the_sink_that_decides_where_there_are_several),
		WITH_OBJECTS(explain_warns_of_a_chain_that_drops_by_default),
		WITH_OBJECTS(explain_says_which_port_the_slices_lack),
		WITH_OBJECTS(
			a_node_port_at_several_addresses_is_one_row_and_found_at_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
