/*
 * Decoded objects as values: when two are equal, how much room one takes and
 * how much it may have, and the times in them.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/unit/object_text.h"
#include "watchers/decode/decode.h"
#include "watchers/decode/timestamp.h"

DEFINE_CLEANUP(struct object *, object_unref);

#define EQUAL_BASE                                                                       \
	"spec: {clusterIP: 10.96.0.1, ports: [{port: 80, name: a}, {port: 81, name: "    \
	"b}], "                                                                          \
	"externalIPs: [1.2.3.4]}"

static void objects_are_equal_by_value(void **state)
{
	static const char *const others[] = {
		YAML_SERVICE("spec: {clusterIP: 10.96.0.2, ports: [{port: 80, name: a}, "
			     "{port: 81, name: b}], externalIPs: [1.2.3.4]}"),
		YAML_SERVICE("spec: {clusterIP: 10.96.0.1, ports: [{port: 80, name: a}, "
			     "{port: 82, name: b}], externalIPs: [1.2.3.4]}"),
		YAML_SERVICE("spec: {clusterIP: 10.96.0.1, ports: [{port: 80, name: a}, "
			     "{port: 81, name: c}], externalIPs: [1.2.3.4]}"),
		YAML_SERVICE("spec: {clusterIP: 10.96.0.1, ports: [{port: 80, name: a}], "
			     "externalIPs: [1.2.3.4]}"),
		YAML_SERVICE("spec: {clusterIP: 10.96.0.1, ports: [{port: 80, name: a}, "
			     "{port: 81, name: b}], externalIPs: [1.2.3.5]}"),
		YAML "{apiVersion: v1, kind: Node, metadata: {name: web}}",
	};
	_cleanup_(object_unrefp) struct object *a =
		object_text_first(YAML_SERVICE(EQUAL_BASE));
	_cleanup_(object_unrefp) struct object *b =
		object_text_first(YAML_SERVICE(EQUAL_BASE));

	(void)state;
	assert_true(object_equal(a, b));
	assert_int_equal(a->size_len, b->size_len);
	for (size_t i = 0; i < N_ELEMENTS(others); i++) {
		_cleanup_(object_unrefp) struct object *other =
			object_text_first(others[i]);

		assert_false(object_equal(a, other));
		assert_false(object_equal(other, a));
	}
}

static void hints_and_nodes_count_for_equality(void **state)
{
	static const char *const endpoints[] = {
		"{addresses: [10.0.0.1]}",
		"{addresses: [10.0.0.1], nodeName: a}",
		"{addresses: [10.0.0.1], nodeName: b}",
		"{addresses: [10.0.0.1], nodeName: a, hints: {forZones: [{name: a}]}}",
		"{addresses: [10.0.0.1], nodeName: a, hints: {forNodes: [{name: a}]}}",
		"{addresses: [10.0.0.1], hints: {forZones: [{name: a}, {name: b}]}}",
		"{addresses: [10.0.0.1], hints: {forZones: [{name: a}, {name: c}]}}",
		"{addresses: [10.0.0.1], conditions: {ready: false}}",
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(endpoints); i++) {
		for (size_t j = 0; j < N_ELEMENTS(endpoints); j++) {
			_cleanup_(freep) char *text_a =
				xasprintf(YAML_SLICE("", "endpoints: [%s]"),
					  endpoints[i]);
			_cleanup_(freep) char *text_b =
				xasprintf(YAML_SLICE("", "endpoints: [%s]"),
					  endpoints[j]);
			_cleanup_(object_unrefp) struct object *a =
				object_text_first(text_a);
			_cleanup_(object_unrefp) struct object *b =
				object_text_first(text_b);

			assert_int_equal(object_equal(a, b), i == j);
		}
	}
}

/* The memory for 30 000 Services depends on this. */
static void decoded_objects_are_small(void **state)
{
	_cleanup_(object_unrefp) struct object *service = object_text_first(
		"apiVersion: v1\nkind: Service\nmetadata: {name: service-00001, "
		"namespace: default, uid: 8c1f2c9e-5c1b-4a0e-9d1e-000000000001}\n"
		"spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}\n");
	_cleanup_(object_unrefp) struct object *slice = object_text_first(
		"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		"metadata: {name: service-00001-abcde, namespace: default, uid: "
		"8c1f2c9e-5c1b-4a0e-9d1e-000000000001, labels: "
		"{kubernetes.io/service-name: service-00001}}\n"
		"addressType: IPv4\nports: [{name: http, port: 80}]\nendpoints:\n"
		"- {addresses: [10.0.0.1], nodeName: worker-a, hints: {forZones: [{name: "
		"zone-a}]}}\n"
		"- {addresses: [10.0.0.2], nodeName: worker-b, hints: {forZones: [{name: "
		"zone-b}]}}\n"
		"- {addresses: [10.0.0.3], nodeName: worker-a, hints: {forZones: [{name: "
		"zone-a}]}}\n"
		"- {addresses: [10.0.0.4], nodeName: worker-b, hints: {forZones: [{name: "
		"zone-b}]}}\n"
		"- {addresses: [10.0.0.5], nodeName: worker-a, hints: {forZones: [{name: "
		"zone-a}]}}\n");

	(void)state;
	assert_true(service->size_len <= 210);
	assert_true(slice->size_len <= 440);
	/* equal names inside an object are one */
	assert_ptr_equal(object_as_slice(slice)->endpoints[0].node,
			 object_as_slice(slice)->endpoints[4].node);
	assert_ptr_equal(object_as_slice(slice)->hints[1].zones,
			 object_as_slice(slice)->hints[3].zones);
}

static const struct {
	const char *text;
	int64_t us; /* INT64_MIN: no time */
} times[] = {
	{"1970-01-01T00:00:00Z", 0},
	{"2026-08-01T10:20:30Z", 1785579630000000},
	{"2026-08-01t10:20:30z", 1785579630000000},
	{"2026-08-01T12:20:30+02:00", 1785579630000000},
	{"2026-08-01T05:50:30-04:30", 1785579630000000},
	{"2026-08-01T10:20:30.5Z", 1785579630500000},
	{"2026-08-01T10:20:30.123456789Z", 1785579630123456},
	{"2000-02-29T23:59:60Z", 951868800000000},
	{"1969-12-31T23:59:59Z", -1000000},
	{"", INT64_MIN},
	{"2026-08-01", INT64_MIN},
	{"2026-08-01T10:20:30", INT64_MIN},
	{"2026-08-01T10:20:30.Z", INT64_MIN},
	{"2026-08-01T10:20:30Zx", INT64_MIN},
	{"2026-13-01T10:20:30Z", INT64_MIN},
	{"2026-08-01T24:20:30Z", INT64_MIN},
	{"2026-08-01T10:20:30+2:00", INT64_MIN},
	{"-026-08-01T10:20:30Z", INT64_MIN},
};

static void times_are_read_to_the_microsecond(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(times); i++) {
		int64_t us = INT64_MIN;
		int rc = timestamp_parse(times[i].text, &us);

		if (us != times[i].us)
			print_error("%s\n", times[i].text);
		assert_true(us == times[i].us);
		assert_int_equal(rc != 0, times[i].us == INT64_MIN);
	}
}

static void nested_lists_have_a_limit(void **state)
{
	struct buf text = BUF_INIT, objects = BUF_INIT, rejected = BUF_INIT;

	(void)state;
	for (int i = 0; i < 12; i++)
		buf_add_string(&text,
			       "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[");
	for (int i = 0; i < 12; i++)
		buf_add_string(&text, "]}");
	object_text_decode(buf_string(&text), &objects, &rejected);
	assert_non_null(strstr(buf_string(&rejected), "nested too deeply"));
	buf_fini(&text);
	buf_fini(&objects);
	buf_fini(&rejected);
}

static void the_numbers_of_ports_addresses_and_endpoints_are_bounded(void **state)
{
	struct buf text = BUF_INIT, rejected = BUF_INIT, objects = BUF_INIT;

	(void)state;
	buf_add_string(&text, "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{"
			      "\"name\":\"web\"},\"spec\":{\"ports\":[");
	for (int i = 0; i < 1200; i++)
		buf_printf(&text, "%s{\"port\":%d,\"name\":\"p%d\"}", i ? "," : "", i + 1,
			   i);
	buf_add_string(&text, "]}}");
	object_text_decode(buf_string(&text), &objects, &rejected);
	assert_non_null(strstr(buf_string(&objects), "port=p999/1000/TCP/0\n"));
	assert_string_equal(buf_string(&rejected),
			    "Service default/web: spec.ports: has 1200 items, those "
			    "after the first 1000 are ignored\n");
	buf_fini(&text);
	buf_fini(&objects);
	buf_fini(&rejected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_equal_by_value),
		cmocka_unit_test(hints_and_nodes_count_for_equality),
		cmocka_unit_test(decoded_objects_are_small),
		cmocka_unit_test(times_are_read_to_the_microsecond),
		cmocka_unit_test(nested_lists_have_a_limit),
		cmocka_unit_test(
			the_numbers_of_ports_addresses_and_endpoints_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
