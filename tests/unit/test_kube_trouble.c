/*
 * The API client against servers that are sick: whatever they do, it asks again
 * and gets there, and takes no more of it than it must.
 */
#include "tests/test.h"

#include "core/cleanup.h"
#include "tests/unit/kube_run.h"
#include "watchers/cluster.h"

#define MIB (1u << 20)

/* Each of these comes first, ns/web is known already or comes after; then all is well. */
static const struct {
	const char *what, *bytes;
	bool is_body;
	enum fake_end end;
	const char *flood;
	size_t most_len; /* of the flood; sockets hold some MiB on the way */
} troubles[] = {
	{.what = "a storm of 503",
	 .bytes = "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"},
	{.what = "429",
	 .bytes = "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"},
	{.what = "no HTTP", .bytes = "SSH-2.0-OpenSSH_9.2\r\n"},
	{.what = "nothing at all", .bytes = ""},
	{.what = "garbage", .bytes = "<html>proxy error</html>", .is_body = true},
	{.what = "an event that is none",
	 .bytes = "{\"type\":\"WHAT\",\"object\":7}\n",
	 .is_body = true},
	{.what = "a stream cut inside an event",
	 .bytes = EVENT("ADDED", SERVICE("half", "10.96.0.7")) "{\"type\":\"AD",
	 .is_body = true},
	{.what = "a half-closed stream",
	 .bytes = EVENT("ADDED", SERVICE("half", "10.96.0.7")),
	 .is_body = true,
	 .end = FAKE_SHUTDOWN},
	{.what = "an error event",
	 .bytes = EVENT("ERROR", STATUS(500, "InternalError")),
	 .is_body = true},
	{.what = "headers without end",
	 .bytes = "HTTP/1.1 200 OK\r\n",
	 .end = FAKE_FLOOD,
	 .flood =
		 "X-A: "
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
	 .most_len = 16 * MIB},
	{.what = "a header without end",
	 .bytes = "HTTP/1.1 200 OK\r\nX-A: ",
	 .end = FAKE_FLOOD,
	 .flood = "aaaaaaaa",
	 .most_len = 16 * MIB},
	{.what = "brackets without end",
	 .bytes = "{\"type\":\"ADDED\",\"object\":",
	 .is_body = true,
	 .end = FAKE_FLOOD,
	 .flood = "{\"a\":[",
	 .most_len = 32 * MIB},
	{.what = "a string without end",
	 .bytes = "{\"type\":\"ADDED\",\"object\":{\"a\":\"",
	 .is_body = true,
	 .end = FAKE_FLOOD,
	 .flood = "aaaaaaaa",
	 .most_len = 32 * MIB},
	{.what = "an error without end",
	 .bytes = "HTTP/1.1 500 No\r\n\r\n",
	 .end = FAKE_FLOOD,
	 .flood = "aaaaaaaa",
	 .most_len = 16 * MIB},
	{.what = "words without end",
	 .bytes = "",
	 .is_body = true,
	 .end = FAKE_FLOOD,
	 .flood = "aaaaaaaa",
	 .most_len = 16 * MIB},
};

static void the_client_recovers_from_each_kind_of_bad_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(troubles); i++) {
		const struct fake_answer answers[] = {
			{.request = "/services",
			 .bytes = troubles[i].bytes,
			 .is_body = troubles[i].is_body,
			 .end = troubles[i].end,
			 .times = 1,
			 .flood = troubles[i].flood},
			OTHERS,
			{.request = "sendInitialEvents",
			 .bytes = EVENT("ADDED", SERVICE("web", "10.96.0.1")) END,
			 .is_body = true,
			 .end = FAKE_STALL},
			{.request = "/services",
			 .bytes = "{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\","
				  "\"metadata\":"
				  "{\"resourceVersion\":\"50\"},\"items\":[" SERVICE(
					  "web", "10.96.0.1") "]}",
			 .is_body = true},
		};
		struct run r = {0};

		print_message("  %s\n", troubles[i].what);
		run_open(&r, answers, N_ELEMENTS(answers));
		assert_true(wait_for(&r, has_web, SEC));
		assert_null(cluster_service(r.cluster, "ns", "half"));
		assert_true(fake_server_flooded_len(r.server) <= troubles[i].most_len);
		run_close(&r);
	}
}

/* Each stalls for ever; then what counts is asked for in another way. */
static const struct {
	const char *what, *bytes;
} stalls[] = {
	{"no answer", ""},
	{"a header alone", HEADER},
	{"half of the list", HEADER EVENT("ADDED", SERVICE("half", "10.96.0.7"))},
	{"half of an event", HEADER "{\"type\":\"ADDED\",\"obj"},
};

static void a_list_that_stalls_is_abandoned(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(stalls); i++) {
		const struct fake_answer answers[] = {
			{.request = "/services",
			 .bytes = stalls[i].bytes,
			 .end = FAKE_STALL,
			 .times = 1},
			OTHERS,
			{.request = "sendInitialEvents",
			 .bytes = EVENT("ADDED", SERVICE("web", "10.96.0.1")) END,
			 .is_body = true,
			 .end = FAKE_STALL},
			{.request = "watch=true", .bytes = HEADER, .end = FAKE_STALL},
			{.request = "/services",
			 .bytes = "{\"kind\":\"ServiceList\",\"metadata\":"
				  "{\"resourceVersion\":\"50\"},\"items\":[" SERVICE(
					  "web", "10.96.0.1") "]}",
			 .is_body = true},
		};
		struct run r = {.stall_sec = 1};

		print_message("  %s\n", stalls[i].what);
		run_open(&r, answers, N_ELEMENTS(answers));
		assert_true(wait_for(&r, has_web, SEC));
		assert_null(cluster_service(r.cluster, "ns", "half"));
		run_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_client_recovers_from_each_kind_of_bad_answer),
		cmocka_unit_test(a_list_that_stalls_is_abandoned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
