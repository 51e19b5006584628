/*
 * TCP through the userspace plane: bytes, ends and resets arrive as they were sent,
 * and endpoints that fail are passed over.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "tests/test.h"
#include "tests/unit/relay_rig_case.h"

#define MB	  (UINT64_C(1) << 20)
#define N_IDLE	  2000
#define N_LIMITED 40

static void bytes_pass_in_both_directions(void **state)
{
	static const size_t sizes[] = {1,      8191,   65535,	 65536, 65537,
				       300000, 4 * MB, 100 * MB, 1};
	int client, server;

	rig_put(rig, 1);
	rig_pair(rig, &client, &server);
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		rig_pump(client, server, sizes[i]);
		rig_pump(server, client, sizes[i]);
	}
	rig_close_both(client, server);
}

static void half_closed_connections_continue_in_the_other_direction(void **state)
{
	rig_put(rig, 1);
	for (int is_server_first = 0; is_server_first < 2; is_server_first++) {
		int ends[2];

		rig_pair(rig, &ends[is_server_first], &ends[1 - is_server_first]);
		rig_send(ends[0], "last words");
		assert_int_equal(shutdown(ends[0], SHUT_WR), 0);
		rig_expect(ends[1], "last words");
		rig_expect_end(ends[1]);
		rig_pump(ends[1], ends[0], 3 * MB);
		(void)close(ends[1]);
		rig_expect_end(ends[0]);
		(void)close(ends[0]);
	}
}

static void a_reset_on_one_side_is_a_reset_on_the_other(void **state)
{
	rig_put(rig, 1);
	for (int is_server_first = 0; is_server_first < 2; is_server_first++) {
		int ends[2];

		rig_pair(rig, &ends[is_server_first], &ends[1 - is_server_first]);
		rig_send(ends[0], "x");
		rig_expect(ends[1], "x");
		rig_reset(ends[0]);
		rig_expect_reset(ends[1]);
		(void)close(ends[1]);
	}
}

/* Nothing is read from a client that has sent its end: only a look at its socket shows the reset. */
static void a_reset_after_a_half_close_ends_the_connection(void **state)
{
	int client, server;

	rig_put(rig, 1);
	rig_pair(rig, &client, &server);
	rig_send(client, "request");
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	rig_expect(server, "request");
	rig_expect_end(server);
	rig_reset(client);
	rig_await_connections(0);
	(void)close(server);
}

/* The same while the receiver does not read. */
static void a_reset_of_a_blocked_sender_ends_the_connection(void **state)
{
	static char block[65536];
	int client, server;

	rig_put(rig, 1);
	rig_pair(rig, &client, &server);
	while (poll(&(struct pollfd){.fd = client, .events = POLLOUT}, 1, 300) == 1)
		(void)send(client, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);
	rig_reset(client);
	rig_await_connections(0);
	(void)close(server);
}

/* The relay keeps a bounded number of bytes: the rest waits at the sender. */
static void a_slow_reader_stops_the_sender_and_loses_nothing(void **state)
{
	static char block[65536];
	int client, server;
	size_t sent = 0, received = 0;

	rig_put(rig, 1);
	rig_pair(rig, &client, &server);
	for (;;) {
		struct pollfd p = {.fd = client, .events = POLLOUT};
		ssize_t n;

		if (poll(&p, 1, 300) == 0)
			break;
		n = send(client, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		assert_true(sent < 64 * MB);
	}
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	for (ssize_t n; (n = recv(server, block, sizeof(block), 0)) != 0;) {
		assert_true(n > 0);
		received += (size_t)n;
	}
	assert_int_equal(received, sent);
	rig_close_both(client, server);
}

static void an_endpoint_that_refuses_is_passed_over(void **state)
{
	rig_close_endpoint(rig, 1);
	rig_close_endpoint(rig, 2);
	rig_put(rig, 7);
	for (int i = 0; i < 20; i++) {
		int client, server;

		rig_pair(rig, &client, &server);
		rig_send(client, "hello");
		rig_expect(server, "hello");
		rig_close_both(client, server);
	}
	/* set aside: not each connection tried it */
	assert_true(rig_stat(rig, "sluice_userspace_failed_attempts_total") >= 1);
	assert_true(rig_stat(rig, "sluice_userspace_failed_attempts_total") <= 4);
	assert_true(rig_stat(rig, "sluice_userspace_failed_connections_total") == 0);
}

static void a_connection_that_no_endpoint_accepts_is_reset(void **state)
{
	int client;

	rig_close_endpoint(rig, 0);
	rig_close_endpoint(rig, 1);
	rig_put(rig, 3);
	for (int i = 0; i < 3; i++) {
		client = rig_connect(rig);
		assert_true(client >= 0);
		rig_expect_reset(client);
		(void)close(client);
	}
	assert_true(rig_stat(rig, "sluice_userspace_failed_connections_total") == 3);
	assert_int_equal(rig_counts(rig).n_refused, 3);
}

static void an_endpoint_that_never_answers_costs_the_connect_time_once(void **state)
{
	int fillers[4], client, server;
	uint64_t start_us = clock_monotonic_us();

	rig_fill_queue(rig, 1, fillers, N_ELEMENTS(fillers));
	rig->times.connect_timeout_ms = 200;
	rig->times.set_aside_ms = 60000;
	rig_put(rig, 3);
	for (int i = 0; i < 30; i++) {
		rig_pair(rig, &client, &server);
		rig_close_both(client, server);
	}
	/* once for each worker, and a busy machine; not for a half of the connections */
	assert_true(clock_monotonic_us() - start_us < 2500000);
	assert_true(rig_stat(rig, "sluice_userspace_failed_attempts_total") <= 2);
	for (size_t i = 0; i < N_ELEMENTS(fillers); i++)
		(void)close(fillers[i]);
}

static void an_endpoint_that_resets_before_the_first_byte_is_passed_over(void **state)
{
	int client, server;

	rig->affinity_sec = 60;
	rig_put(rig, 1);
	rig_pair(rig, &client, &server);
	rig_put(rig, 3); /* affinity leads to the first one */
	rig_close_both(client, server);
	rig_pair(rig, &client, &server);
	rig_reset(server);
	server = rig_accept(rig, 1);
	rig_send(client, "still here");
	rig_expect(server, "still here");
	rig_close_both(client, server);
}

/* Delayed ACKs save packets only where the client speaks first. */
static void a_server_that_speaks_first_is_not_delayed(void **state)
{
	uint64_t best_us = UINT64_MAX;

	rig_put(rig, 1);
	for (int i = 0; i < 10; i++) {
		uint64_t start_us = clock_monotonic_us();
		int client, server;

		rig_pair(rig, &client, &server);
		rig_send(server, "220 ready");
		rig_expect(client, "220 ready");
		if (clock_monotonic_us() - start_us < best_us)
			best_us = clock_monotonic_us() - start_us;
		rig_close_both(client, server);
	}
	assert_true(best_us < 20000);
}

static void affinity_holds_for_all_workers(void **state)
{
	int client, server;
	size_t chosen = 0;

	rig->affinity_sec = 60;
	rig_put(rig, 15);
	for (int i = 0; i < 24; i++) {
		client = rig_connect(rig);
		assert_true(client >= 0);
		while (i == 0 && !rig_has_connection(rig, chosen, 50))
			chosen = (chosen + 1) % 4;
		server = rig_accept(rig, chosen);
		rig_close_both(client, server);
	}
}

static void connections_are_balanced_over_all_endpoints(void **state)
{
	unsigned seen = 0;

	rig_put(rig, 15);
	for (int i = 0; i < 400 && seen != 15; i++) {
		int client = rig_connect(rig);

		assert_true(client >= 0);
		for (size_t k = 0; k < 4; k++)
			if (rig_has_connection(rig, k, 2)) {
				seen |= 1u << k;
				(void)close(rig_accept(rig, k));
			}
		(void)close(client);
	}
	assert_int_equal(seen, 15);
}

static void without_endpoints_connections_are_refused(void **state)
{
	rig_put(rig, 0);
	assert_int_equal(rig_connect(rig), -ECONNREFUSED);
}

static void a_held_connection_gets_the_first_endpoint(void **state)
{
	int client, server;

	rig->times.hold_ms = 20000;
	rig_put(rig, 0);
	client = rig_connect(rig);
	assert_true(client >= 0);
	rig_send(client, "patience");
	rig_put(rig, 1);
	server = rig_accept(rig, 0);
	rig_expect(server, "patience");
	rig_close_both(client, server);
}

static void a_held_connection_is_reset_when_its_time_is_over(void **state)
{
	int client;

	rig->times.hold_ms = 50;
	rig_put(rig, 0);
	client = rig_connect(rig);
	assert_true(client >= 0);
	rig_expect_reset(client);
	(void)close(client);
}

/* A worker keeps 1024 of them. */
static void more_waiting_clients_than_the_bound_are_reset(void **state)
{
	int clients[1024], late;

	rig_free(rig);
	rig = rig_new(1, 1);
	rig->times.hold_ms = RIG_TIMEOUT_MS;
	rig_put(rig, 0);
	for (size_t i = 0; i < N_ELEMENTS(clients); i++)
		clients[i] = rig_connect(rig);
	rig_await_connections(N_ELEMENTS(clients));
	late = rig_connect(rig);
	rig_expect_reset(late);
	(void)close(late);
	rig_await_connections(N_ELEMENTS(clients));
	for (size_t i = 0; i < N_ELEMENTS(clients); i++)
		(void)close(clients[i]);
}

static void sctp_is_refused_by_name(void **state)
{
	rig->proto = IPPROTO_SCTP;
	rig_put(rig, 1);
	assert_string_equal(rig->refusal, "mode userspace does not serve SCTP");
}

static void the_proxy_header_precedes_the_bytes_of_the_client(void **state)
{
	struct sockaddr_in own;
	socklen_t len = sizeof(own);
	char header[128];
	int client, server;

	rig->options.proxy_protocol = 1;
	rig_put(rig, 1);
	rig_pair(rig, &client, &server);
	assert_int_equal(getsockname(client, (struct sockaddr *)&own, &len), 0);
	(void)snprintf(header, sizeof(header),
		       "PROXY TCP4 127.0.0.1 127.0.0.1 %u %u\r\nGET", ntohs(own.sin_port),
		       rig->port);
	rig_send(client, "GET");
	rig_expect(server, header);
	rig_close_both(client, server);
}

static void idle_connections_are_all_served(void **state)
{
	static int clients[N_IDLE], servers[N_IDLE];

	rig_put(rig, 1);
	for (size_t i = 0; i < N_IDLE; i++)
		rig_pair(rig, &clients[i], &servers[i]);
	assert_true(rig_stat(rig, "sluice_userspace_connections") == N_IDLE);
	for (size_t i = 0; i < N_IDLE; i += 97) {
		rig_send(servers[i], "awake");
		rig_expect(clients[i], "awake");
	}
	for (size_t i = 0; i < N_IDLE; i++)
		rig_close_both(clients[i], servers[i]);
	rig_await_connections(0);
}

/*
 * Another rig that may use this many descriptors. The limit is read when it is opened;
 * afterwards the test's own sockets have room again.
 */
static void open_limited(unsigned n_workers, unsigned n_descriptors)
{
	struct rlimit before, low;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 256 + 64 * n_workers + n_descriptors;
	rig_free(rig);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	rig = rig_new(n_workers, 4);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* One socket for all workers: too few descriptors for one each. */
static void a_shared_listener_hands_its_connections_to_all_workers(void **state)
{
	int client[2], server[2];

	open_limited(2, 8);
	rig_put(rig, 1);
	for (int i = 0; i < 2; i++) {
		rig_pair(rig, &client[i], &server[i]);
		rig_send(client[i], "hello");
		rig_expect(server[i], "hello");
	}
	for (int i = 0; i < 2; i++)
		rig_close_both(client[i], server[i]);
}

/* Whichever worker the listener is in. */
static void clients_of_a_shared_listener_get_the_first_endpoint(void **state)
{
	int clients[3], servers[3];

	open_limited(2, 8);
	rig->times.hold_ms = RIG_TIMEOUT_MS;
	rig_put(rig, 0);
	for (int i = 0; i < 3; i++)
		clients[i] = rig_connect(rig);
	rig_await_connections(3);
	rig_put(rig, 1);
	for (int i = 0; i < 3; i++)
		servers[i] = rig_accept(rig, 0);
	for (int i = 0; i < 3; i++)
		rig_close_both(clients[i], servers[i]);
}

static void at_the_limit_clients_wait_until_there_is_room(void **state)
{
	int clients[N_LIMITED], first = -1;
	double max;

	open_limited(1, N_LIMITED + 4);
	rig_put(rig, 1);
	max = rig_stat(rig, "sluice_userspace_max_connections");
	assert_true(max > 4 && max < N_LIMITED);
	for (int i = 0; i < N_LIMITED; i++) {
		clients[i] = rig_connect(rig);
		assert_true(clients[i] >= 0);
	}
	for (int i = 0; i < (int)max; i++) {
		int server = rig_accept(rig, 0);

		if (i == 0)
			first = server;
	}
	assert_false(rig_has_connection(rig, 0, 200));
	assert_true(rig_stat(rig, "sluice_userspace_connections") == max);
	(void)close(first);
	for (int i = 0; i < N_LIMITED; i++)
		(void)close(clients[i]);
	/* there is room again */
	first = rig_connect(rig);
	assert_true(first >= 0);
	rig_send(first, "at last");
	for (;;) {
		char text[16] = "";
		int server = rig_accept(rig, 0);

		if (recv(server, text, 7, MSG_WAITALL) == 7) {
			assert_string_equal(text, "at last");
			break;
		}
		(void)close(server);
	}
	(void)close(first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_pass_in_both_directions),
		TEST(half_closed_connections_continue_in_the_other_direction),
		TEST(a_reset_on_one_side_is_a_reset_on_the_other),
		TEST(a_slow_reader_stops_the_sender_and_loses_nothing),
		TEST(an_endpoint_that_refuses_is_passed_over),
		TEST(a_connection_that_no_endpoint_accepts_is_reset),
		TEST(an_endpoint_that_never_answers_costs_the_connect_time_once),
		TEST(an_endpoint_that_resets_before_the_first_byte_is_passed_over),
		TEST(a_server_that_speaks_first_is_not_delayed),
		TEST(affinity_holds_for_all_workers),
		TEST(connections_are_balanced_over_all_endpoints),
		TEST(without_endpoints_connections_are_refused),
		TEST(a_held_connection_gets_the_first_endpoint),
		TEST(a_held_connection_is_reset_when_its_time_is_over),
		TEST(more_waiting_clients_than_the_bound_are_reset),
		TEST(sctp_is_refused_by_name),
		TEST(the_proxy_header_precedes_the_bytes_of_the_client),
		TEST(a_reset_after_a_half_close_ends_the_connection),
		TEST(a_reset_of_a_blocked_sender_ends_the_connection),
		TEST(a_shared_listener_hands_its_connections_to_all_workers),
		TEST(clients_of_a_shared_listener_get_the_first_endpoint),
		TEST(idle_connections_are_all_served),
		TEST(at_the_limit_clients_wait_until_there_is_room),
	};

	return cmocka_run_group_tests(tests, rig_enter, NULL);
}
