/*
 * The three forms of a plan: JSON and YAML say the same, text is for people.
 */
#include "tests/test.h"

#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/state.h"
#include "tests/unit/cluster_text.h"
#include "watchers/decode/document.h"
#include "watchers/plan/options_print.h"
#include "watchers/plan/plan.h"
#include "watchers/plan/plan_print.h"
#include "watchers/plan/yaml_print.h"

DEFINE_CLEANUP(struct state *, state_free);

static const char objects[] =
	"{apiVersion: v1, kind: Service, metadata: {name: web, namespace: default,"
	" creationTimestamp: \"2024-01-01T00:00:00Z\"}, spec: {type: LoadBalancer,"
	" clusterIP: 10.96.0.1, externalTrafficPolicy: Local, healthCheckNodePort: 31000,"
	" sessionAffinity: ClientIP, loadBalancerSourceRanges: [203.0.113.0/24],"
	" ports: [{name: http, port: 80, nodePort: 30080}]},"
	" status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}}\n"
	"---\n"
	"{apiVersion: v1, kind: Service, metadata: {name: api, namespace: default},"
	" spec: {clusterIP: \"fd00::1\", ports: [{port: 53, protocol: UDP}]}}\n"
	"---\n"
	"{apiVersion: v1, kind: Service, metadata: {name: late, namespace: default,"
	" creationTimestamp: \"2024-02-01T00:00:00Z\"}, spec: {clusterIP: 10.96.0.2,"
	" externalIPs: [1.2.3.4], ports: [{name: http, port: 80}]}}\n";

static const struct rejection rejected[] = {
	{"a.yaml, document 2", "Service", "default", "bad", "spec.ports[0]",
	 "is \"odd\""},
	{"", "Node", "", "yes", "", "why: not"},
};

static void print(const char *format, struct buf *out)
{
	_cleanup_(cluster_freep) struct cluster *cluster = cluster_new("here");
	_cleanup_(state_freep) struct state *st = state_new();
	const struct plan_options options = {
		.node_name = "here",
		.has_detector = {true, false},
		.allow_external_ips = true,
		.keep_nodeports = true,
	};
	const struct plan_print_input in = {
		.node_name = "here",
		.zone = "za",
		.state = st,
		.rejected = rejected,
		.n_rejected = N_ELEMENTS(rejected),
	};

	(void)cluster_put_text(cluster, objects);
	(void)cluster_put_slice(cluster, "web-a", "web", "10.0.0.1@here 10.0.0.2@there");
	(void)plan_dirty(cluster, &options, st, SIZE_MAX);
	assert_int_equal(plan_print(&in, format, out), 0);
}

static void the_plan_is_printed_as_text(void **state)
{
	static const char want[] =
		"node here, zone za\n"
		"\n"
		"default/api UDP IPv6\n"
		"  ClusterIP [fd00::1]:53\n"
		"    anyone          reject\n"
		"\n"
		"default/late:http TCP IPv4\n"
		"  ClusterIP 10.96.0.2:80\n"
		"    anyone          reject\n"
		"\n"
		"default/web:http TCP IPv4, affinity 10800 s, health check on 31000 with"
		" 1 ready here\n"
		"  ClusterIP 10.96.0.1:80\n"
		"    pod             balance 10.0.0.1:80 10.0.0.2:80\n"
		"    node, external  balance, masquerade 10.0.0.1:80 10.0.0.2:80\n"
		"  LoadBalancer 1.2.3.4:80 only from 203.0.113.0/24\n"
		"    pod             balance 10.0.0.1:80 10.0.0.2:80\n"
		"    node            balance, masquerade 10.0.0.1:80 10.0.0.2:80\n"
		"    external        balance 10.0.0.1:80\n"
		"  NodePort *:30080\n"
		"    pod             balance 10.0.0.1:80 10.0.0.2:80\n"
		"    node            balance, masquerade 10.0.0.1:80 10.0.0.2:80\n"
		"    external        balance 10.0.0.1:80\n"
		"\n"
		"claimed twice:\n"
		"  ExternalIP 1.2.3.4:80 TCP: default/web:http has it, default/late:http"
		" waits\n"
		"\n"
		"ignored:\n"
		"  a.yaml, document 2: Service default/bad: spec.ports[0]: is \"odd\"\n"
		"  Node yes: why: not\n";
	struct buf text = BUF_INIT;

	(void)state;
	print("text", &text);
	assert_string_equal(buf_string(&text), want);
	buf_fini(&text);
}

struct kept {
	json_t *json;
	unsigned n;
};

static void keep_document(void *data, const struct document *doc)
{
	struct kept *d = data;

	d->n = doc->number;
	d->json = json_incref(doc->json);
}

static json_t *read_yaml(const struct buf *text)
{
	_cleanup_(freep) char *error = NULL;
	struct kept d = {0};

	if (document_parse(text->data, text->len, keep_document, &d, &error) < 0)
		fail_msg("%s in\n%s", error, buf_string(text));
	assert_int_equal(d.n, 1);
	return d.json;
}

static void yaml_output_equals_json_output(void **state)
{
	struct buf json = BUF_INIT, yaml = BUF_INIT;
	json_t *a, *b;

	(void)state;
	print("json", &json);
	print("yaml", &yaml);
	a = json_loadb(json.data, json.len, 0, NULL);
	b = read_yaml(&yaml);
	assert_true(json_is_object(a));
	assert_int_equal(json_array_size(json_object_get(a, "conflicts")), 1);
	assert_int_equal(json_array_size(json_object_get(a, "rejected")), 2);
	assert_true(json_equal(a, b));
	json_decref(a);
	json_decref(b);
	buf_fini(&json);
	buf_fini(&yaml);
}

static void unusual_values_are_quoted_in_yaml(void **state)
{
	static const char *const texts[] = {
		"{\"a\": \"\", \"b\": \"yes\", \"c\": \"No\", \"d\": \"1\", \"e\": "
		"\"1e3\"}",
		"{\"a\": \"x: y\", \"b\": \"# c\", \"c\": \"*\", \"d\": \"- e\", \"e\": "
		"\"~\"}",
		"{\"a\": \"two\\nlines\", \"b\": \"\\\"quoted\\\"\", \"c\": \"\\u00e9\"}",
		"{\"a\": {}, \"b\": [], \"c\": [[1, 2], [], {}], \"d\": {\"e\": {\"f\": "
		"[{}]}}}",
		"{\"a\": [{\"b\": 1, \"c\": [2, {\"d\": null}]}, true, -3, 2.5]}",
		"[[[\"deep\"]], {\"k\": \"v\", \"l\": [\"m\"]}]",
		"{\"null\": 1, \"true\": 2, \"10.0.0.1\": \"10.0.0.1\", \"a b\": \"c "
		"d\"}",
		"{\"t\": \"2024-01-01\", \"h\": \"0x1f\", \"o\": \"017\", \"s\": "
		"\"1:30\"}",
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		struct buf yaml = BUF_INIT;
		json_t *want = json_loads(texts[i], 0, NULL), *got;

		assert_non_null(want);
		yaml_print(want, &yaml);
		got = read_yaml(&yaml);
		if (!json_equal(want, got))
			fail_msg("%s became\n%s", texts[i], buf_string(&yaml));
		json_decref(want);
		json_decref(got);
		buf_fini(&yaml);
	}
}

static void an_unknown_output_form_is_refused(void **state)
{
	struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(plan_print(&(struct plan_print_input){0}, "xml", &out), -EINVAL);
	assert_int_equal(out.len, 0);
	buf_fini(&out);
}

static void options_that_are_set_are_printed(void **state)
{
	static const char want_text[] = ", removed endpoints drain, drain 1500 ms, "
					"health check http, hold 20 ms, "
					"path /ready";
	static const char want_json[] =
		"{\"onEndpointRemoved\":\"drain\",\"drainMilliseconds\":1500,"
		"\"healthCheck\":\"http\",\"holdMilliseconds\":20,"
		"\"healthPath\":\"/ready\"}";
	struct service_spec spec = {
		.ns = "n",
		.name = "a",
		.port_name = "",
		.proto = IPPROTO_TCP,
		.options = {.on_endpoint_removed = ENDPOINT_REMOVAL_DRAIN,
			    .health_check = HEALTH_CHECK_HTTP},
		.times = {.drain_ms = 1500, .hold_ms = 20},
		.health_path = "/ready",
	};
	struct service *s = service_new(&spec);
	struct buf text = BUF_INIT;
	json_t *json = options_print_json(s);
	_cleanup_(freep) char *got = json_dumps(json, JSON_COMPACT);

	(void)state;
	options_print_text(s, &text);
	assert_string_equal(buf_string(&text), want_text);
	assert_string_equal(got, want_json);
	json_decref(json);
	buf_fini(&text);
	service_unref(s);

	s = service_new(&(struct service_spec){
		.ns = "n", .name = "a", .port_name = "", .proto = IPPROTO_TCP});
	options_print_text(s, &text);
	assert_string_equal(buf_string(&text), "");
	assert_null(options_print_json(s));
	buf_fini(&text);
	service_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_that_are_set_are_printed),
		cmocka_unit_test(the_plan_is_printed_as_text),
		cmocka_unit_test(yaml_output_equals_json_output),
		cmocka_unit_test(unusual_values_are_quoted_in_yaml),
		cmocka_unit_test(an_unknown_output_form_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
