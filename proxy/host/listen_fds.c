#include "proxy/host/listen_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
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

static unsigned long n_passed(void)
{
	return number("LISTEN_PID", INT32_MAX) == (unsigned long)getpid()
		       ? number("LISTEN_FDS", MAX)
		       : 0;
}

void listen_fds_check(void)
{
	unsigned long n = n_passed(), n_open = 0;
	char text[24];

	while (n_open < n && fcntl(FIRST + (int)n_open, F_GETFD) != -1)
		n_open++;
	if (n_open == n)
		return;
	(void)snprintf(text, sizeof(text), "%lu", n_open);
	(void)setenv("LISTEN_FDS", text, 1);
}

int *listen_fds_take(size_t *ret_n)
{
	unsigned long n = n_passed();
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
