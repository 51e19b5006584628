/*
 * Endpoints and Services that are removed, with each value of
 * sluice.io/on-endpoint-removed.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "tests/test.h"
#include "tests/unit/relay_rig_case.h"

static void connections_of_a_removed_endpoint_stay(void **state)
{
	int client, server;

	rig_put(rig, 1);
	rig_pair(rig, &client, &server);
	rig_put(rig, 2);
	rig_send(client, "on and on");
	rig_expect(server, "on and on");
	rig_close_both(client, server);
}

static void connections_of_a_removed_endpoint_are_reset_on_request(void **state)
{
	int client, server;

	rig->options.on_endpoint_removed = ENDPOINT_REMOVAL_RESET;
	rig_put(rig, 1);
	rig_pair(rig, &client, &server);
	rig_send(client, "hello");
	rig_expect(server, "hello");
	rig_put(rig, 2);
	rig_expect_reset(client);
	rig_expect_reset(server);
	rig_close_both(client, server);
}

static void connections_of_a_removed_endpoint_are_reset_after_a_time(void **state)
{
	uint64_t start_us;
	int client, server;

	rig->options.on_endpoint_removed = ENDPOINT_REMOVAL_DRAIN;
	rig->times.drain_ms = 200;
	rig_put(rig, 1);
	rig_pair(rig, &client, &server);
	start_us = clock_monotonic_us();
	rig_put(rig, 2);
	rig_send(client, "not yet");
	rig_expect(server, "not yet");
	rig_expect_reset(client);
	assert_true(clock_monotonic_us() - start_us >= 190000);
	rig_close_both(client, server);
}

/* It was chosen before, and accepts afterwards. */
static void an_endpoint_that_is_removed_before_it_accepts_gets_no_connection(void **state)
{
	int fillers[4], client;

	rig_fill_queue(rig, 0, fillers, N_ELEMENTS(fillers));
	rig->times.connect_timeout_ms = 2 * RIG_TIMEOUT_MS;
	rig->options.on_endpoint_removed = ENDPOINT_REMOVAL_RESET;
	rig_put(rig, 1);
	client = rig_connect(rig);
	assert_true(client >= 0);
	while (rig_stat(rig, "sluice_userspace_connections") != 1)
		(void)usleep(1000);
	rig_put(rig, 2);
	for (size_t i = 0; i < N_ELEMENTS(fillers); i++) {
		(void)close(fillers[i]);
		while (rig_has_connection(rig, 0, 0))
			(void)close(rig_accept(rig, 0));
	}
	rig_expect_reset(client); /* when the SYN is sent again */
	(void)close(client);
}

/* ---- a Service is removed ---- */

/* The worker closes the listener a moment later. */
static void await_refusal(void)
{
	int late;

	do {
		late = rig_connect(rig);
		if (late >= 0)
			(void)close(late);
	} while (late != -ECONNREFUSED);
}

static void remove_with(uint8_t removal, int *ret_client, int *ret_server)
{
	rig->options.on_endpoint_removed = removal;
	rig->times.drain_ms = 200;
	rig_put(rig, 1);
	rig_pair(rig, ret_client, ret_server);
	rig_send(*ret_client, "hello");
	rig_expect(*ret_server, "hello");
	rig_remove(rig);
}

static void a_removed_service_refuses_and_its_connections_stay(void **state)
{
	int client, server;

	remove_with(ENDPOINT_REMOVAL_KEEP, &client, &server);
	await_refusal();
	rig_send(client, "on and on");
	rig_expect(server, "on and on");
	rig_close_both(client, server);
}

static void connections_of_a_removed_service_are_reset_on_request(void **state)
{
	int client, server;

	remove_with(ENDPOINT_REMOVAL_RESET, &client, &server);
	rig_expect_reset(client);
	rig_expect_reset(server);
	await_refusal();
	rig_close_both(client, server);
}

static void connections_of_a_removed_service_are_reset_after_a_time(void **state)
{
	uint64_t start_us = clock_monotonic_us();
	int client, server;

	remove_with(ENDPOINT_REMOVAL_DRAIN, &client, &server);
	rig_send(client, "not yet");
	rig_expect(server, "not yet");
	await_refusal();
	rig_expect_reset(client);
	assert_true(clock_monotonic_us() - start_us >= 190000);
	rig_close_both(client, server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(connections_of_a_removed_endpoint_stay),
		TEST(connections_of_a_removed_endpoint_are_reset_on_request),
		TEST(connections_of_a_removed_endpoint_are_reset_after_a_time),
		TEST(an_endpoint_that_is_removed_before_it_accepts_gets_no_connection),
		TEST(a_removed_service_refuses_and_its_connections_stay),
		TEST(connections_of_a_removed_service_are_reset_on_request),
		TEST(connections_of_a_removed_service_are_reset_after_a_time),
	};

	return cmocka_run_group_tests(tests, rig_enter, NULL);
}
