/*
 * The kernel keeps the credentials of the process that listens, and gives them to
 * each that connects.  Nothing is ever sent.
 */
#include "proxy/host/netns_lock.h"

#include <errno.h>
#include <ev.h>
#include <linux/capability.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"

#define BACKLOG		 16
#define ANSWER_SEC	 1  /* a daemon accepts within this time */
#define ACCEPT_PAUSE_SEC 1. /* when descriptors are short */

struct netns_lock {
	int fd; /* -1: we run without */
	struct ev_loop *loop;
	ev_io io;
	ev_timer pause; /* descriptors are short */
};

static const struct sockaddr_un address = {
	.sun_family = AF_UNIX,
	.sun_path = "\0sluice/netns",
};
#define ADDRESS_LEN                                                                      \
	((socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof("\0sluice/netns") - \
		     1))

static int open_socket(int flags, int *ret_fd)
{
	*ret_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	return *ret_fd == -1 ? -errno : 0;
}

/* Has it CAP_NET_ADMIN here, as a daemon of another user has?  Inside a user namespace it means nothing. */
static bool may_program(pid_t pid)
{
	_cleanup_(freep) char *ns = xasprintf("/proc/%d/ns/user", (int)pid);
	_cleanup_(freep) char *path = xasprintf("/proc/%d/status", (int)pid);
	_cleanup_(fclosep) FILE *status = fopen(path, "re");
	unsigned long long caps = 0;
	struct stat ours, theirs;
	char line[256];

	if (!status || stat("/proc/self/ns/user", &ours) == -1 ||
	    stat(ns, &theirs) == -1 || ours.st_ino != theirs.st_ino)
		return false;
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	return caps >> CAP_NET_ADMIN & 1;
}

static int connect_to_holder(int fd)
{
	const struct timeval timeout = {.tv_sec = ANSWER_SEC};

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (const struct sockaddr *)&address, ADDRESS_LEN) == 0)
		return 0;
	return errno == ECONNREFUSED ? -ENOENT : errno == EAGAIN ? -EACCES : -errno;
}

/*
 * -ENOENT: none, -EACCES: a process without rights holds the name, or one that accepts
 * no connection, which a daemon would do.
 */
static int find_holder(struct ucred *ret)
{
	_cleanup_(closep) int fd = -1;
	socklen_t len = sizeof(*ret);
	int err = open_socket(0, &fd);

	if (!err)
		err = connect_to_holder(fd);
	if (err)
		return err;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len) == -1)
		return -errno;
	return ret->uid == 0 || ret->uid == geteuid() || may_program(ret->pid) ? 0
									       : -EACCES;
}

int netns_lock_holder(pid_t *ret_pid)
{
	struct ucred peer = {.pid = 0};
	int err = find_holder(&peer);

	if (err == -ENOENT || err == -EACCES)
		return -ENOENT;
	*ret_pid = err ? 0 : peer.pid;
	return 0;
}

static int bind_name(int fd)
{
	if (bind(fd, (const struct sockaddr *)&address, ADDRESS_LEN) == -1 ||
	    listen(fd, BACKLOG) == -1)
		return -errno;
	return 0;
}

int netns_lock_take(struct netns_lock **ret, pid_t *ret_pid)
{
	_cleanup_(closep) int fd = -1;
	struct ucred peer = {.pid = 0};
	int err = open_socket(SOCK_NONBLOCK, &fd);

	if (!err)
		err = bind_name(fd);
	if (err == -EADDRINUSE && find_holder(&peer) == -EACCES) {
		log_warn("a process that is not a sluice (pid %d, uid %u; 0 if it does "
			 "not answer) holds the name of our lock; running without it",
			 (int)peer.pid, (unsigned)peer.uid);
		(void)close(take_fd(fd));
		err = 0;
	}
	*ret_pid = peer.pid;
	if (err)
		return err;
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->fd = take_fd(fd);
	return 0;
}

static void on_connection(struct ev_loop *loop, ev_io *io, int revents)
{
	struct netns_lock *lock = io->data;
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0) {
		(void)close(fd);
	} else if (errno != EINTR && errno != EAGAIN) {
		/* the connection keeps waiting, and would wake the loop again immediately */
		ev_io_stop(loop, io);
		ev_timer_again(loop, &lock->pause);
	}
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct netns_lock *lock = timer->data;

	ev_timer_stop(loop, timer);
	ev_io_start(loop, &lock->io);
}

void netns_lock_start(struct netns_lock *lock, struct ev_loop *loop)
{
	if (lock->fd == -1)
		return;
	lock->loop = loop;
	ev_timer_init(&lock->pause, on_pause_over, 0., ACCEPT_PAUSE_SEC);
	ev_io_init(&lock->io, on_connection, lock->fd, EV_READ);
	lock->io.data = lock->pause.data = lock;
	ev_io_start(loop, &lock->io);
}

void netns_lock_release(struct netns_lock *lock)
{
	if (!lock)
		return;
	if (lock->loop) {
		ev_io_stop(lock->loop, &lock->io);
		ev_timer_stop(lock->loop, &lock->pause);
	}
	if (lock->fd >= 0)
		(void)close(lock->fd);
	free(lock);
}
