#include "tests/kernel/outside.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/test.h"

struct order {
	int af, type, proto;
};

#define MAX_MAKERS (3 * PLACE_N) /* places, in three cgroups */

struct maker {
	enum place place;
	const char *procs;
	pid_t pid;
	int channel;
};

static struct maker makers[MAX_MAKERS];
static size_t n_makers;

bool outside_is(const struct world *w, enum place place)
{
	return w->outside && (place == PLACE_CLIENT || place == PLACE_FAR);
}

/* One byte more than nothing, and the socket if there is one. */
static void deliver(int channel, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	int err = fd < 0 ? -errno : 0;
	struct iovec iov = {&err, sizeof(err)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(channel, &msg, MSG_NOSIGNAL) == -1)
		_exit(1);
	if (fd >= 0)
		(void)close(fd);
}

static void make_sockets(int channel)
{
	struct order o;

	while (recv(channel, &o, sizeof(o), 0) == sizeof(o))
		deliver(channel, socket(o.af, o.type | SOCK_CLOEXEC, o.proto));
	_exit(0);
}

static void enter_cgroup(const char *procs)
{
	_cleanup_(closep) int fd = open(procs, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		_exit(127);
}

static const struct maker *find_maker(const struct world *w, enum place place,
				      const char *procs)
{
	struct maker *m = makers;
	int ends[2];

	for (; m < makers + n_makers; m++)
		if (m->place == place && m->procs == procs)
			return m;
	assert_true(n_makers < MAX_MAKERS);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	*m = (struct maker){place, procs, world_fork(w, place), ends[1]};
	if (!m->pid) {
		(void)close(ends[1]);
		enter_cgroup(procs);
		make_sockets(ends[0]);
	}
	(void)close(ends[0]);
	n_makers++;
	return m;
}

int outside_socket(const struct world *w, enum place place, const char *procs, int af,
		   int type, int proto)
{
	const struct maker *m = find_maker(w, place, procs);
	const struct order o = {af, type, proto};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	int err = 0, fd;
	struct iovec iov = {&err, sizeof(err)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	assert_int_equal(send(m->channel, &o, sizeof(o), MSG_NOSIGNAL), sizeof(o));
	assert_int_equal(recvmsg(m->channel, &msg, MSG_CMSG_CLOEXEC), sizeof(err));
	if (err)
		return err;
	assert_non_null(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

void outside_stop(void)
{
	for (size_t i = 0; i < n_makers; i++) {
		(void)close(makers[i].channel);
		(void)kill(makers[i].pid, SIGKILL);
		(void)waitpid(makers[i].pid, NULL, 0);
	}
	n_makers = 0;
}
