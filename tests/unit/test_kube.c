/*
 * The API client against a server that behaves badly.  What counts: the
 * cluster ends up as the server meant it, and known objects are not lost on
 * the way.
 */
#include "tests/test.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "tests/unit/capture.h"
#include "tests/unit/fake_server.h"
#include "tests/unit/kube_run.h"
#include "watchers/causes.h"
#include "watchers/cluster.h"
#include "watchers/kube/events.h"
#include "watchers/kube/kube.h"

static bool has_only_new(const struct run *r)
{
	return r->has_synced && cluster_service(r->cluster, "ns", "new") &&
	       !cluster_service(r->cluster, "ns", "web");
}

static void an_answer_may_arrive_byte_by_byte(void **state)
{
	const struct fake_answer answers[] = {
		{.request = "/services",
		 .bytes = EVENT("ADDED", SERVICE("web", "10.96.0.1")) END,
		 .is_body = true,
		 .piece_len = 1,
		 .end = FAKE_STALL},
		OTHERS,
	};
	struct run r = {0};

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_true(wait_for(&r, has_web, SEC));
	run_close(&r);
}

static void expect_version(const struct run *r, const char *service, const char *version)
{
	const struct cause *cause =
		causes_find(cluster_causes(r->cluster), "ns", service);

	assert_string_equal(cause->kind, "Service");
	assert_string_equal(cause->name, service);
	assert_string_equal(cause->version, version);
}

static void a_server_that_cannot_stream_lists_is_listed(void **state)
{
	const struct fake_answer answers[] = {
		{.request = "/services?labelSelector=!service.kubernetes.io%2Fheadless%2C"
			    "!service.kubernetes.io%2Fservice-proxy-name"
			    "&fieldSelector=spec.clusterIP%21%3DNone&limit="
			    "500&"
			    "resourceVersion=0",
		 .bytes = "{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":{"
			  "\"resourceVersion\":"
			  "\"50\",\"continue\":\"to/ken\"},\"items\":[" SERVICE(
				  "old", "10.96.0.9") "]}",
		 .is_body = true,
		 .piece_len = 3,
		 .times = 1},
		{.request = "continue=to%2Fken",
		 .bytes = "{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":{"
			  "\"resourceVersion\":"
			  "\"50\"},\"items\":[" SERVICE("web", "10.96.0.1") "]}",
		 .is_body = true,
		 .times = 1},
		{.request = "/services?labelSelector=!service.kubernetes.io%2Fheadless%2C"
			    "!service.kubernetes.io%2Fservice-proxy-name"
			    "&fieldSelector=spec.clusterIP%21%3DNone&watch="
			    "true&"
			    "allowWatchBookmarks=true&timeoutSeconds=",
		 .bytes =
			 "HTTP/1.1 422 Unprocessable\r\nContent-Length: 0\r\nConnection: "
			 "close\r\n\r\n",
		 .times = 1},
		{.request = "resourceVersion=50",
		 .bytes = EVENT("ADDED", SERVICE("later", "10.96.0.3")),
		 .is_body = true,
		 .end = FAKE_STALL,
		 .times = 1},
		OTHERS,
	};
	struct run r = {0};

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	causes_start(cluster_causes(r.cluster));
	assert_true(wait_for(&r, has_web, SEC));
	assert_non_null(cluster_service(r.cluster, "ns", "old"));
	expect_version(&r, "old", "60");
	assert_int_equal(fake_server_n_requests(r.server, "sendInitialEvents=true&"), 4);
	run_close(&r);
}

static bool has_later_only(const struct run *r)
{
	return r->has_synced && cluster_service(r->cluster, "ns", "new");
}

static void objects_deleted_during_an_outage_are_removed(void **state)
{
	const struct fake_answer answers[] = {
		{.request = "/services",
		 .bytes = EVENT("ADDED", SERVICE("web", "10.96.0.1"))
			 END EVENT("ERROR", STATUS(410, "Expired")),
		 .is_body = true,
		 .times = 1},
		{.request = "/services",
		 .bytes = EVENT("ADDED", SERVICE("new", "10.96.0.2")) END,
		 .is_body = true,
		 .end = FAKE_STALL},
		OTHERS,
	};
	struct run r = {0};

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	causes_start(cluster_causes(r.cluster));
	assert_true(wait_for(&r, has_only_new, SEC));
	assert_int_equal(kube_n_restarts(r.kube), 1);
	expect_version(&r, "new", "60");
	expect_version(&r, "web", "50"); /* of the list without it */
	run_close(&r);
}

static void events_in_an_unusual_order_do_no_harm(void **state)
{
	const struct fake_answer answers[] = {
		{.request = "/services",
		 .bytes = EVENT("DELETED", SERVICE("never", "10.96.0.5")) MARK(
			 "40") EVENT("MODIFIED", SERVICE("web", "10.96.0.1"))
			 END EVENT("DELETED", SERVICE("never", "10.96.0.5"))
				 EVENT("DELETED", SERVICE("web", "10.96.0.1"))
					 EVENT("ADDED", SERVICE("web", "10.96.0.1"))
						 EVENT("ADDED",
						       SERVICE("new", "10.96.0.2"))
							 MARK("70") MARK("71"),
		 .is_body = true,
		 .piece_len = 7,
		 .end = FAKE_STALL},
		OTHERS,
	};
	struct run r = {0};

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_true(wait_for(&r, has_later_only, SEC));
	assert_true(has_web(&r));
	assert_int_equal(cluster_n(r.cluster, OBJECT_SERVICE), 2);
	run_close(&r);
}

static void an_outage_keeps_all_objects(void **state)
{
	const struct fake_answer answers[] = {
		{.request = "/services",
		 .bytes = EVENT("ADDED", SERVICE("web", "10.96.0.1")) END,
		 .is_body = true,
		 .times = 1},
		{.request = "/services", .bytes = ""},
		OTHERS,
	};
	struct run r = {0};

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_false(wait_for(&r, never, 4.0));
	assert_true(has_web(&r));
	assert_true(kube_silent_since_us(r.kube) > 0);
	/* It does not retry in a busy loop: immediately, then after 0.8, 1.6, … seconds. */
	assert_in_range(fake_server_n_requests(r.server, "/services"), 2, 5);
	run_close(&r);
}

static bool is_silent(const struct run *r)
{
	return kube_silent_since_us(r->kube) != 0;
}

static bool is_heard_of(const struct run *r)
{
	return r->has_synced && !kube_silent_since_us(r->kube);
}

static bool has_asked_four_times(const struct run *r)
{
	return fake_server_n_requests(r->server, "/services") >= 4;
}

/* After a while it is opened again at the last version, and nothing is lost. */
static void a_watch_may_be_silent(void **state)
{
	const struct fake_answer answers[] = {
		{.request = "/services",
		 .bytes = EVENT("ADDED", SERVICE("web", "10.96.0.1")) END,
		 .is_body = true,
		 .times = 1},
		{.request = "/services", .bytes = "", .times = 1},
		{.request = "resourceVersion=50", .bytes = HEADER, .end = FAKE_STALL},
		OTHERS,
	};
	struct run r = {.stall_sec = 1};

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_true(wait_for(&r, has_web, SEC));
	assert_true(wait_for(&r, is_silent, SEC));
	/* Its header says that all is well, before anything has happened. */
	assert_true(wait_for(&r, is_heard_of, SEC));
	assert_int_equal(fake_server_n_requests(r.server, "/services"), 3);
	assert_false(wait_for(&r, is_silent, 2.0));
	assert_int_equal(fake_server_n_requests(r.server, "/services"), 3);
	assert_true(wait_for(&r, has_asked_four_times, SEC));
	assert_false(wait_for(&r, is_silent, 0.5));
	assert_true(has_web(&r));
	assert_int_equal(kube_n_restarts(r.kube), 0);
	run_close(&r);
}

/* Known objects stay until a list is complete, however many break off. */
static void a_list_that_breaks_off_removes_nothing(void **state)
{
	const struct fake_answer answers[] = {
		{.request = "/services",
		 .bytes = EVENT("ADDED", SERVICE("web", "10.96.0.1"))
			 END EVENT("ERROR", STATUS(410, "Expired")),
		 .is_body = true,
		 .times = 1},
		{.request = "/services",
		 .bytes = HEADER EVENT("ADDED", SERVICE("new", "10.96.0.2")),
		 .end = FAKE_STALL,
		 .times = 1},
		{.request = "limit=500",
		 .bytes = "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":"
			  "\"70\",\"continue\":\"more\"},\"items\":[]}",
		 .is_body = true,
		 .times = 1},
		{.request = "continue=more", .bytes = "", .times = 1},
		{.request = "limit=500",
		 .bytes = "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":"
			  "\"70\"},\"items\":[" SERVICE("new", "10.96.0.2") "]}",
		 .is_body = true,
		 .times = 1},
		{.request = "/services", .bytes = HEADER, .end = FAKE_STALL},
		OTHERS,
	};
	struct run r = {.stall_sec = 1};

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_true(wait_for(&r, has_web, SEC));
	while (fake_server_n_requests(r.server, "limit=500") < 3 &&
	       fake_server_n_requests(r.server, "continue=more") < 1) {
		assert_true(has_web(&r));
		ev_run(r.loop, EVRUN_ONCE);
	}
	assert_true(has_web(&r));
	assert_true(wait_for(&r, has_only_new, SEC));
	run_close(&r);
}

static bool is_asked_thrice(const struct run *r)
{
	return fake_server_n_requests(r->server, "/services") == 3;
}

/* A page of a proxy's, with status 200: one line, and one when it is over. */
static void repeated_invalid_answers_are_one_outage(void **state)
{
	const struct fake_answer answers[] = {
		{.request = "/services",
		 .bytes = "<html>come back later</html>",
		 .is_body = true,
		 .times = 3},
		OTHERS,
		{.request = "watch=true", .bytes = HEADER, .end = FAKE_STALL},
		{.request = "/services",
		 .bytes = "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":"
			  "\"50\"},\"items\":[" SERVICE("web", "10.96.0.1") "]}",
		 .is_body = true},
	};
	struct run r = {0};
	const char *log;
	bool is_well;

	(void)state;
	capture_start();
	run_open(&r, answers, N_ELEMENTS(answers));
	(void)wait_for(&r, is_asked_thrice, SEC);
	(void)wait_for(&r, never, 0.4);
	is_well = kube_silent_since_us(r.kube) != 0;
	is_well &= wait_for(&r, has_web, SEC);
	is_well &= wait_for(&r, is_heard_of, SEC);
	run_close(&r);
	log = capture_end();
	assert_true(is_well);
	assert_int_equal(capture_count(log, "cannot list"), 1);
	assert_int_equal(capture_count(log, "reachable again"), 1);
}

static bool has_sent_event(const struct run *r)
{
	return fake_server_n_requests(r->server, "POST") > 0;
}

/* The end of the list comes in the middle of an answer that continues. */
static void events_may_be_sent_from_the_synced_callback(void **state)
{
	const struct fake_answer answers[] = {
		{.request = "/namespaces/default/events",
		 .bytes = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
		 .end = FAKE_STALL},
		QUIET("/services"),
		OTHERS,
	};
	struct run r = {0};

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	r.events = events_new("node-0");
	events_start(r.events, kube_http(r.kube));
	assert_true(wait_for(&r, has_sent_event, SEC));
	events_free(r.events);
	run_close(&r);
}

static bool is_synced(const struct run *r)
{
	return r->has_synced;
}

static const char *const cidr_refusals[] = {
	"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
	"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
	"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
	"SSH-2.0-OpenSSH_9.2\r\n",
};

/* As API servers before 1.33, and kube-proxy's ClusterRole of old, have it. */
static void without_service_cidrs_other_kinds_are_synced(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cidr_refusals); i++) {
		const struct fake_answer answers[] = {
			{.request = "/servicecidrs", .bytes = cidr_refusals[i]},
			QUIET("/services"),
			OTHERS,
		};
		struct run r = {0};
		const char *log;
		bool is_well;

		capture_start();
		run_open(&r, answers, N_ELEMENTS(answers));
		is_well = wait_for(&r, is_synced, SEC);
		(void)wait_for(&r, never, 1.0);
		log = capture_end();
		assert_true(is_well);
		assert_int_equal(capture_count(log, "cannot list servicecidrs"), 1);
		assert_int_equal(kube_silent_since_us(r.kube), 0);
		/* An answer that won't change is not asked for every few seconds. */
		if (i < 2)
			assert_in_range(fake_server_n_requests(r.server, "/servicecidrs"),
					1, 2);
		run_close(&r);
	}
}

static bool knows_cidr(const struct run *r)
{
	return cluster_n(r->cluster, OBJECT_SERVICE_CIDR) == 1;
}

static void service_cidrs_that_never_arrive_do_not_delay_the_others(void **state)
{
	static const struct fake_answer answers[] = {
		{.request = "/servicecidrs", .bytes = HEADER, .end = FAKE_STALL},
		QUIET("/services"),
		OTHERS,
	};
	struct run r = {0};

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_true(wait_for(&r, is_synced, SEC));
	run_close(&r);
}

#define REFUSED(status)                                                                  \
	{                                                                                \
		.request = "/servicecidrs", .times = 1,                                  \
		.bytes = "HTTP/1.1 " status                                              \
			 "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",           \
	}

static void service_cidrs_that_are_available_later_are_used(void **state)
{
	static const struct fake_answer answers[] = {
		REFUSED("500 No"),
		REFUSED("403 No"), /* the role was late */
		{.request = "/servicecidrs",
		 .bytes = EVENT("ADDED",
				"{\"kind\":\"ServiceCIDR\",\"metadata\":{\"name\":"
				"\"kubernetes\",\"resourceVersion\":\"7\"},\"spec\":"
				"{\"cidrs\":[\"10.96.0.0/12\"]}}") END,
		 .is_body = true,
		 .end = FAKE_STALL},
		QUIET("/services"),
		OTHERS,
	};
	struct run r = {0};

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_true(wait_for(&r, is_synced, SEC));
	assert_false(knows_cidr(&r));
	assert_true(wait_for(&r, knows_cidr, SEC));
	assert_int_not_equal(r.n_changes, 0);
	run_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_service_cidrs_other_kinds_are_synced),
		cmocka_unit_test(service_cidrs_that_never_arrive_do_not_delay_the_others),
		cmocka_unit_test(service_cidrs_that_are_available_later_are_used),
		cmocka_unit_test(an_answer_may_arrive_byte_by_byte),
		cmocka_unit_test(a_server_that_cannot_stream_lists_is_listed),
		cmocka_unit_test(objects_deleted_during_an_outage_are_removed),
		cmocka_unit_test(events_in_an_unusual_order_do_no_harm),
		cmocka_unit_test(an_outage_keeps_all_objects),
		cmocka_unit_test(a_watch_may_be_silent),
		cmocka_unit_test(repeated_invalid_answers_are_one_outage),
		cmocka_unit_test(a_list_that_breaks_off_removes_nothing),
		cmocka_unit_test(events_may_be_sent_from_the_synced_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
