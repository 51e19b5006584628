/*
 * A million connections one after the other, and a gigabyte in each direction: this
 * takes minutes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/test.h"
#include "tests/unit/relay_rig_case.h"

#define MILLION		   1000000u
#define N_CLIENTS	   4
#define GB		   (UINT64_C(1) << 30)
#define N_FILES_OF_WORKERS 40		/* an idle pipe may stay, and each has its loop */
#define MAX_RESIDENT_KB	   (400 * 1024) /* with AddressSanitizer, which keeps freed memory */

static int open_rig(void **state)
{
	/* for minutes all processors are busy: tests beside this one go first */
	assert_int_equal(setpriority(PRIO_PROCESS, 0, 19), 0);
	rig = rig_new(2, 1);
	return 0;
}

/* Answers each byte with one, and closes: the ports of the relay are free then. */
static void be_endpoint(void)
{
	for (;;) {
		int fd = accept(rig->listeners[0], NULL, NULL);
		char byte;

		if (fd >= 0 && recv(fd, &byte, 1, 0) == 1)
			(void)send(fd, &byte, 1, MSG_NOSIGNAL);
		(void)close(fd);
	}
}

static void be_client(void)
{
	for (unsigned i = 0; i < MILLION / N_CLIENTS; i++) {
		int fd = rig_connect(rig);
		char byte = (char)i, echo[2];

		if (fd < 0 || send(fd, &byte, 1, MSG_NOSIGNAL) != 1 ||
		    recv(fd, echo, 1, 0) != 1 || echo[0] != byte ||
		    recv(fd, echo, 1, 0) != 0) {
			(void)fprintf(stderr, "connection %u: %s\n", i, strerror(errno));
			_exit(1);
		}
		(void)close(fd);
	}
	_exit(0);
}

static unsigned n_open_files(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static long resident_kb(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/statm", "re");
	long total, resident = -1;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld %ld", &total, &resident), 2);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static pid_t fork_to(void (*be)(void))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		be();
	return pid;
}

static void a_million_connections_leave_nothing(void **state)
{
	pid_t endpoint, clients[N_CLIENTS];
	unsigned n_files = n_open_files();
	int status;

	rig_put(rig, 1);
	endpoint = fork_to(be_endpoint);
	for (int i = 0; i < N_CLIENTS; i++)
		clients[i] = fork_to(be_client);
	for (int i = 0; i < N_CLIENTS; i++) {
		assert_int_equal(waitpid(clients[i], &status, 0), clients[i]);
		assert_int_equal(status, 0);
	}
	(void)kill(endpoint, SIGKILL);
	(void)waitpid(endpoint, NULL, 0);
	assert_true(rig_stat(rig, "sluice_userspace_connections_total") == MILLION);
	assert_true(rig_stat(rig, "sluice_userspace_failed_connections_total") == 0);
	for (int i = 0; i < 2000 && rig_stat(rig, "sluice_userspace_connections"); i++)
		(void)poll(NULL, 0, 5);
	assert_true(n_open_files() <= n_files + N_FILES_OF_WORKERS);
	print_message("%ld kB are resident\n", resident_kb());
	assert_true(resident_kb() < MAX_RESIDENT_KB);
}

static void a_gigabyte_arrives_as_it_was_sent(void **state)
{
	int client, server;

	rig_put(rig, 1);
	rig_pair(rig, &client, &server);
	rig_pump(client, server, GB);
	rig_pump(server, client, GB);
	(void)close(client);
	(void)close(server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_gigabyte_arrives_as_it_was_sent),
		TEST(a_million_connections_leave_nothing),
	};

	return cmocka_run_group_tests(tests, rig_enter, NULL);
}
