/*
 * The API client against a server that behaves badly.  What counts: the
 * cluster ends up as the server meant it, and what was known is not lost on
 * the way.
 */
#include "tests/test.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "tests/unit/fake_server.h"
#include "watchers/cluster.h"
#include "watchers/kube/events.h"
#include "watchers/kube/kube.h"

#define END                                                                              \
	"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"X\",\"metadata\":{"               \
	"\"resourceVersion\":\"50\","                                                    \
	"\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
#define MARK(version)                                                                    \
	"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"X\",\"metadata\":"                \
	"{\"resourceVersion\":\"" version "\"}}}\n"
#define SERVICE(name, ip)                                                                \
	"{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"namespace\":"       \
	"\"ns\","                                                                        \
	"\"name\":\"" name                                                               \
	"\",\"resourceVersion\":\"60\"},\"spec\":{\"clusterIP\":\"" ip "\","             \
	"\"clusterIPs\":[\"" ip "\"],\"ipFamilies\":[\"IPv4\"],"                         \
	"\"ports\":[{\"port\":80,\"protocol\":\"TCP\"}]}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define STATUS(code, reason)                                                             \
	"{\"kind\":\"Status\",\"code\":" #code ",\"reason\":\"" reason                   \
	"\",\"message\":\"as the test wants\"}"

/* Where nothing else is said, a kind is empty and its watch stays open. */
#define QUIET(path)                                                                      \
	{                                                                                \
		.request = path, .bytes = END, .is_body = true, .end = FAKE_STALL        \
	}
#define OTHERS QUIET("/endpointslices"), QUIET("/nodes"), QUIET("/servicecidrs")

struct run {
	struct ev_loop *loop;
	struct fake_server *server;
	struct cluster *cluster;
	struct kube *kube;
	struct events *told; /* of being synced, when there */
	bool has_synced;
	unsigned n_changes;
};

static void on_synced(void *data)
{
	struct run *r = data;

	r->has_synced = true;
	if (r->told)
		events_record(r->told, &(struct event_spec){.type = "Normal",
							    .reason = "Starting",
							    .action = "StartKubeProxy",
							    .note = "",
							    .kind = "Node",
							    .ns = "",
							    .name = "node-0",
							    .uid = "node-0"});
}

static void on_changed(void *data)
{
	((struct run *)data)->n_changes++;
}

static void run_open(struct run *r, const struct fake_answer *answers, size_t n)
{
	const struct kube_events events = {on_synced, on_changed, NULL, r};
	_cleanup_(freep) char *error = NULL;

	*r = (struct run){.loop = ev_loop_new(0)};
	r->server = fake_server_new(r->loop, answers, n);
	r->cluster = cluster_new("node-0");
	assert_int_equal(kube_new(&(struct kube_params){.master = fake_server_url(
								r->server),
							.node_name = "node-0",
							.user_agent = "test",
							.cluster = r->cluster},
				  &r->kube, &error),
			 0);
	kube_start(r->kube, r->loop, &events);
}

static void run_close(struct run *r)
{
	kube_free(r->kube);
	fake_server_free(r->server);
	cluster_free(r->cluster);
	ev_loop_destroy(r->loop);
}

static void on_timeout(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	*(bool *)w->data = true;
}

/* Runs the loop until holds() or the time is over; answers which. */
static bool wait_for(struct run *r, bool (*holds)(const struct run *r), double max_sec)
{
	bool is_over = false;
	struct ev_timer timer;

	ev_timer_init(&timer, on_timeout, max_sec, 0);
	timer.data = &is_over;
	ev_timer_start(r->loop, &timer);
	while (!is_over && !holds(r))
		ev_run(r->loop, EVRUN_ONCE);
	ev_timer_stop(r->loop, &timer);
	return holds(r);
}

static bool never(const struct run *r)
{
	(void)r;
	return false;
}

static bool has_web(const struct run *r)
{
	return r->has_synced && cluster_service(r->cluster, "ns", "web");
}

static bool has_only_new(const struct run *r)
{
	return r->has_synced && cluster_service(r->cluster, "ns", "new") &&
	       !cluster_service(r->cluster, "ns", "web");
}

#define SEC 10.0

static void test_bytes_may_come_one_by_one(void **state)
{
	const struct fake_answer answers[] = {
		{"/services", EVENT("ADDED", SERVICE("web", "10.96.0.1")) END, true, 1,
		 FAKE_STALL, 0},
		OTHERS,
	};
	struct run r;

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_true(wait_for(&r, has_web, SEC));
	run_close(&r);
}

static void test_a_server_that_cannot_stream_lists_is_listed(void **state)
{
	const struct fake_answer answers[] = {
		{"/services?labelSelector=!service.kubernetes.io%2Fheadless%2C"
		 "!service.kubernetes.io%2Fservice-proxy-name"
		 "&fieldSelector=spec.clusterIP%21%3DNone&limit="
		 "500&"
		 "resourceVersion=0",
		 "{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":{"
		 "\"resourceVersion\":"
		 "\"50\",\"continue\":\"to/ken\"},\"items\":[" SERVICE("old",
								       "10.96.0.9") "]}",
		 true, 3, FAKE_CLOSE, 1},
		{"continue=to%2Fken",
		 "{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":{"
		 "\"resourceVersion\":"
		 "\"50\"},\"items\":[" SERVICE("web", "10.96.0.1") "]}",
		 true, 0, FAKE_CLOSE, 1},
		{"/services?labelSelector=!service.kubernetes.io%2Fheadless%2C"
		 "!service.kubernetes.io%2Fservice-proxy-name"
		 "&fieldSelector=spec.clusterIP%21%3DNone&watch="
		 "true&"
		 "allowWatchBookmarks=true&timeoutSeconds=",
		 "HTTP/1.1 422 Unprocessable\r\nContent-Length: 0\r\nConnection: "
		 "close\r\n\r\n",
		 false, 0, FAKE_CLOSE, 1},
		{"resourceVersion=50", EVENT("ADDED", SERVICE("later", "10.96.0.3")),
		 true, 0, FAKE_STALL, 1},
		OTHERS,
	};
	struct run r;

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_true(wait_for(&r, has_web, SEC));
	assert_non_null(cluster_service(r.cluster, "ns", "old"));
	assert_int_equal(fake_server_n_requests(r.server, "sendInitialEvents=true&"), 4);
	run_close(&r);
}

static bool has_later_only(const struct run *r)
{
	return r->has_synced && cluster_service(r->cluster, "ns", "new");
}

static void test_what_went_while_nobody_listened_is_noticed(void **state)
{
	const struct fake_answer answers[] = {
		{"/services",
		 EVENT("ADDED", SERVICE("web", "10.96.0.1"))
			 END EVENT("ERROR", STATUS(410, "Expired")),
		 true, 0, FAKE_CLOSE, 1},
		{"/services", EVENT("ADDED", SERVICE("new", "10.96.0.2")) END, true, 0,
		 FAKE_STALL, 0},
		OTHERS,
	};
	struct run r;

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_true(wait_for(&r, has_only_new, SEC));
	assert_int_equal(kube_n_restarts(r.kube), 1);
	run_close(&r);
}

/* Each of these comes first, ns/web is known already or comes after; then all is well. */
static const struct {
	const char *what, *bytes;
	bool is_body;
	enum fake_end end;
} troubles[] = {
	{"a storm of 503",
	 "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", false,
	 FAKE_CLOSE},
	{"429", "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", false,
	 FAKE_CLOSE},
	{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", false, FAKE_CLOSE},
	{"nothing at all", "", false, FAKE_CLOSE},
	{"garbage", "<html>proxy error</html>", true, FAKE_CLOSE},
	{"an event that is none", "{\"type\":\"WHAT\",\"object\":7}\n", true, FAKE_CLOSE},
	{"a stream cut inside an event",
	 EVENT("ADDED", SERVICE("half", "10.96.0.7")) "{\"type\":\"AD", true, FAKE_CLOSE},
	{"a half-closed stream", EVENT("ADDED", SERVICE("half", "10.96.0.7")), true,
	 FAKE_SHUTDOWN},
	{"an error event", EVENT("ERROR", STATUS(500, "InternalError")), true,
	 FAKE_CLOSE},
	{"a header without end",
	 "HTTP/1.1 200 OK\r\nX-A: "
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
	 false, FAKE_FLOOD},
	{"an object without end", "{\"type\":\"ADDED\",\"object\":{\"a\":[", true,
	 FAKE_FLOOD},
	{"a string without end",
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true, FAKE_FLOOD},
};

static void test_trouble_passes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(troubles); i++) {
		const struct fake_answer answers[] = {
			{"/services", troubles[i].bytes, troubles[i].is_body, 0,
			 troubles[i].end, 1},
			OTHERS,
			{"sendInitialEvents",
			 EVENT("ADDED", SERVICE("web", "10.96.0.1")) END, true, 0,
			 FAKE_STALL, 0},
			{"/services",
			 "{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":"
			 "{\"resourceVersion\":\"50\"},\"items\":[" SERVICE(
				 "web", "10.96.0.1") "]}",
			 true, 0, FAKE_CLOSE, 0},
		};
		struct run r;

		print_message("  %s\n", troubles[i].what);
		run_open(&r, answers, N_ELEMENTS(answers));
		assert_true(wait_for(&r, has_web, SEC));
		assert_null(cluster_service(r.cluster, "ns", "half"));
		run_close(&r);
	}
}

static void test_events_in_an_odd_order_do_no_harm(void **state)
{
	const struct fake_answer answers[] = {
		{"/services",
		 EVENT("DELETED", SERVICE("never", "10.96.0.5")) MARK(
			 "40") EVENT("MODIFIED", SERVICE("web", "10.96.0.1"))
			 END EVENT("DELETED", SERVICE("never", "10.96.0.5"))
				 EVENT("DELETED", SERVICE("web", "10.96.0.1"))
					 EVENT("ADDED", SERVICE("web", "10.96.0.1"))
						 EVENT("ADDED",
						       SERVICE("new", "10.96.0.2"))
							 MARK("70") MARK("71"),
		 true, 7, FAKE_STALL, 0},
		OTHERS,
	};
	struct run r;

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_true(wait_for(&r, has_later_only, SEC));
	assert_true(has_web(&r));
	assert_int_equal(cluster_n(r.cluster, OBJECT_SERVICE), 2);
	run_close(&r);
}

static void test_a_401_is_asked_again_soon_and_then_less_often(void **state)
{
	const struct fake_answer answers[] = {
		{"/services",
		 "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: "
		 "close\r\n\r\n",
		 false, 0, FAKE_CLOSE, 0},
		OTHERS,
	};
	struct run r;

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_false(wait_for(&r, never, 0.7));
	assert_int_equal(fake_server_n_requests(r.server, "/services"), 2);
	assert_false(wait_for(&r, never, 3.0));
	assert_in_range(fake_server_n_requests(r.server, "/services"), 2, 5);
	run_close(&r);
}

static void test_an_outage_keeps_what_is_known(void **state)
{
	const struct fake_answer answers[] = {
		{"/services", EVENT("ADDED", SERVICE("web", "10.96.0.1")) END, true, 0,
		 FAKE_CLOSE, 1},
		{"/services", "", false, 0, FAKE_CLOSE, 0},
		OTHERS,
	};
	struct run r;

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_false(wait_for(&r, never, 4.0));
	assert_true(has_web(&r));
	assert_true(kube_silent_since_us(r.kube) > 0);
	/* It does not ask in a circle: at once, then after 0.8, 1.6, … seconds. */
	assert_in_range(fake_server_n_requests(r.server, "/services"), 2, 5);
	run_close(&r);
}

static void test_a_watch_that_stalls_is_waited_for(void **state)
{
	const struct fake_answer answers[] = {
		{"/services", EVENT("ADDED", SERVICE("web", "10.96.0.1")) END, true, 0,
		 FAKE_STALL, 1},
		OTHERS,
	};
	struct run r;

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_true(wait_for(&r, has_web, SEC));
	assert_false(wait_for(&r, never, 1.0));
	assert_int_equal(fake_server_n_requests(r.server, "/services"), 1);
	run_close(&r);
}

static bool has_told(const struct run *r)
{
	return fake_server_n_requests(r->server, "POST") > 0;
}

/* The end of the list comes in the middle of an answer that goes on. */
static void test_a_streamed_list_that_is_complete_may_be_told_of_at_once(void **state)
{
	const struct fake_answer answers[] = {
		{"/namespaces/default/events",
		 "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", false, 0,
		 FAKE_STALL, 0},
		QUIET("/services"),
		OTHERS,
	};
	struct run r;

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	r.told = events_new(r.loop, kube_http(r.kube), "node-0");
	assert_true(wait_for(&r, has_told, SEC));
	events_free(r.told);
	run_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_may_come_one_by_one),
		cmocka_unit_test(test_a_server_that_cannot_stream_lists_is_listed),
		cmocka_unit_test(test_what_went_while_nobody_listened_is_noticed),
		cmocka_unit_test(test_trouble_passes),
		cmocka_unit_test(test_events_in_an_odd_order_do_no_harm),
		cmocka_unit_test(test_a_401_is_asked_again_soon_and_then_less_often),
		cmocka_unit_test(test_an_outage_keeps_what_is_known),
		cmocka_unit_test(test_a_watch_that_stalls_is_waited_for),
		cmocka_unit_test(
			test_a_streamed_list_that_is_complete_may_be_told_of_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
