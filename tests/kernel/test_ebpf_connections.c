/*
 * The frontend that a TCP socket asked for is kept at a place of an array, which the socket
 * has until it is closed. Where the place is taken, the socket shows the service as well.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/kernel/ebpf_plane.h"
#include "tests/short_service.h"

#define FOUR "10.96.0.10:80"
#define SIX  "[fd00:96::10]:80"
#define POD1 "10.244.0.1:8080"
#define SIX1 "[fd00:244::1]:8080"

#define N_SOCKETS 20

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

#define WITH_PLANE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_PLANE(a_socket_has_a_place_until_it_is_closed),
		WITH_PLANE(a_process_that_is_killed_gives_its_places_back),
		WITH_PLANE(a_socket_that_connects_again_keeps_its_place),
		WITH_PLANE(a_socket_whose_place_is_taken_shows_the_service_too),
	};
	int n_failed;

	stage = ebpf_stage_enter();
	if (!stage)
		return TEST_SKIPPED;
	ebpf_stage_serve(POD1 " " SIX1);
	n_failed = cmocka_run_group_tests(tests, NULL, NULL);
	ebpf_stage_leave(stage);
	return n_failed;
}
