/*
 * Events in the words of kube-proxy.
 */
#include "tests/test.h"

#include <errno.h>
#include <ev.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/config/config.h"
#include "proxy/engine/source.h"
#include "proxy/run/node_events.h"
#include "tests/unit/capture.h"
#include "tests/unit/kube_run.h"
#include "watchers/cluster.h"
#include "watchers/kube/events.h"
#include "watchers/kube/kube.h"

struct tape { /* a source that notes what it is given to record */
	struct object_source source;
	char text[512];
};

static void note(struct object_source *source, const struct event_spec *spec)
{
	struct tape *tape = container_of(source, struct tape, source);

	(void)snprintf(tape->text, sizeof(tape->text), "%s %s %s %s %s/%s uid=%s: %s",
		       spec->type, spec->reason, spec->action, spec->kind, spec->ns,
		       spec->name, spec->uid, spec->note);
}

static const struct source_ops tape_ops = {.name = "tape", .record = note};

static void events_have_kube_proxys_reasons_and_actions(void **state)
{
	struct tape tape = {.source.ops = &tape_ops};
	const struct node_events events = {&tape.source, "node-0"};

	(void)state;
	node_events_started(&events);
	assert_string_equal(tape.text,
			    "Normal Starting StartKubeProxy Node /node-0 uid=node-0: ");
	node_events_server_failed(&events, "health", "0.0.0.0:10256", -EADDRINUSE);
	assert_string_equal(
		tape.text,
		"Warning FailedToStartProxierHealthcheck StartKubeProxy Node /node-0 "
		"uid=node-0: failed to start health server on 0.0.0.0:10256: Address "
		"already in use");
	node_events_server_failed(&events, "metrics", "127.0.0.1:10249", -EADDRINUSE);
	assert_string_equal(
		tape.text,
		"Warning FailedToStartMetricServer StartKubeProxy Node /node-0 "
		"uid=node-0: failed to start metrics server on 127.0.0.1:10249: Address "
		"already in use");
	node_events_health_port_failed(&events, "ns", "web", 30999, -EADDRINUSE);
	assert_string_equal(
		tape.text,
		"Warning FailedToStartServiceHealthcheck Listen Service ns/web uid=: "
		"node "
		"node-0 failed to start healthcheck \"ns/web\" on port 30999: Address "
		"already in use");
}

/* /metrics labels calls as client-go does: host and port, without scheme and path. */
static void the_api_server_is_labelled_by_host_and_port(void **state)
{
	static const char *const urls[][2] = {
		{"https://10.9.9.9:6443", "10.9.9.9:6443"},
		{"https://[fd00::1]:6443/prefix", "[fd00::1]:6443"},
		{"http://api.test", "api.test"},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(urls); i++) {
		struct cluster *cluster = cluster_new("node-0");
		struct object_source *source = NULL;
		struct config config = {.master = (char *)(uintptr_t)urls[i][0]};

		assert_int_equal(source_kube_new(&config, "node-0", cluster, NULL,
						 &source),
				 0);
		assert_string_equal(source->ops->api(source).host, urls[i][1]);
		source_close(source);
		cluster_free(cluster);
	}
}

static const struct event_spec starting = {
	.type = "Normal",
	.reason = "Starting",
	.action = "StartKubeProxy",
	.note = "",
	.kind = "Node",
	.ns = "",
	.name = "node-0",
	.uid = "node-0",
};

static const char *text_at(const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));

	return text ? text : "(none)";
}

static void a_nodes_event_is_in_the_namespace_default(void **state)
{
	_cleanup_(freep) char *body =
		event_body(&starting, "node-0.1f", "node-0", 1700000000000123);
	json_t *json = json_loads(body, 0, NULL);
	const json_t *regarding = json_object_get(json, "regarding");

	(void)state;
	assert_string_equal(text_at(json, "eventTime"), "2023-11-14T22:13:20.000123Z");
	assert_string_equal(text_at(json, "reportingController"), "kube-proxy");
	assert_string_equal(text_at(json, "reportingInstance"), "kube-proxy-node-0");
	assert_string_equal(text_at(json_object_get(json, "metadata"), "namespace"),
			    "default");
	assert_string_equal(text_at(regarding, "namespace"), "");
	assert_string_equal(text_at(regarding, "uid"), "node-0");
	json_decref(json);
}

#define ANSWER(status)                                                                   \
	"HTTP/1.1 " status "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

static bool has_posted_twice(const struct run *r)
{
	return fake_server_n_requests(r->server, "POST /apis/events.k8s.io/v1/"
						 "namespaces/default/events ") >= 2;
}

/* The servers of ours start before there is a connection; and one refusal ends nothing. */
static void events_recorded_before_the_start_are_sent_after_it(void **state)
{
	const struct fake_answer answers[] = {
		{.request = "POST", .bytes = ANSWER("403 Forbidden"), .times = 1},
		{.request = "POST", .bytes = ANSWER("201 Created")},
		QUIET("/services"),
		OTHERS,
	};
	struct event_spec other = starting;
	struct run r = {0};

	(void)state;
	other.reason = "FailedToStartMetricServer";
	r.events = events_new("node-0");
	events_record(r.events, &other);
	run_open(&r, answers, N_ELEMENTS(answers));
	events_start(r.events, kube_http(r.kube));
	assert_true(wait_for(&r, has_posted_twice, SEC));
	events_free(r.events);
	run_close(&r);
}

static void events_beyond_the_limit_are_dropped_with_one_log_line(void **state)
{
	struct events *e = events_new("node-0");
	struct event_spec spec = starting;
	const char *log, *line;

	(void)state;
	capture_start();
	for (int i = 0; i < EVENTS_MAX_WAITING + 10; i++) {
		_cleanup_(freep) char *name = xasprintf("node-%d", i);

		spec.name = name;
		events_record(e, &spec);
		events_record(e, &spec); /* the same again takes no place */
	}
	events_free(e);
	log = capture_end();
	line = strstr(log, "too many events are waiting");
	assert_non_null(line);
	assert_null(strstr(line + 1, "too many events are waiting"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_have_kube_proxys_reasons_and_actions),
		cmocka_unit_test(the_api_server_is_labelled_by_host_and_port),
		cmocka_unit_test(a_nodes_event_is_in_the_namespace_default),
		cmocka_unit_test(events_recorded_before_the_start_are_sent_after_it),
		cmocka_unit_test(events_beyond_the_limit_are_dropped_with_one_log_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
