/*
 * Which sockets are closed when an endpoint is removed: those that would send
 * to it for ever, in all namespaces, and no others. And when only the address goes
 * that they asked for.
 */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/ebpf_sockets.h"
#include "core/cleanup.h"
#include "tests/kernel/ebpf_plane.h"
#include "tests/short_service.h"

#define GOES	  "10.96.0.10:80"
#define GOES_6	  "[fd00:96::10]:80"
#define RESETS	  "10.96.0.11:80"
#define STAYS	  "10.96.0.12:80"
#define OLD	  "10.244.0.1:8080"
#define OLD_6	  "[fd00:244::1]:8080"
#define NEW	  "10.244.0.2:8080"
#define NEW_6	  "[fd00:244::2]:8080"
#define LEAVES	  "10.96.0.20:80"
#define MOVES	  "10.96.0.21:80"
#define REMAINS	  "10.96.0.22:80"
#define MAX_KINDS 16

/* One after the other with the same socket; NULL: no more. */
#define MAX_STEPS 2

static const struct kind {
	const char *name;
	int type;
	const char *connects[MAX_STEPS];
	const char *sends_to;
	bool is_mapped, is_elsewhere; /* in another namespace */
	bool is_closed;
} of_endpoint[] =
	{
		{.name = "UDP",
		 .type = SOCK_DGRAM,
		 .connects = {GOES},
		 .is_closed = true},
		{.name = "UDP over IPv6",
		 .type = SOCK_DGRAM,
		 .connects = {GOES_6},
		 .is_closed = true},
		{.name = "UDP, IPv4-mapped",
		 .type = SOCK_DGRAM,
		 .connects = {GOES},
		 .is_mapped = true,
		 .is_closed = true},
		{.name = "UDP in another namespace",
		 .type = SOCK_DGRAM,
		 .connects = {GOES},
		 .is_elsewhere = true,
		 .is_closed = true},
		{.name = "UDP that came from another service",
		 .type = SOCK_DGRAM,
		 .connects = {STAYS, GOES},
		 .is_closed = true},
		{.name = "UDP, not connected", .type = SOCK_DGRAM, .sends_to = GOES},
		{.name = "UDP, connected to the endpoint itself",
		 .type = SOCK_DGRAM,
		 .connects = {OLD}},
		{.name = "UDP that moved to the endpoint itself",
		 .type = SOCK_DGRAM,
		 .connects = {GOES, OLD}},
		{.name = "UDP that moved to another service",
		 .type = SOCK_DGRAM,
		 .connects = {GOES, STAYS}},
		{.name = "UDP of an endpoint that stays",
		 .type = SOCK_DGRAM,
		 .connects = {STAYS}},
		{.name = "TCP", .type = SOCK_STREAM, .connects = {GOES}},
		{.name = "TCP with reset",
		 .type = SOCK_STREAM,
		 .connects = {RESETS},
		 .is_closed = true},
		{.name = "TCP with reset, IPv4-mapped",
		 .type = SOCK_STREAM,
		 .connects = {RESETS},
		 .is_mapped = true,
		 .is_closed = true},
		{.name = "TCP, connected to the endpoint itself",
		 .type = SOCK_STREAM,
		 .connects = {OLD}},
},
  of_address[] = {
	  {.name = "UDP", .type = SOCK_DGRAM, .connects = {LEAVES}, .is_closed = true},
	  {.name = "UDP, IPv4-mapped",
	   .type = SOCK_DGRAM,
	   .connects = {LEAVES},
	   .is_mapped = true,
	   .is_closed = true},
	  {.name = "UDP in another namespace",
	   .type = SOCK_DGRAM,
	   .connects = {LEAVES},
	   .is_elsewhere = true,
	   .is_closed = true},
	  {.name = "UDP to an address that another service has now",
	   .type = SOCK_DGRAM,
	   .connects = {MOVES},
	   .is_closed = true},
	  {.name = "UDP to another address of the service",
	   .type = SOCK_DGRAM,
	   .connects = {REMAINS}},
	  {.name = "UDP that moved to another address",
	   .type = SOCK_DGRAM,
	   .connects = {LEAVES, REMAINS}},
	  {.name = "UDP that moved to the endpoint itself",
	   .type = SOCK_DGRAM,
	   .connects = {LEAVES, OLD}},
	  {.name = "UDP, not connected", .type = SOCK_DGRAM, .sends_to = LEAVES},
	  {.name = "TCP", .type = SOCK_STREAM, .connects = {LEAVES}},
};

static struct ebpf_stage *stage;
static struct ebpf_plane plane;
static struct ebpf_sockets *sockets;
static int listener; /* its connections are never accepted, and stay open */

static void add_addresses(void)
{
	assert_int_equal(system("ip link set lo up && "
				"ip addr add 10.244.0.1/32 dev lo && "
				"ip addr add 10.244.0.2/32 dev lo && "
				"ip addr add fd00:244::1/128 dev lo nodad && "
				"ip addr add fd00:244::2/128 dev lo nodad"),
			 0);
}

static struct service *resetting(const char *endpoints)
{
	struct service *s = short_service("resets", IPPROTO_TCP, RESETS, endpoints);

	s->options.on_endpoint_removed = ENDPOINT_REMOVAL_RESET;
	return s;
}

static void put(const char *endpoint, const char *endpoint_6)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};

	for (size_t i = 0; i < N_ELEMENTS(protos); i++) {
		ebpf_plane_put(&plane, short_service("goes", protos[i], GOES, endpoint));
		ebpf_plane_put(&plane,
			       short_service("six", protos[i], GOES_6, endpoint_6));
		ebpf_plane_put(&plane, short_service("stays", protos[i], STAYS, OLD));
	}
	ebpf_plane_put(&plane, resetting(endpoint));
}

static int set_up(void **state)
{
	_cleanup_(freep) char *why = NULL;

	plane = ebpf_plane_open(stage);
	if (ebpf_sockets_new(plane.kernel, &sockets, &why) != 0)
		print_message("%s\n", why);
	put(OLD, OLD_6);
	return 0;
}

static int tear_down(void **state)
{
	ebpf_sockets_free(sockets);
	sockets = NULL;
	ebpf_plane_close(&plane);
	return 0;
}

static int open_kind(const struct kind *k)
{
	const char *first = k->sends_to ? k->sends_to : k->connects[0];
	struct sockaddr_storage sa;
	socklen_t len = ebpf_sockaddr(first, k->is_mapped, &sa);
	int fd;

	if (k->is_elsewhere) {
		assert_int_equal(unshare(CLONE_NEWNET), 0);
		add_addresses();
	}
	fd = socket(sa.ss_family, k->type | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (k->sends_to)
		assert_int_equal(sendto(fd, "?", 1, 0, (struct sockaddr *)&sa, len), 1);
	for (size_t i = 0; i < MAX_STEPS && k->connects[i]; i++) {
		len = ebpf_sockaddr(k->connects[i], k->is_mapped, &sa);
		if (connect(fd, (struct sockaddr *)&sa, len) != 0)
			fail_msg("%s: %s: %s", k->name, k->connects[i], strerror(errno));
	}
	return fd;
}

/* All in one namespace but those that are elsewhere. */
static void open_all(const struct kind *kinds, size_t n, int *fds)
{
	_cleanup_(closep) int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	for (size_t i = 0; i < n; i++) {
		fds[i] = open_kind(&kinds[i]);
		assert_int_equal(setns(home, CLONE_NEWNET), 0);
	}
}

/* 0 while it is open; nothing was sent to it. */
static int error_of(int fd)
{
	char c;

	if (recv(fd, &c, 1, MSG_DONTWAIT) >= 0)
		return EPIPE;
	return errno == EAGAIN || errno == ECONNREFUSED ? 0 : errno;
}

/* Sockets of all kinds are open while it happens. */
static void expect_closed(const struct kind *kinds, size_t n, void (*change)(void))
{
	struct ebpf_closed closed;
	uint64_t n_expected = 0;
	int fds[MAX_KINDS];

	open_all(kinds, n, fds);
	assert_int_equal(ebpf_sockets_close_stale(sockets, &closed), 0);
	assert_int_equal(closed.n_sockets, 0);
	change();
	assert_int_equal(ebpf_sockets_close_stale(sockets, &closed), 0);
	for (size_t i = 0; i < n; i++) {
		int err = error_of(fds[i]);

		if (err != (kinds[i].is_closed ? ECONNABORTED : 0))
			fail_msg("%s: %s", kinds[i].name, err ? strerror(err) : "open");
		n_expected += kinds[i].is_closed;
		(void)close(fds[i]);
	}
	assert_int_equal(closed.n_sockets, n_expected);
	assert_int_equal(closed.n_unreachable, 0);
	assert_int_equal(ebpf_sockets_close_stale(sockets, &closed), 0);
	assert_int_equal(closed.n_sockets, 0);
}

static void remove_endpoint(void)
{
	put(NEW, NEW_6);
}

static void sockets_of_a_removed_endpoint_are_closed_and_no_others(void **state)
{
	_Static_assert(N_ELEMENTS(of_endpoint) <= MAX_KINDS, "MAX_KINDS");
	if (!sockets)
		skip();
	expect_closed(of_endpoint, N_ELEMENTS(of_endpoint), remove_endpoint);
}

/* Two services with one endpoint, which stays. */
static void put_addresses(const char *of_first, const char *of_second)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};

	for (size_t i = 0; i < N_ELEMENTS(protos); i++) {
		ebpf_plane_put(&plane, short_service("first", protos[i], of_first, OLD));
		ebpf_plane_put(&plane,
			       short_service("second", protos[i], of_second, OLD));
	}
}

static void remove_address(void)
{
	struct ebpf_table_stats before = ebpf_table_stats(plane.table);

	put_addresses(REMAINS, "10.96.0.30:80 " MOVES);
	/* those of TCP do not count */
	assert_int_equal(ebpf_table_stats(plane.table).n_lost - before.n_lost, 2);
	assert_int_equal(ebpf_table_stats(plane.table).n_gone, before.n_gone);
}

static void udp_sockets_of_a_removed_address_are_closed_and_no_others(void **state)
{
	_Static_assert(N_ELEMENTS(of_address) <= MAX_KINDS, "MAX_KINDS");
	if (!sockets)
		skip();
	put_addresses(LEAVES " " MOVES " " REMAINS, "10.96.0.30:80");
	expect_closed(of_address, N_ELEMENTS(of_address), remove_address);
}

/* A socket that has connected again goes to the endpoint that took over. */
static void a_closed_socket_can_connect_again(void **state)
{
	static const struct kind udp = {.type = SOCK_DGRAM, .connects = {GOES}};
	struct sockaddr_storage sa;
	socklen_t len = ebpf_sockaddr(GOES, false, &sa);
	_cleanup_(closep) int fd = -1;
	struct ebpf_closed closed;

	if (!sockets)
		skip();
	fd = open_kind(&udp);
	put(NEW, NEW_6);
	assert_int_equal(ebpf_sockets_close_stale(sockets, &closed), 0);
	assert_int_equal(error_of(fd), ECONNABORTED);
	assert_int_equal(send(fd, "?", 1, 0), -1);
	assert_int_equal(errno, EDESTADDRREQ);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(ebpf_sockets_close_stale(sockets, &closed), 0);
	assert_int_equal(closed.n_sockets, 0);
	assert_string_equal(ebpf_peer(fd), GOES);
}

/* open_by_handle_at() knows namespaces since 6.18 */
static void lose_numbers(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(ESTALE), SCMP_SYS(open_by_handle_at),
			     0) != 0 ||
	    seccomp_load(filter) != 0)
		_exit(1);
}

static void lose_sys_admin(void)
{
	if (capng_get_caps_process() != 0 ||
	    capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SYS_ADMIN) !=
		    0 ||
	    capng_apply(CAPNG_SELECT_CAPS) != 0)
		_exit(1);
}

/* A process in a namespace of its own, with a connected socket. */
static pid_t start_elsewhere(void)
{
	static const struct kind udp = {.type = SOCK_DGRAM,
					.connects = {GOES},
					.is_elsewhere = true};
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)open_kind(&udp);
		if (write(ready[1], "", 1) == 1)
			(void)pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return pid;
}

static void another_namespace_is_entered_as_far_as_possible(void **state)
{
	static const struct {
		void (*lose)(void);
		unsigned n_closed, n_unreachable;
	} steps[] = {{lose_sys_admin, 0, 1}, {lose_numbers, 1, 0}};
	pid_t holder, pid;
	int status;

	if (!sockets)
		skip();
	holder = start_elsewhere();
	put(NEW, NEW_6);
	for (size_t i = 0; i < N_ELEMENTS(steps); i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct ebpf_closed closed;

			steps[i].lose();
			if (ebpf_sockets_close_stale(sockets, &closed) != 0)
				_exit(1);
			_exit(closed.n_sockets == steps[i].n_closed &&
					      closed.n_unreachable ==
						      steps[i].n_unreachable
				      ? 0
				      : 2);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	(void)kill(holder, SIGKILL);
	assert_int_equal(waitpid(holder, &status, 0), holder);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			sockets_of_a_removed_endpoint_are_closed_and_no_others, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			udp_sockets_of_a_removed_address_are_closed_and_no_others, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(a_closed_socket_can_connect_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			another_namespace_is_entered_as_far_as_possible, set_up,
			tear_down),
	};
	int n_failed;

	stage = ebpf_stage_enter();
	if (!stage)
		return TEST_SKIPPED;
	add_addresses();
	listener = ebpf_listen(OLD);
	n_failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)close(listener);
	ebpf_stage_leave(stage);
	return n_failed;
}
