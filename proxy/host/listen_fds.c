#include "proxy/host/listen_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/host/notify.h"

#define FIRST 3 /* by the protocol */
#define MAX   (1ul << 20)

/* 0: it is missing, or not such a number. */
static unsigned long number(const char *name, unsigned long max)
{
	const char *text = getenv(name);
	char *end;
	unsigned long n;

	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	n = strtoul(text, &end, 10);
	return errno || *end || n > max ? 0 : n;
}

int *listen_fds_take(size_t *ret_n)
{
	bool is_ours = number("LISTEN_PID", INT32_MAX) == (unsigned long)getpid();
	unsigned long n = is_ours ? number("LISTEN_FDS", MAX) : 0;
	int *fds = xcalloc(n + 1, sizeof(*fds));

	*ret_n = 0;
	for (unsigned long i = 0; i < n; i++) {
		int fd = FIRST + (int)i;

		if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
			break; /* there are fewer than the environment says */
		fds[(*ret_n)++] = fd;
	}
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	return fds;
}

static void forget_names(void)
{
	const char *names = getenv("LISTEN_FDNAMES");
	_cleanup_(freep) char *copy = xstrdup(names ? names : "");
	char *rest = copy;

	for (const char *name; (name = strsep(&rest, ":"));)
		if (*name)
			(void)notify_remove_fds(name); /* it is offered again then */
}

void listen_fds_discard(void)
{
	size_t n;
	_cleanup_(freep) int *fds = listen_fds_take(&n);

	for (size_t i = 0; i < n; i++)
		(void)close(fds[i]);
	if (!n)
		return;
	forget_names();
	log_info("closed %zu descriptors of an earlier run in mode userspace", n);
}
