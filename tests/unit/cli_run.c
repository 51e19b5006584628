#include "tests/unit/cli_run.h"

#include "tests/test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"

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

/* Files rather than pipes: writing never blocks. */
struct cli_outcome cli_run(const char *name, const char *const *args, const char *input)
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
			(void)execv(SLUICE_PROGRAM, argv);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	outcome.status = WEXITSTATUS(status);
	read_all(out, &outcome.out);
	read_all(err, &outcome.err);
	return outcome;
}

void cli_outcome_fini(struct cli_outcome *o)
{
	buf_fini(&o->out);
	buf_fini(&o->err);
}
