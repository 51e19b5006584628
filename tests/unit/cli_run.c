#include "tests/unit/cli_run.h"

#include "tests/test.h"

#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"

#define NO_USER 65534

static void read_all(int fd, struct buf *ret)
{
	char bytes[4096];
	ssize_t len;

	(void)lseek(fd, 0, SEEK_SET);
	while ((len = read(fd, bytes, sizeof(bytes))) > 0)
		buf_add(ret, bytes, (size_t)len);
}

static int temporary(void)
{
	char path[] = "/tmp/sluice-cli-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	(void)unlink(path);
	return fd;
}

/* The program is open already: its folder may be closed to other users. */
static void execute(char *const *argv, bool is_unprivileged)
{
	int fd = open(SLUICE_PROGRAM, O_PATH | O_CLOEXEC);

	if (is_unprivileged &&
	    (setgroups(0, NULL) == -1 || setgid(NO_USER) == -1 || setuid(NO_USER) == -1))
		return;
	(void)fexecve(fd, argv, environ);
}

/* Files rather than pipes: writing never blocks. */
static struct cli_outcome run(const char *name, const char *const *args,
			      const char *input, bool is_unprivileged)
{
	_cleanup_(closep) int in = temporary(), out = temporary(), err = temporary();
	struct cli_outcome outcome = {.out = BUF_INIT, .err = BUF_INIT};
	char *argv[CLI_MAX_ARGS + 2] = {(char *)name};
	int status;
	pid_t pid;

	for (size_t i = 0; i < CLI_MAX_ARGS && args[i]; i++)
		argv[i + 1] = (char *)args[i];
	assert_int_equal(write(in, input, strlen(input)), strlen(input));
	(void)lseek(in, 0, SEEK_SET);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(err, 2) == 2)
			execute(argv, is_unprivileged);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	outcome.status = WEXITSTATUS(status);
	read_all(out, &outcome.out);
	read_all(err, &outcome.err);
	return outcome;
}

struct cli_outcome cli_run(const char *name, const char *const *args, const char *input)
{
	return run(name, args, input, false);
}

struct cli_outcome cli_run_unprivileged(const char *name, const char *const *args)
{
	return run(name, args, "", true);
}

void cli_outcome_fini(struct cli_outcome *o)
{
	buf_fini(&o->out);
	buf_fini(&o->err);
}
