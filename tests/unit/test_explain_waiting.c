/*
 * `explain` lists the services that wait for a frontend.
 */
#include "tests/test.h"

#include <jansson.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/state.h"
#include "proxy/control/inspect_parts.h"
#include "proxy/host/node_info.h"
#include "proxy/engine/dataplane.h"
#include "tests/unit/cluster_text.h"

DEFINE_CLEANUP(struct state *, state_free);

static void put(struct cluster *c, const char *name, int age, const char *ips)
{
	assert_int_equal(
		cluster_put_format(c,
				   "{apiVersion: v1, kind: Service, metadata: {name: %s, "
				   "namespace: d, creationTimestamp: "
				   "\"2024-01-0%dT00:00:00Z\"}, spec: {clusterIP: "
				   "10.96.0.%d, externalIPs: [%s], ports: [{port: 80}]}}",
				   name, age, age, ips),
		1);
}

static void waiting_services_are_listed_when_the_holder_waits_elsewhere(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("here");
	_cleanup_(state_freep) struct state *st = state_new();
	struct node_info node_info = {.options = {.allow_external_ips = true}};
	struct dataplane dataplane = {.mode = "none"};
	const struct inspect in = {.cluster = c,
				   .node_info = &node_info,
				   .state = st,
				   .dataplane = &dataplane};
	const struct control_request request = {.frontend = "192.0.2.2:80"};
	_cleanup_(freep) char *error = NULL;
	json_t *result, *waiting;

	(void)state;
	put(c, "first", 1, "192.0.2.1");
	put(c, "holder", 2, "192.0.2.1, 192.0.2.2"); /* waits for the first */
	put(c, "late", 3, "192.0.2.2");
	node_info.options.node_name = "here";
	(void)plan_dirty(c, &node_info.options, st, SIZE_MAX);

	result = inspect_explain(&in, &request, &error);
	waiting = json_object_get(result, "waiting");
	assert_string_equal(json_string_value(
				    json_object_get(json_object_get(result, "service"),
						    "name")),
			    "holder");
	assert_int_equal(json_array_size(waiting), 1);
	assert_string_equal(json_string_value(
				    json_object_get(json_array_get(waiting, 0), "name")),
			    "late");
	json_decref(result);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			waiting_services_are_listed_when_the_holder_waits_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
