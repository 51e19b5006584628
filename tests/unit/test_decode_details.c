/*
 * Decoding: options of a Service from its annotations, and advice about manifests.
 */
#include "tests/test.h"

#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/unit/object_text.h"
#include "watchers/decode/decode.h"

static const struct {
	const char *annotations;
	struct object_options options; /* without a path */
	const char *path, *rejected;
} option_cases[] = {
	{"", {0}, "", ""},
	{"other.io/hold: x", {0}, "", ""},
	{"sluice.io/on-endpoint-removed: keep", {0}, "", ""},
	{"sluice.io/on-endpoint-removed: reset",
	 {.service = {.on_endpoint_removed = ENDPOINT_REMOVAL_RESET}},
	 "",
	 ""},
	{"sluice.io/on-endpoint-removed: drain=1m30s",
	 {.service = {.on_endpoint_removed = ENDPOINT_REMOVAL_DRAIN},
	  .times = {.drain_ms = 90000}},
	 "",
	 ""},
	{"sluice.io/on-endpoint-removed: drain",
	 {0},
	 "",
	 "\"drain\" is not keep, reset or drain=DURATION"},
	{"sluice.io/proxy-protocol: v2, sluice.io/hold: 500ms, sluice.io/set-aside: 1h",
	 {.service = {.proxy_protocol = 2},
	  .times = {.hold_ms = 500, .set_aside_ms = 3600000}},
	 "",
	 ""},
	{"sluice.io/proxy-protocol: v3", {0}, "", "\"v3\" is not v1 or v2"},
	{"sluice.io/connect-timeout: 24h",
	 {.times = {.connect_timeout_ms = 86400000}},
	 "",
	 ""},
	{"sluice.io/connect-timeout: 24h1ms", {0}, "", "is not a duration up to 24h"},
	{"sluice.io/connect-timeout: 99999999999999999999h", {0}, "", "not a duration"},
	{"sluice.io/connect-timeout: 0s", {0}, "", "is not a duration"},
	{"sluice.io/connect-timeout: '5'", {0}, "", "\"5\" is not a duration"},
	{"sluice.io/connect-timeout: 1.5s", {0}, "", "is not a duration"},
	{"sluice.io/connect-timeout: ''", {0}, "", "is not a duration"},
	{"sluice.io/health-check: tcp, sluice.io/health-check-rise: '2', "
	 "sluice.io/health-check-fall: '255', sluice.io/health-check-interval: 5s",
	 {.service = {.health_check = HEALTH_CHECK_TCP,
		      .health_rise = 2,
		      .health_fall = 255},
	  .times = {.health_interval_ms = 5000}},
	 "",
	 ""},
	{"sluice.io/health-check: 'http:/live?x=1'",
	 {.service = {.health_check = HEALTH_CHECK_HTTP}},
	 "/live?x=1",
	 ""},
	{"sluice.io/health-check: 'http:live'", {0}, "", "is not tcp or http:/PATH"},
	{"sluice.io/health-check: \"http:/a\\r\\nX: y\"",
	 {0},
	 "",
	 "is not tcp or http:/"},
	{"sluice.io/health-check-rise: '256'", {0}, "", "is not a number from 1 to 255"},
	{"sluice.io/health-check-rise: 2",
	 {0},
	 "",
	 "metadata.annotations[\"sluice.io/health-check-rise\"]: must be a string"},
	{"sluice.io/health-check-fall: '0'", {0}, "", "is not a number from 1 to 255"},
	{"sluice.io/health-check-interval: 99ms",
	 {0},
	 "",
	 "Service default/web: "
	 "metadata.annotations[\"sluice.io/health-check-interval\"]: \"99ms\" is not a "
	 "duration from 100ms to 1h"},
	{"sluice.io/health-check-interval: 61m", {0}, "", "from 100ms to 1h"},
	{"sluice.io/health-check-timeout: 9ms", {0}, "", "from 10ms to 1h"},
	{"sluice.io/health-check-timeout: 2s",
	 {.times = {.health_timeout_ms = 2000}},
	 "",
	 ""},
	{"sluice.io/health-check-timeout: 2001ms",
	 {0},
	 "",
	 "is longer than the interval of checks"},
	{"sluice.io/health-check-interval: 1s, sluice.io/health-check-timeout: 1100ms",
	 {.times = {.health_interval_ms = 1000}},
	 "",
	 "metadata.annotations[\"sluice.io/health-check-timeout\"]: is longer than"},
	{"sluice.io/conect-timeout: 5s",
	 {0},
	 "",
	 "is not an option; sluice.io/connect-timeout is"},
	{"sluice.io/whatever-else: 5s", {0}, "", "is not an option of this version"},
};

static void options_of_a_service_come_from_annotations(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(option_cases); i++) {
		_cleanup_(freep) char *text = xasprintf(
			"---\n{apiVersion: v1, kind: Service, metadata: {name: web, "
			"annotations: {%s}}, spec: {clusterIP: 10.96.0.1}}",
			option_cases[i].annotations);
		struct buf objects = BUF_INIT, rejected = BUF_INIT;
		struct object *o = object_text_first(text);
		const struct object_options *options =
			object_service_options(object_as_service(o));

		object_text_decode(text, &objects, &rejected);
		if (memcmp(&options->service, &option_cases[i].options.service,
			   sizeof(options->service)) != 0 ||
		    memcmp(&options->times, &option_cases[i].options.times,
			   sizeof(options->times)) != 0)
			fail_msg("%s", option_cases[i].annotations);
		assert_string_equal(options->health_path, option_cases[i].path);
		if (!strstr(buf_string(&rejected), option_cases[i].rejected) ||
		    (rejected.len > 0) != (*option_cases[i].rejected != '\0'))
			fail_msg("%s: %s", option_cases[i].annotations,
				 buf_string(&rejected));
		object_unref(o);
		buf_fini(&objects);
		buf_fini(&rejected);
	}
}

/* Which ports may be checked, and what of the option remains. */
static const struct {
	const char *ports, *path, *rejected;
} check_cases[] = {
	{"{port: 80}", "/live", ""},
	{"{port: 53, protocol: UDP}", "",
	 "Service default/web: metadata.annotations[\"sluice.io/health-check\"]: only "
	 "TCP "
	 "ports can be checked, and there is none\n"},
	{"{port: 80, protocol: SCTP}", "",
	 "Service default/web: metadata.annotations[\"sluice.io/health-check\"]: only "
	 "TCP "
	 "ports can be checked, and there is none\n"},
	{"{port: 53, name: a, protocol: UDP}, {port: 53, name: b}", "/live", ""},
};

static void only_tcp_ports_can_be_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(check_cases); i++) {
		_cleanup_(freep) char *text = xasprintf(
			"---\n{apiVersion: v1, kind: Service, metadata: {name: web, "
			"annotations: {sluice.io/health-check: 'http:/live'}}, spec: "
			"{clusterIP: 10.96.0.1, ports: [%s]}}",
			check_cases[i].ports);
		struct buf objects = BUF_INIT, rejected = BUF_INIT;
		struct object *o = object_text_first(text);
		const struct object_options *options =
			object_service_options(object_as_service(o));

		object_text_decode(text, &objects, &rejected);
		assert_string_equal(buf_string(&rejected), check_cases[i].rejected);
		assert_string_equal(options->health_path, check_cases[i].path);
		assert_int_equal(options->service.health_check,
				 *check_cases[i].path ? HEALTH_CHECK_HTTP
						      : HEALTH_CHECK_NONE);
		object_unref(o);
		buf_fini(&objects);
		buf_fini(&rejected);
	}
}

#define PORTS "ports: [{port: 80}]"
#define SERVICE_OF(spec)                                                                 \
	"---\n{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {" spec "}}"

/* Objects that an API server would refuse, complete, or shorten. */
static const struct {
	const char *text, *objects, *rejected;
} manifest_cases[] = {
	{SERVICE_OF("clusterIP: 10.96.0.1, " PORTS),
	 "Service default/web ClusterIP IPv4=10.96.0.1 port=/80/TCP/0\n", ""},
	{SERVICE_OF("clusterIP: None"), "Service default/web ClusterIP headless\n", ""},
	{SERVICE_OF(PORTS), "Service default/web ClusterIP headless port=/80/TCP/0\n",
	 "Service default/web: spec.clusterIP: is missing, and without an API server "
	 "nothing allocates one: this Service is not served (None makes a headless "
	 "Service)\n"},
	{SERVICE_OF("type: ExternalName, externalName: a.b"),
	 "Service default/web ExternalName headless\n", ""},
	{SERVICE_OF("type: NodePort, ports: [{port: 80, nodePort: 30080}]"),
	 "Service default/web NodePort IPv4=0.0.0.0 port=/80/TCP/30080\n",
	 "Service default/web: spec.clusterIP: is missing, and without an API server "
	 "nothing allocates one: only the other addresses and node ports are served "
	 "(None "
	 "makes a headless Service)\n"},
	{SERVICE_OF("clusterIP: 10.96.0.1"),
	 "Service default/web ClusterIP IPv4=10.96.0.1\n",
	 "Service default/web: spec.ports: is empty, so this Service is not served\n"},
	{SERVICE_OF("clusterIp: 10.96.0.1, clusterIP: 10.96.0.1, newField: 1, " PORTS),
	 "Service default/web ClusterIP IPv4=10.96.0.1 port=/80/TCP/0\n",
	 "Service default/web: spec.clusterIp: is not a field; clusterIP is\n"},
	{SERVICE_OF("clusterIP: 10.96.0.1, ports: [{port: 80, nodeport: 1}]"),
	 "Service default/web ClusterIP IPv4=10.96.0.1 port=/80/TCP/0\n",
	 "Service default/web: spec.ports[0].nodeport: is not a field; nodePort is\n"},
	{"---\n{apiVersion: v1, kind: service, metadata: {name: a}}", "",
	 " : kind service of v1 is not read; Service of v1 is\n"},
	{"---\n{apiVersion: v1, kind: Endpoint, metadata: {name: a}}", "",
	 " : kind Endpoint of v1 is not read; Endpoints of v1 is\n"},
	{"---\n{apiVersion: discovery.k8s.io/v1beta1, kind: EndpointSlice}", "",
	 " : kind EndpointSlice of discovery.k8s.io/v1beta1 is not read; EndpointSlice "
	 "of "
	 "discovery.k8s.io/v1 is\n"},
	{"---\n{apiVersion: serving.knative.dev/v1, kind: Service}", "", ""},
	{"---\n{apiVersion: v1, kind: ServiceAccount}", "", ""},
	{"---\n{apiVersion: v1, kind: Secret}", "", ""},
	{"---\n{apiVersion: v1, kind: Pod}", "", ""},
	{"---\n{apiVersion: apps/v1, kind: Deployment}", "", ""},
	{"---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: "
	 "a}, "
	 "addressType: FQDN}",
	 "",
	 "EndpointSlice default/a: addressType: FQDN is not supported: endpoints need "
	 "addresses, of type IPv4 or IPv6\n"},
};

static void manifests_get_advice_that_an_api_server_would_give(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(manifest_cases); i++) {
		struct buf objects = BUF_INIT, rejected = BUF_INIT;

		object_text_decode_manifest(manifest_cases[i].text, &objects, &rejected);
		if (strcmp(buf_string(&objects), manifest_cases[i].objects) != 0)
			print_error("%s\n", manifest_cases[i].text);
		assert_string_equal(buf_string(&objects), manifest_cases[i].objects);
		assert_string_equal(buf_string(&rejected), manifest_cases[i].rejected);
		buf_fini(&objects);
		buf_fini(&rejected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_of_a_service_come_from_annotations),
		cmocka_unit_test(only_tcp_ports_can_be_checked),
		cmocka_unit_test(manifests_get_advice_that_an_api_server_would_give),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
