/*
 * TCP through the userspace plane where something is short or slow: thousands of
 * idle connections, pipes, ports, descriptors, a sender of single bytes, a silent
 * endpoint.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/test.h"
#include "tests/unit/capture.h"
#include "tests/unit/relay_rig_case.h"

#define N_IDLE	  5000
#define N_BLOCKED 48 /* more than a worker has pipes */
#define N_PORTS	  32
#define KB	  1024

static int open_rig(void **state)
{
	rig = rig_new(1, 2);
	return 0;
}

/* ---- 5000 idle connections: each process may have 20 000 descriptors ---- */

static void be_endpoint(void)
{
	static struct pollfd p[N_IDLE + 1];
	nfds_t n = 1;

	p[0] = (struct pollfd){.fd = rig->listeners[0], .events = POLLIN};
	while (poll(p, n, RIG_TIMEOUT_MS) > 0) {
		for (nfds_t i = n; i-- > 1;) {
			char byte;

			if (p[i].revents &&
			    (recv(p[i].fd, &byte, 1, 0) != 1 ||
			     send(p[i].fd, &byte, 1, MSG_NOSIGNAL) != 1)) {
				(void)close(p[i].fd);
				p[i] = p[--n];
			}
		}
		if (p[0].revents && n <= N_IDLE)
			p[n++] = (struct pollfd){.fd = accept(p[0].fd, NULL, NULL),
						 .events = POLLIN};
	}
	_exit(0);
}

/* Opens all, then uses each; the exit status is that of the test. */
static void be_clients(void)
{
	static int fds[N_IDLE];

	for (int i = 0; i < N_IDLE; i++) {
		fds[i] = rig_connect(rig);
		if (fds[i] < 0)
			_exit(1);
	}
	for (int i = 0; i < N_IDLE; i++) {
		char byte = (char)i, echo;

		if (send(fds[i], &byte, 1, MSG_NOSIGNAL) != 1 ||
		    recv(fds[i], &echo, 1, 0) != 1 || echo != byte)
			_exit(2);
	}
	_exit(0);
}

static pid_t fork_to(void (*be)(void))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		be();
	return pid;
}

static void five_thousand_idle_connections_are_all_served(void **state)
{
	pid_t endpoint, clients;
	int status;

	rig_put(rig, 1);
	endpoint = fork_to(be_endpoint);
	clients = fork_to(be_clients);
	assert_int_equal(waitpid(clients, &status, 0), clients);
	assert_int_equal(status, 0);
	rig_await_connections(0);
	(void)kill(endpoint, SIGKILL);
	(void)waitpid(endpoint, NULL, 0);
}

/* ---- pipes ---- */

static void more_blocked_directions_than_pipes_lose_nothing(void **state)
{
	static int clients[N_BLOCKED], servers[N_BLOCKED];
	size_t sent[N_BLOCKED];

	rig_put(rig, 1);
	for (size_t i = 0; i < N_BLOCKED; i++) {
		rig_pair(rig, &clients[i], &servers[i]);
		sent[i] = rig_stuff(clients[i]);
		assert_true(sent[i] > 256 * KB);
	}
	for (size_t i = N_BLOCKED; i-- > 0;) {
		rig_take(servers[i], sent[i]);
		rig_pump(servers[i], clients[i], 300 * KB);
	}
	for (size_t i = 0; i < N_BLOCKED; i++) {
		(void)close(clients[i]);
		(void)close(servers[i]);
	}
	rig_await_connections(0);
}

/* ---- ports ---- */

/* Of this network namespace. False: it is not the test's own. */
static bool set_port_range(unsigned first, unsigned last)
{
	_cleanup_(fclosep) FILE *f =
		fopen("/proc/sys/net/ipv4/ip_local_port_range", "we");

	return f && fprintf(f, "%u %u\n", first, last) > 0 && fflush(f) == 0;
}

static void connect_socket(int fd)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(rig->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
}

/* From an address of its own, which has as many ports. */
static int connect_from(unsigned last)
{
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(0x7f000000 | last)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	connect_socket(fd);
	return fd;
}

static bool is_answered(int fd)
{
	char byte;

	return send(fd, "?", 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1;
}

static void without_a_free_port_connections_fail_until_there_is_one(void **state)
{
	int clients[N_PORTS], servers[N_PORTS], late = -1, server = -1;

	rig_put(rig, 1);
	if (!set_port_range(40001, 40000 + N_PORTS))
		skip();
	for (unsigned i = 0; i < N_PORTS; i++) {
		clients[i] = connect_from(2);
		servers[i] = rig_accept(rig, 0);
	}
	late = connect_from(3);
	rig_expect_reset(late);
	(void)close(late);
	assert_true(rig_stat(rig, "sluice_userspace_failed_connections_total") >= 1);
	rig_send(clients[0], "still here");
	rig_expect(servers[0], "still here");
	/* the endpoint closes first: no port stays in TIME_WAIT here */
	(void)close(servers[1]);
	rig_expect_end(clients[1]);
	(void)close(clients[1]);
	rig_await_connections(N_PORTS - 1);
	/* the endpoint was set aside, which still allows it as the last one */
	for (int i = 0; i < 400 && server < 0; i++) {
		late = connect_from(3);
		if (rig_has_connection(rig, 0, 50))
			server = rig_accept(rig, 0);
		else
			(void)close(late);
	}
	assert_true(server >= 0);
	assert_int_equal(send(server, "!", 1, MSG_NOSIGNAL), 1);
	assert_true(is_answered(late));
	(void)close(late);
	(void)close(server);
	for (unsigned i = 0; i < N_PORTS; i++)
		if (i != 1) {
			(void)close(clients[i]);
			(void)close(servers[i]);
		}
	assert_true(set_port_range(32768, 60999));
}

/* ---- descriptors ---- */

/* The process, with all its threads, can open n more; without n they are as before. */
static void limit_descriptors(const unsigned *n)
{
	static rlim_t usual;
	struct rlimit limit;
	int lowest = dup(0);

	(void)close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (n)
		usual = limit.rlim_cur;
	limit.rlim_cur = n ? (rlim_t)lowest + *n : usual;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The last one is accepted, and then its endpoint cannot be connected to. */
static void without_descriptors_new_clients_wait_and_others_are_served(void **state)
{
	rig_put(rig, 1);
	for (unsigned n = 0; n < 2; n++) {
		int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int client, server, late_server;

		rig_pair(rig, &client, &server);
		capture_start();
		limit_descriptors(&n);
		connect_socket(late);
		rig_send(late, "at last");
		assert_false(rig_has_connection(rig, 0, 250));
		rig_pump(client, server, 1024 * KB); /* no pipe can be opened */
		rig_pump(server, client, 1024 * KB);
		limit_descriptors(NULL);
		assert_int_equal(capture_count(capture_end(),
					       "cannot accept connections: Too many open "
					       "files; new clients wait"),
				 n == 0);
		late_server = rig_accept(rig, 0);
		rig_expect(late_server, "at last");
		(void)close(late);
		(void)close(late_server);
		(void)close(client);
		(void)close(server);
	}
	rig_await_connections(0);
}

/* ---- slow ones ---- */

static void single_bytes_are_passed_on_one_by_one(void **state)
{
	static const char *const letters[] = {"a", "b", "c", "d", "e"};
	int client, server;

	rig_put(rig, 1);
	rig_pair(rig, &client, &server);
	for (int i = 0; i < 500; i++) {
		/* each is there before the next one is sent */
		rig_send(client, letters[i % 5]);
		rig_expect(server, letters[i % 5]);
		rig_send(server, letters[i % 3]);
		rig_expect(client, letters[i % 3]);
	}
	(void)close(client);
	(void)close(server);
}

static void an_urgent_byte_keeps_its_place(void **state)
{
	int client, server;

	rig_put(rig, 1);
	rig_pair(rig, &client, &server);
	rig_send(client, "be");
	assert_int_equal(send(client, "f", 1, MSG_OOB), 1);
	rig_send(client, "ore");
	rig_expect(server, "before");
	assert_int_equal(send(server, "f", 1, MSG_OOB), 1);
	rig_send(server, "ore");
	(void)close(server);
	rig_expect(client, "fore");
	rig_expect_end(client);
	(void)close(client);
}

static void an_urgent_byte_in_a_stream_keeps_its_place(void **state)
{
	static char bulk[300000]; /* after such bytes the direction splices */
	int client, server;

	rig_put(rig, 1);
	rig_pair(rig, &client, &server);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(send(client, bulk, sizeof(bulk), 0), sizeof(bulk));
		assert_int_equal(recv(server, bulk, sizeof(bulk), MSG_WAITALL),
				 sizeof(bulk));
		rig_send(client, "be");
		assert_int_equal(send(client, "f", 1, MSG_OOB), 1);
		rig_send(client, "ore");
		rig_expect(server, "before");
	}
	(void)close(client);
	(void)close(server);
}

static void a_silent_endpoint_keeps_its_connection(void **state)
{
	int client, server;

	rig->times.connect_timeout_ms = 100;
	rig_put(rig, 3);
	client = rig_connect(rig);
	assert_true(client >= 0);
	rig_send(client, "hello?");
	server =
		rig_has_connection(rig, 0, 200) ? rig_accept(rig, 0) : rig_accept(rig, 1);
	/* the time to connect does not count any more */
	assert_int_equal(poll(&(struct pollfd){.fd = client, .events = POLLIN}, 1, 500),
			 0);
	rig_expect(server, "hello?");
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	rig_expect_end(server);
	rig_send(server, "yes");
	rig_expect(client, "yes");
	(void)close(client);
	(void)close(server);
}

static void when_all_endpoints_are_black_holes_the_client_is_reset(void **state)
{
	int fillers[2][4], client;

	for (size_t i = 0; i < 2; i++)
		rig_fill_queue(rig, i, fillers[i], N_ELEMENTS(fillers[i]));
	rig->times.connect_timeout_ms = 200;
	rig_put(rig, 3);
	client = rig_connect(rig);
	assert_true(client >= 0);
	rig_expect_reset(client);
	(void)close(client);
	for (size_t i = 0; i < 8; i++)
		(void)close(fillers[i / 4][i % 4]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(five_thousand_idle_connections_are_all_served),
		TEST(more_blocked_directions_than_pipes_lose_nothing),
		TEST(without_a_free_port_connections_fail_until_there_is_one),
		TEST(without_descriptors_new_clients_wait_and_others_are_served),
		TEST(single_bytes_are_passed_on_one_by_one),
		TEST(an_urgent_byte_keeps_its_place),
		TEST(an_urgent_byte_in_a_stream_keeps_its_place),
		TEST(a_silent_endpoint_keeps_its_connection),
		TEST(when_all_endpoints_are_black_holes_the_client_is_reset),
	};

	return cmocka_run_group_tests(tests, rig_enter, NULL);
}
