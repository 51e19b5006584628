/*
 * Objects that can't be decoded, among others that can: each is logged by its
 * name, once, and does not affect the others.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/unit/capture.h"
#include "tests/unit/kube_run.h"
#include "proxy/engine/rejections.h"
#include "watchers/cluster.h"
#include "watchers/kube/kube.h"

#define HEAD                                                                             \
	"{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"bad\","    \
	"\"namespace\":\"ns\","
#define TAIL "},\"spec\":{}}"
#define BAD  "Service ns/bad: "

static const struct {
	const char *what;
	const char *head, *filling, *tail; /* the filling so many times */
	size_t n;
	const char *logged; /* NULL: nothing, it is valid */
} bad_objects[] = {
	{"wrong types",
	 "{\"kind\":7,\"metadata\":{\"name\":\"bad\",\"namespace\":\"ns\"},", "",
	 "\"spec\":[]}", 0, BAD},
	{"too large", HEAD "\"annotations\":{\"a\":\"", "aaaaaaaa", "\"}" TAIL, 700000,
	 BAD "is larger than 4 MiB"},
	{"too deep, closed", HEAD "\"managedFields\":[{\"fieldsV1\":", "[",
	 "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}]" TAIL,
	 68, BAD "is larger than 4 MiB, or deeper than 64 levels"},
	{"no UTF-8", HEAD "\"annotations\":{\"a\":\"", "\xff", "\"}" TAIL, 1,
	 BAD "is not valid JSON"},
	{"a number beyond all", HEAD "\"generation\":", "9", TAIL, 400,
	 BAD "is not valid JSON"},
	{"no name", "{\"kind\":\"Service\",\"metadata\":{\"namespace\":\"ns\"},", "",
	 "\"spec\":{}}", 0, "Service in ns: "},
	{"a name that is none", "{\"kind\":\"Service\",\"metadata\":{\"name\":\"", "\\n",
	 "\",\"namespace\":\"ns\"},\"spec\":{}}", 3, "Service"},
};

static char *build(size_t k)
{
	struct buf text = BUF_INIT;

	buf_add_string(&text, bad_objects[k].head);
	for (size_t i = 0; i < bad_objects[k].n; i++)
		buf_add_string(&text, bad_objects[k].filling);
	buf_add_string(&text, bad_objects[k].tail);
	return buf_take(&text);
}

static bool has_late(const struct run *r)
{
	return has_web(r) && cluster_service(r->cluster, "ns", "new") &&
	       cluster_service(r->cluster, "ns", "late");
}

/* Until all was read twice. */
static void expect_logged_once(const struct fake_answer *answers, size_t n,
			       const char *logged)
{
	struct rejections *rejections = rejections_new(false);
	struct run r = {.reject = rejections_reject(rejections)};
	size_t n_rejected;
	const char *log;
	bool is_well;

	capture_start();
	run_open(&r, answers, n);
	is_well = wait_for(&r, has_late, SEC);
	n_rejected = rejections_n(rejections);
	run_close(&r);
	rejections_free(rejections);
	log = capture_end();
	if (!is_well || capture_count(log, logged) != 1 || strstr(log, "cannot list"))
		print_error("%s", log);
	assert_true(is_well);
	assert_int_not_equal(n_rejected, 0);
	assert_int_equal(capture_count(log, logged), 1);
	assert_null(strstr(log, "cannot list"));
}

#define GONE EVENT("ERROR", STATUS(410, "Expired"))

static void an_invalid_object_in_a_stream_costs_only_itself(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_ELEMENTS(bad_objects); k++) {
		_cleanup_(freep) char *bad = build(k);
		_cleanup_(freep) char *once = xasprintf(
			EVENT("ADDED", SERVICE("web", "10.96.0.1")) EVENT("ADDED", "%s")
				EVENT("ADDED", SERVICE("new", "10.96.0.2")) END GONE,
			bad);
		_cleanup_(freep) char *again = xasprintf(
			EVENT("ADDED", SERVICE("web", "10.96.0.1")) EVENT("ADDED", "%s")
				EVENT("ADDED", SERVICE("new", "10.96.0.2"))
					END EVENT("MODIFIED", "%s")
						EVENT("ADDED",
						      SERVICE("late", "10.96.0.3")),
			bad, bad);
		const struct fake_answer answers[] = {
			OTHERS,
			{.request = "/services",
			 .bytes = once,
			 .is_body = true,
			 .times = 1},
			{.request = "/services",
			 .bytes = again,
			 .is_body = true,
			 .end = FAKE_STALL},
		};

		print_message("  %s\n", bad_objects[k].what);
		expect_logged_once(answers, N_ELEMENTS(answers), bad_objects[k].logged);
	}
}

#define LIST_OF(items)                                                                   \
	"{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":"                  \
	"{\"resourceVersion\":\"50\"},\"items\":[" items "]}"

static void an_invalid_object_in_a_list_costs_only_itself(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_ELEMENTS(bad_objects); k++) {
		_cleanup_(freep) char *bad = build(k);
		_cleanup_(freep) char *once =
			xasprintf(LIST_OF(SERVICE("web", "10.96.0.1") ",%s," SERVICE(
					  "new", "10.96.0.2")),
				  bad);
		_cleanup_(freep) char *again =
			xasprintf(LIST_OF("%s," SERVICE("web", "10.96.0.1") "," SERVICE(
					  "new", "10.96.0.2") "," SERVICE("late",
									  "10.96.0.3")),
				  bad);
		const struct fake_answer answers[] = {
			OTHERS,
			{.request = "sendInitialEvents",
			 .bytes = "HTTP/1.1 422 No\r\nContent-Length: 0\r\n"
				  "Connection: close\r\n\r\n"},
			{.request = "watch=true",
			 .bytes = GONE,
			 .is_body = true,
			 .times = 1},
			{.request = "watch=true",
			 .bytes = "",
			 .is_body = true,
			 .end = FAKE_STALL},
			{.request = "/services",
			 .bytes = once,
			 .is_body = true,
			 .times = 1},
			{.request = "/services", .bytes = again, .is_body = true},
		};

		print_message("  %s\n", bad_objects[k].what);
		expect_logged_once(answers, N_ELEMENTS(answers), bad_objects[k].logged);
	}
}

static bool has_relisted(const struct run *r)
{
	return cluster_service(r->cluster, "ns", "late");
}

#define DEEP	 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
#define DEEP_END "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"

/* How ns/web looks in the second list, and by what name it is reported. */
static const struct {
	const char *what, *item, *logged;
} relisted[] = {
	{"names first",
	 "{\"kind\":\"Service\",\"metadata\":{\"name\":\"web\",\"namespace\":\"ns\"},"
	 "\"spec\":" DEEP DEEP_END "}",
	 "Service ns/web: is larger"},
	{"names in alphabetical order, and others like them",
	 "{\"metadata\":{\"labels\":{\"name\":\"other\",\"a\":\"\\\"name\\\":\"},"
	 "\"ownerReferences\":[{\"name\":\"owner\"}],\"name\":\"web\","
	 "\"namespace\":\"ns\"},\"spec\":" DEEP DEEP_END "}",
	 "Service ns/web: is larger"},
	{"with blanks",
	 "{ \"metadata\" : {\n \"name\" : \"web\",\n \"namespace\": \"ns\" },\n"
	 " \"spec\": " DEEP DEEP_END "}",
	 "Service ns/web: is larger"},
	{"without a name", "{\"metadata\":{},\"spec\":" DEEP DEEP_END "}",
	 "Service: is larger"},
};

/* The object still exists: a Service must not end because its object can't be read. */
static void a_broken_object_keeps_its_last_state_in_a_relist(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_ELEMENTS(relisted); k++) {
		_cleanup_(freep) char *first =
			xasprintf("%s%s%s", EVENT("ADDED", SERVICE("web", "10.96.0.1")),
				  EVENT("ADDED", SERVICE("gone", "10.96.0.9")), END GONE);
		_cleanup_(freep) char *second =
			xasprintf("{\"type\":\"ADDED\",\"object\":%s}\n%s",
				  relisted[k].item,
				  EVENT("ADDED", SERVICE("late", "10.96.0.3")) END);
		const struct fake_answer answers[] = {
			OTHERS,
			{.request = "/services",
			 .bytes = first,
			 .is_body = true,
			 .times = 1},
			{.request = "/services",
			 .bytes = second,
			 .is_body = true,
			 .end = FAKE_STALL},
		};
		struct rejections *rejections = rejections_new(false);
		struct run r = {.reject = rejections_reject(rejections)};
		bool is_nameless = k == N_ELEMENTS(relisted) - 1;
		const char *log;

		print_message("  %s\n", relisted[k].what);
		capture_start();
		run_open(&r, answers, N_ELEMENTS(answers));
		(void)wait_for(&r, has_relisted, SEC);
		(void)wait_for(&r, never, 0.2);
		log = capture_end();
		assert_non_null(cluster_service(r.cluster, "ns", "late"));
		assert_non_null(cluster_service(r.cluster, "ns", "web"));
		/* Without a name, nothing is known to be gone. */
		assert_int_equal(cluster_service(r.cluster, "ns", "gone") != NULL,
				 is_nameless);
		assert_int_equal(capture_count(log, relisted[k].logged), 1);
		run_close(&r);
		rejections_free(rejections);
	}
}

static void an_annotation_may_hold_anything(void **state)
{
	const struct fake_answer answers[] = {
		OTHERS,
		{.request = "/services",
		 .bytes = EVENT("ADDED",
				"{\"kind\":\"Service\",\"apiVersion\":\"v1\","
				"\"metadata\":{\"namespace\":\"ns\",\"name\":\"web\","
				"\"annotations\":{\"a\":\"\\u0000 and more\"}},\"spec\":{"
				"\"clusterIP\":\"10.96.0.1\",\"clusterIPs\":"
				"[\"10.96.0.1\"],\"ipFamilies\":[\"IPv4\"]}}") END,
		 .is_body = true,
		 .end = FAKE_STALL},
	};
	struct run r = {0};

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_true(wait_for(&r, has_web, SEC));
	run_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_invalid_object_in_a_stream_costs_only_itself),
		cmocka_unit_test(an_invalid_object_in_a_list_costs_only_itself),
		cmocka_unit_test(a_broken_object_keeps_its_last_state_in_a_relist),
		cmocka_unit_test(an_annotation_may_hold_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
