/*
 * The frontend that a socket asked for is kept at a place of an array, which the socket
 * has until it is closed. Where the place is taken, the socket shows the service as well.
 * UDP sockets have none where the programs cannot read the kernel's structure of a socket.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/ebpf_optout.h"
#include "bpf/ebpf_private.h"
#include "core/cleanup.h"
#include "tests/kernel/ebpf_plane.h"
#include "tests/short_service.h"

#define FOUR	   "10.96.0.10:80"
#define SIX	   "[fd00:96::10]:80"
#define POD1	   "10.244.0.1:8080"
#define POD2	   "10.244.0.2:8080"
#define DNS	   "10.96.0.53:53"
#define NODE_LOCAL "10.96.0.54:53"
#define SIX1	   "[fd00:244::1]:8080"

#define N_SOCKETS 20
#define ANSWER_MS 10000

static struct ebpf_stage *stage;
static struct ebpf_plane plane;
static int map;
static struct ebpf_connection places[EBPF_CONNECTIONS];

static int set_up(void **state)
{
	_cleanup_(freep) char *path = xasprintf("%s/sluice/connections", stage->bpffs);

	(void)state;
	plane = ebpf_plane_open(stage);
	ebpf_plane_put(&plane, short_service("web", IPPROTO_TCP, FOUR, POD1));
	ebpf_plane_put(&plane, short_service("web6", IPPROTO_TCP, SIX, SIX1));
	ebpf_plane_put(&plane, short_service("dns", IPPROTO_UDP, DNS, POD1));
	map = bpf_obj_get(path);
	assert_true(map >= 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)close(map);
	ebpf_plane_close(&plane);
	return 0;
}

static void read_places(void)
{
	for (uint32_t i = 0; i < EBPF_CONNECTIONS; i++)
		assert_int_equal(bpf_map_lookup_elem(map, &i, &places[i]), 0);
}

static unsigned count_taken(void)
{
	unsigned n = 0;

	read_places();
	for (uint32_t i = 0; i < EBPF_CONNECTIONS; i++)
		n += places[i].n_claims > 0;
	return n;
}

static void take_all_places(void)
{
	const struct ebpf_connection taken = {.cookie = 1, .n_claims = 1};

	for (uint32_t i = 0; i < EBPF_CONNECTIONS; i++)
		assert_int_equal(bpf_map_update_elem(map, &i, &taken, BPF_ANY), 0);
}

static void a_socket_has_a_place_until_it_is_closed(void **state)
{
	int fds[N_SOCKETS];

	(void)state;
	for (unsigned i = 0; i < N_SOCKETS; i++) {
		const char *frontend = i % 2 ? FOUR : SIX;

		fds[i] = ebpf_connect(SOCK_STREAM, frontend);
		assert_true(fds[i] >= 0);
		assert_string_equal(ebpf_peer(fds[i]), frontend);
	}
	assert_int_equal(count_taken(), N_SOCKETS);
	for (unsigned i = 0; i < N_SOCKETS; i++)
		(void)close(fds[i]);
	assert_int_equal(count_taken(), 0);
}

static void a_process_that_is_killed_gives_its_places_back(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)ebpf_connect(SOCK_STREAM, FOUR);
		(void)raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(count_taken(), 0);
}

static void a_socket_that_connects_again_keeps_its_place(void **state)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	_cleanup_(closep) int fd = ebpf_connect(SOCK_STREAM, FOUR);
	struct sockaddr_storage sa;
	socklen_t len = ebpf_sockaddr(POD1, false, &sa);

	(void)state;
	assert_int_equal(connect(fd, &none, sizeof(none)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	assert_string_equal(ebpf_peer(fd), POD1);
	assert_int_equal(connect(fd, &none, sizeof(none)), 0);
	len = ebpf_sockaddr(FOUR, false, &sa);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	assert_string_equal(ebpf_peer(fd), FOUR);
	assert_int_equal(count_taken(), 1);
	(void)close(fd);
	fd = -1;
	assert_int_equal(count_taken(), 0);
}

static void a_socket_whose_place_is_taken_shows_the_service_too(void **state)
{
	_cleanup_(closep) int fd = -1;

	(void)state;
	take_all_places();
	fd = ebpf_connect(SOCK_STREAM, FOUR);
	assert_true(fd >= 0);
	assert_string_equal(ebpf_peer(fd), FOUR);
	read_places();
	for (uint32_t i = 0; i < EBPF_CONNECTIONS; i++) {
		assert_int_equal(places[i].n_claims, 1);
		assert_int_equal(places[i].cookie, 1);
	}
}

static int open_udp(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return fd;
}

static unsigned n_places_of_udp(void)
{
	return plane.kernel->sock.cast ? 1 : 0;
}

/* The kernel accepts the programs that read it: not those that follow if it refuses. */
static void the_kernel_is_read_where_it_can_be(void **state)
{
	struct ebpf_kernel_sock found = ebpf_kernel_sock_find();

	(void)state;
	if (ebpf_stage_is_plain())
		found.cast = 0;
	assert_int_equal(plane.kernel->sock.cast, found.cast);
}

static void an_unconnected_socket_has_a_place_until_it_is_closed(void **state)
{
	int fd = open_udp();

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_string_equal(ebpf_ask_on(fd, DNS), POD1);
	assert_int_equal(count_taken(), n_places_of_udp());
	(void)close(fd);
	assert_int_equal(count_taken(), 0);
}

/* Asks there: the server's name is wanted, and that of the place as its sender. */
static void expect_answer(int fd, const char *place, const char *server)
{
	char text[ADDR_PORT_TEXT_LEN], buf[80];
	struct sockaddr_storage sa;
	socklen_t len = ebpf_sockaddr(place, false, &sa);
	struct pollfd p = {fd, POLLIN, 0};
	struct addr addr;
	uint16_t port;
	ssize_t n;

	assert_int_equal(sendto(fd, "?", 1, 0, (struct sockaddr *)&sa, len), 1);
	assert_int_equal(poll(&p, 1, ANSWER_MS), 1);
	len = sizeof(sa);
	n = recvfrom(fd, buf, sizeof(buf) - 1, 0, (struct sockaddr *)&sa, &len);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, server);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, &addr, &port), 0);
	assert_string_equal(addr_port_format(&addr, port, text), place);
}

/* Its place keeps the first route, which other threads may just be reading. */
static void a_socket_follows_its_endpoint_and_forgets_the_old_one(void **state)
{
	_cleanup_(closep) int fd = open_udp();

	(void)state;
	for (int i = 0; i < 3; i++)
		expect_answer(fd, DNS, POD1);
	ebpf_plane_put(&plane, short_service("dns", IPPROTO_UDP, DNS, POD2));
	for (int i = 0; i < 3; i++)
		expect_answer(fd, DNS, POD2);
	ebpf_plane_put(&plane, short_service("local", IPPROTO_UDP, NODE_LOCAL, POD1));
	for (int i = 0; i < 3; i++)
		expect_answer(fd, NODE_LOCAL, POD1);
	assert_int_equal(count_taken(), n_places_of_udp());
}

static void a_socket_that_asks_the_endpoint_itself_sees_it(void **state)
{
	_cleanup_(closep) int fd = open_udp();

	(void)state;
	for (int turn = 0; turn < 2; turn++) {
		for (int i = 0; i < 3; i++)
			expect_answer(fd, DNS, POD1);
		for (int i = 0; i < 3; i++)
			expect_answer(fd, POD1, POD1);
	}
}

static void a_socket_that_connects_to_the_endpoint_itself_sees_it(void **state)
{
	_cleanup_(closep) int fd = open_udp();
	struct sockaddr_storage sa;
	socklen_t len = ebpf_sockaddr(POD1, false, &sa);

	(void)state;
	for (int i = 0; i < 3; i++)
		expect_answer(fd, DNS, POD1);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	expect_answer(fd, POD1, POD1);
}

static void an_unconnected_socket_whose_place_is_taken_is_served_too(void **state)
{
	_cleanup_(closep) int fd = open_udp();

	(void)state;
	take_all_places();
	for (int i = 0; i < 3; i++)
		assert_string_equal(ebpf_ask_on(fd, DNS), POD1);
}

static void enter_cgroup(const char *procs)
{
	_cleanup_(fclosep) FILE *file = fopen(procs, "we");

	assert_non_null(file);
	assert_true(fputs("0", file) >= 0);
	assert_int_equal(fflush(file), 0);
}

static void a_cgroup_opts_out_with_its_open_sockets(void **state)
{
	_cleanup_(freep) char *procs = xasprintf("%s/cgroup.procs", stage->cgroup);
	const char *const excluded[] = {stage->pod};
	_cleanup_(closep) int fd = -1;
	struct ebpf_optout *o;

	(void)state;
	enter_cgroup(stage->pod_procs);
	fd = open_udp();
	enter_cgroup(procs);
	for (int i = 0; i < 3; i++)
		assert_string_equal(ebpf_ask_on(fd, DNS), POD1);
	assert_int_equal(ebpf_optout_new(plane.kernel, &o), 0);
	ebpf_optout_set_paths(o, excluded, 1);
	assert_string_equal(ebpf_ask_on(fd, DNS), strerror(ENETUNREACH));
	ebpf_optout_free(o);
}

#define WITH_PLANE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_PLANE(a_socket_has_a_place_until_it_is_closed),
		WITH_PLANE(a_process_that_is_killed_gives_its_places_back),
		WITH_PLANE(a_socket_that_connects_again_keeps_its_place),
		WITH_PLANE(a_socket_whose_place_is_taken_shows_the_service_too),
		WITH_PLANE(the_kernel_is_read_where_it_can_be),
		WITH_PLANE(an_unconnected_socket_has_a_place_until_it_is_closed),
		WITH_PLANE(a_socket_follows_its_endpoint_and_forgets_the_old_one),
		WITH_PLANE(a_socket_that_asks_the_endpoint_itself_sees_it),
		WITH_PLANE(a_socket_that_connects_to_the_endpoint_itself_sees_it),
		WITH_PLANE(an_unconnected_socket_whose_place_is_taken_is_served_too),
		WITH_PLANE(a_cgroup_opts_out_with_its_open_sockets),
	};
	int n_failed;

	stage = ebpf_stage_enter();
	if (!stage)
		return TEST_SKIPPED;
	ebpf_stage_serve(POD1 " " POD2 " " SIX1);
	n_failed = cmocka_run_group_tests(tests, NULL, NULL);
	ebpf_stage_leave(stage);
	return n_failed;
}
