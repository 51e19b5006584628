/*
 * The lock of a network namespace, in one of its own.
 */
#include "tests/test.h"

#include <errno.h>
#include <ev.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/host/netns_lock.h"
#include "tests/unit/turn_loop.h"

/* A child that holds the lock as this user until it is killed; returns when it does. */
static pid_t start_holder(uid_t uid)
{
	struct netns_lock *lock;
	int ready[2];
	pid_t pid, other;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (setuid(uid) == 0 && netns_lock_take(&lock, &other) == 0 &&
		    write(ready[1], "x", 1) == 1)
			(void)pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return pid;
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_second_process_gets_the_pid_of_the_lock_holder(void **state)
{
	pid_t holder = start_holder(getuid()), pid = 0;
	struct netns_lock *lock = NULL;

	(void)state;
	assert_int_equal(netns_lock_take(&lock, &pid), -EADDRINUSE);
	assert_int_equal(pid, holder);
	assert_int_equal(netns_lock_holder(&pid), 0);
	assert_int_equal(pid, holder);
	end(holder);
	assert_int_equal(netns_lock_holder(&pid), -ENOENT);
	assert_int_equal(netns_lock_take(&lock, &pid), 0);
	netns_lock_release(lock);
}

/* They are accepted, or the backlog would be full after some. */
static void any_number_of_processes_may_query_the_lock_holder(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct netns_lock *lock = NULL;
	pid_t pid = 0;

	(void)state;
	assert_int_equal(netns_lock_take(&lock, &pid), 0);
	netns_lock_start(lock, loop);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(netns_lock_holder(&pid), 0);
		assert_int_equal(pid, getpid());
		ev_run(loop, EVRUN_NOWAIT);
	}
	netns_lock_release(lock);
	ev_loop_destroy(loop);
}

/* Any process may connect: without a descriptor for it the loop must not spin. */
static void a_query_without_a_descriptor_left_waits(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct rlimit before, none;
	struct netns_lock *lock = NULL;
	pid_t pid = 0;
	unsigned n_turns;

	(void)state;
	assert_int_equal(netns_lock_take(&lock, &pid), 0);
	netns_lock_start(lock, loop);
	turn_loop(loop, 0.01); /* the loop has opened its own descriptors */
	assert_int_equal(netns_lock_holder(&pid), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	n_turns = turn_loop(loop, 0.3);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_in_range(n_turns, 1, 10);
	netns_lock_release(lock);
	ev_loop_destroy(loop);
}

/* One connection fills its backlog, and it accepts none. */
static void hold_with_a_full_backlog(void)
{
	static const struct sockaddr_un name = {.sun_family = AF_UNIX,
						.sun_path = "\0sluice/netns"};
	const socklen_t len = offsetof(struct sockaddr_un, sun_path) + 13;
	int holder = socket(AF_UNIX, SOCK_STREAM, 0);
	int client = socket(AF_UNIX, SOCK_STREAM, 0);

	if (bind(holder, (const struct sockaddr *)&name, len) == -1 ||
	    listen(holder, 0) == -1 ||
	    connect(client, (const struct sockaddr *)&name, len) == -1)
		_exit(1);
}

static void a_process_that_accepts_nothing_cannot_block_the_lock(void **state)
{
	struct netns_lock *lock = NULL;
	int ready[2];
	pid_t holder, pid = 0;
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	holder = fork();
	if (holder == 0) {
		hold_with_a_full_backlog();
		if (write(ready[1], "x", 1) == 1)
			(void)pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(netns_lock_take(&lock, &pid), 0);
	assert_int_equal(netns_lock_holder(&pid), -ENOENT);
	netns_lock_release(lock);
	(void)close(ready[0]);
	(void)close(ready[1]);
	end(holder);
}

static void an_unprivileged_process_cannot_block_the_lock(void **state)
{
	struct netns_lock *lock = NULL;
	pid_t holder, pid = 0;

	(void)state;
	if (getuid() != 0)
		skip();
	holder = start_holder(65534);
	assert_int_equal(netns_lock_take(&lock, &pid), 0);
	assert_int_equal(netns_lock_holder(&pid), -ENOENT);
	netns_lock_release(lock);
	end(holder);
}

static void each_network_namespace_has_its_own_lock(void **state)
{
	pid_t holder, pid = 0;
	struct netns_lock *lock = NULL;

	(void)state;
	if (getuid() != 0)
		skip();
	holder = start_holder(0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(netns_lock_take(&lock, &pid), 0);
	netns_lock_release(lock);
	end(holder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_process_gets_the_pid_of_the_lock_holder),
		cmocka_unit_test(any_number_of_processes_may_query_the_lock_holder),
		cmocka_unit_test(a_query_without_a_descriptor_left_waits),
		cmocka_unit_test(a_process_that_accepts_nothing_cannot_block_the_lock),
		cmocka_unit_test(an_unprivileged_process_cannot_block_the_lock),
		cmocka_unit_test(each_network_namespace_has_its_own_lock),
	};

	/* of its own where that is allowed: a sluice may run on this machine */
	(void)unshare(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
