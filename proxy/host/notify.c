#include "proxy/host/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "core/cleanup.h"
#include "core/mem.h"

#define MAX_FDS	    253 /* the kernel's limit of a message */
#define TIMEOUT_SEC 5

bool notify_has_manager(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path && *path;
}

static int manager_address(struct sockaddr_un *ret, socklen_t *ret_len)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (len == 0 || len >= sizeof(ret->sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return -EINVAL;
	memcpy(ret->sun_path, path, len);
	if (path[0] == '@') /* an abstract name */
		ret->sun_path[0] = '\0';
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return 0;
}

static int send_text(const char *text, const int *fds, size_t n, int flags)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_SEC};
	union {
		char buf[CMSG_SPACE(MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct sockaddr_un sa;
	struct iovec iov = {.iov_base = (char *)text, .iov_len = strlen(text)};
	struct msghdr m = {.msg_name = &sa, .msg_iov = &iov, .msg_iovlen = 1};
	_cleanup_(closep) int fd = -1;
	int err = manager_address(&sa, &m.msg_namelen);

	if (err)
		return err;
	if (n) {
		memset(&control, 0, sizeof(control));
		m.msg_control = control.buf;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		*CMSG_FIRSTHDR(&m) =
			(struct cmsghdr){.cmsg_len = CMSG_LEN(n * sizeof(int)),
					 .cmsg_level = SOL_SOCKET,
					 .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, n * sizeof(int));
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	return sendmsg(fd, &m, MSG_NOSIGNAL | flags) == -1 ? -errno : 0;
}

int notify_send(const char *text)
{
	return notify_has_manager() ? send_text(text, NULL, 0, 0) : 0;
}

int notify_try(const char *text)
{
	return notify_has_manager() ? send_text(text, NULL, 0, MSG_DONTWAIT) : 0;
}

uint64_t notify_watchdog_us(void)
{
	const char *limit = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!limit || (pid && strtol(pid, NULL, 10) != getpid()))
		return 0;
	return strtoull(limit, NULL, 10);
}

/*
 * The manager does not poll them: listening sockets never report an error, and
 * one whose other end is closed may still have messages.
 */
int notify_store_fds(const char *name, const int *fds, size_t n)
{
	_cleanup_(freep) char *text = xasprintf("FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	int err = 0;

	while (n && !err && notify_has_manager()) {
		size_t piece = n < MAX_FDS ? n : MAX_FDS;

		err = send_text(text, fds, piece, 0);
		fds += piece;
		n -= piece;
	}
	return err;
}

int notify_remove_fds(const char *name)
{
	_cleanup_(freep) char *text = xasprintf("FDSTOREREMOVE=1\nFDNAME=%s", name);

	return notify_send(text);
}
