/*
 * The rights of a process, and of programs that it runs, once privileges are dropped.
 * Each case is a child.  Built without sanitizers, under which no filter is loaded.
 */
#include "tests/test.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proxy/host/privileges.h"

/* The exit status of fn in a child that has dropped its privileges. */
static int status_of(int (*fn)(void), bool keep_exec)
{
	struct privileges privileges = {.keep_exec = keep_exec};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		privileges_drop(&privileges);
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int run_program(void)
{
	(void)execl("/bin/sh", "sh", "-c",
		    "grep -q '^CapPrm:.*0000000000000000$' /proc/self/status", NULL);
	return 99;
}

static void a_program_run_by_root_has_no_capabilities(void **state)
{
	(void)state;
	if (getuid() != 0)
		skip();
	assert_int_equal(status_of(run_program, true), 0);
}

static int has_net_admin(void)
{
	const char *why;

	return privileges_check(&why) == 0 ? 0 : 1;
}

static void the_daemon_keeps_the_capabilities_for_programming(void **state)
{
	(void)state;
	if (getuid() != 0)
		skip();
	assert_int_equal(status_of(has_net_admin, true), 0);
}

/* Calls that the filter refuses, whatever this kernel knows, and those next to them. */
static int try_calls(void)
{
	static const int refused[] = {AF_PACKET, AF_ALG, AF_VSOCK, AF_BLUETOOTH};
	static const int allowed[] = {AF_INET, AF_NETLINK, AF_UNIX};

	for (size_t i = 0; i < N_ELEMENTS(refused); i++)
		if (socket(refused[i], SOCK_DGRAM, 0) != -1 || errno != EPERM)
			return 10 + (int)i;
	for (size_t i = 0; i < N_ELEMENTS(allowed); i++)
		if (socket(allowed[i], SOCK_DGRAM, 0) == -1)
			return 20 + (int)i;
	if (syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0) != -1)
		return 2;
	if (syscall(SYS_clone3, NULL, 0) != -1 || errno != ENOSYS)
		return 3;
	return 0;
}

/* A ring would do the calls that the filter refuses, without the filter. */
static int try_io_uring(void)
{
	if (syscall(SYS_io_uring_setup, 1, NULL) != -1 || errno != EPERM)
		return 1;
	if (syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0) != -1 || errno != EPERM)
		return 2;
	if (syscall(SYS_io_uring_register, -1, 0, NULL, 0) != -1 || errno != EPERM)
		return 3;
	return 0;
}

static void other_protocols_and_namespaces_are_refused(void **state)
{
	(void)state;
	assert_int_equal(status_of(try_calls, false), 0);
}

static void io_uring_is_refused(void **state)
{
	(void)state;
	assert_int_equal(status_of(try_io_uring, false), 0);
}

static int fork_and_wait(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(7);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7 ? 0
										      : 1;
}

static void child_processes_can_be_started(void **state)
{
	(void)state;
	assert_int_equal(status_of(fork_and_wait, false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_run_by_root_has_no_capabilities),
		cmocka_unit_test(the_daemon_keeps_the_capabilities_for_programming),
		cmocka_unit_test(other_protocols_and_namespaces_are_refused),
		cmocka_unit_test(io_uring_is_refused),
		cmocka_unit_test(child_processes_can_be_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
