#include "tests/kernel/await.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "tests/test.h"

#define PAUSE_MS 10

static bool is_late(uint64_t start_us)
{
	world_sleep_ms(PAUSE_MS);
	return world_now_us() - start_us > WORLD_PATIENCE_US;
}

bool has_logged(const struct instance *in, const char *text)
{
	_cleanup_(fclosep) FILE *f = fopen(in->log, "re");
	_cleanup_(buf_fini) struct buf log = BUF_INIT;
	char bytes[4096];
	size_t len;

	while (f && (len = fread(bytes, 1, sizeof(bytes), f)) > 0)
		buf_add(&log, bytes, len);
	return strstr(buf_string(&log), text);
}

void await_log(struct instance *in, const char *fmt, ...)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	uint64_t start_us = world_now_us();
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	while (!has_logged(in, buf_string(&text)))
		if (is_late(start_us))
			instance_fail(in, "not in the log: %s", buf_string(&text));
}

/* The first of the texts that is not in the output; NULL: all are. */
static const char *find_missing(const struct buf *output, const char *const *texts)
{
	while (*texts && strstr(buf_string(output), *texts))
		texts++;
	return *texts;
}

void await_output(struct instance *in, const char *command, int status,
		  const char *const *texts)
{
	uint64_t start_us = world_now_us();

	for (;;) {
		_cleanup_(buf_fini) struct buf output = BUF_INIT;
		int is = instance_command(in, command, &output);
		const char *missing = find_missing(&output, texts);

		if (is == status && !missing)
			return;
		if (!is_late(start_us))
			continue;
		print_message("$ sluice %s\n%s\n", command, buf_string(&output));
		instance_fail(in, "%s: status %d instead of %d, or not printed: %s",
			      command, is, status, missing ? missing : "-");
	}
}

void await_text(struct instance *in, const char *command, int status, const char *text)
{
	await_output(in, command, status, (const char *const[]){text, NULL});
}

void await_shell(struct instance *in, const char *fmt, ...)
{
	_cleanup_(buf_fini) struct buf command = BUF_INIT;
	uint64_t start_us = world_now_us();
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&command, fmt, ap);
	va_end(ap);
	while (world_run(in->world, PLACE_NODE, "%s", buf_string(&command)))
		if (is_late(start_us))
			instance_fail(in, "does not succeed: %s", buf_string(&command));
}

int await_end(struct instance *in, pid_t pid)
{
	uint64_t start_us = world_now_us();
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0)
		if (is_late(start_us)) {
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, &status, 0);
			instance_fail(in, "process %d did not end", (int)pid);
		}
	return status;
}
