/*
 * The open connections of mode userspace, their bytes and bindings, as `get` and
 * `explain` show them.
 */
#include <poll.h>
#include <unistd.h>

#include "core/sink.h"
#include "tests/test.h"
#include "tests/unit/relay_rig_case.h"

#define N 3 /* connections */

static bool is_counted(const struct rig_counts *c, uint64_t n, uint64_t in, uint64_t out)
{
	uint64_t of_endpoints = 0;

	for (size_t i = 0; i < RIG_MAX_ENDPOINTS; i++)
		of_endpoints += c->n_current_of[i];
	return c->n_current == n && of_endpoints == n && c->n_bytes[0] == in &&
	       c->n_bytes[1] == out && c->n_endpoint_bytes[0] == in &&
	       c->n_endpoint_bytes[1] == out;
}

/* A byte is counted after it was passed on, and an end after it was seen. */
static void await_current(uint64_t n, uint64_t in, uint64_t out)
{
	struct rig_counts counts = rig_counts(rig);

	for (int i = 0; i < 4000 && !is_counted(&counts, n, in, out); i++) {
		(void)poll(NULL, 0, 5);
		counts = rig_counts(rig);
	}
	if (!is_counted(&counts, n, in, out))
		fail_msg("%llu connections, %llu bytes in, %llu out",
			 (unsigned long long)counts.n_current,
			 (unsigned long long)counts.n_bytes[0],
			 (unsigned long long)counts.n_bytes[1]);
}

static void open_connections_and_their_bytes_are_those_of_their_endpoint(void **state)
{
	int clients[N], servers[N];

	rig_put(rig, 1);
	for (int i = 0; i < N; i++) {
		rig_pair(rig, &clients[i], &servers[i]);
		rig_pump(clients[i], servers[i], 1);
		rig_pump(servers[i], clients[i], 200000);
	}
	await_current(N, N, 200000 * N);
	rig_put(rig, 3); /* connections of the version before count, too */
	await_current(N, N, 200000 * N);
	for (int i = 0; i < N; i++) {
		(void)close(clients[i]);
		(void)close(servers[i]);
	}
	await_current(0, 0, 0);
	assert_int_equal(rig_counts(rig).n_refused, 0);
}

/* -1: the client has none */
static void expect_bound(int endpoint)
{
	const struct sink_question q = {.service = rig->service,
					.frontend = service_frontends(rig->service)};
	struct addr client;
	struct endpoint e = {.port = 0};
	int found;

	assert_int_equal(addr_parse("127.0.0.1", &client), 0);
	found = rig->sink->ops->view->bound(rig->sink, &q, &client, &e);
	assert_int_equal(found, endpoint >= 0);
	assert_int_equal(e.port, endpoint >= 0 ? rig->ports[endpoint] : 0);
}

static void the_endpoint_of_a_client_is_known(void **state)
{
	int client, server;

	rig->affinity_sec = 60;
	rig_put(rig, 1);
	expect_bound(-1);
	rig_pair(rig, &client, &server);
	rig_pump(client, server, 1);
	expect_bound(0);
	(void)close(client);
	(void)close(server);
	expect_bound(0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(open_connections_and_their_bytes_are_those_of_their_endpoint),
		TEST(the_endpoint_of_a_client_is_known),
	};

	return cmocka_run_group_tests(tests, rig_enter, NULL);
}
