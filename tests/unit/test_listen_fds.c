#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/host/listen_fds.h"
#include "tests/test.h"

#define FIRST 3

/* As a service manager starts it, with this many descriptors, and this in LISTEN_FDS. */
static void be_started(int n_passed, const char *said)
{
	char pid[24];

	(void)close_range(FIRST, ~0u, 0);
	for (int i = 0; i < n_passed; i++)
		if (open("/dev/null", O_RDONLY) != FIRST + i)
			_exit(99);
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	(void)setenv("LISTEN_PID", pid, 1);
	(void)setenv("LISTEN_FDS", said, 1);
	listen_fds_check();
}

/* How many a process takes that opens two of its own before. */
static int n_taken(int n_passed, const char *said)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		size_t n;
		int *fds;

		be_started(n_passed, said);
		(void)open("/dev/null", O_RDONLY | O_CLOEXEC);
		(void)open("/dev/null", O_RDONLY | O_CLOEXEC);
		fds = listen_fds_take(&n);
		for (size_t i = 0; i < n; i++)
			if (fds[i] != FIRST + (int)i)
				_exit(98);
		free(fds);
		_exit((int)n);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_descriptor_that_was_not_passed_is_not_taken(void **state)
{
	static const struct {
		int n_passed;
		const char *said;
		int n_taken;
	} rows[] = {
		{2, "2", 2}, {2, "3", 2},  {0, "1", 0}, {0, "0", 0},
		{2, "1", 1}, {1, "-1", 0}, {1, "x", 0}, {1, "99999999999", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(n_taken(rows[i].n_passed, rows[i].said),
				 rows[i].n_taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_descriptor_that_was_not_passed_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
