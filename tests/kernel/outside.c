#include "tests/kernel/outside.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

struct order {
	int af, type, proto;
};

struct maker {
	pid_t pid; /* 0: not started */
	int channel;
};

static struct maker makers[PLACE_N];

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

static void start(const struct world *w, enum place place)
{
	struct maker *m = &makers[place];
	int ends[2];

	if (m->pid)
		return;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	m->pid = world_fork(w, place);
	if (!m->pid) {
		(void)close(ends[1]);
		make_sockets(ends[0]);
	}
	(void)close(ends[0]);
	m->channel = ends[1];
}

int outside_socket(const struct world *w, enum place place, int af, int type, int proto)
{
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

	start(w, place);
	assert_int_equal(send(makers[place].channel, &o, sizeof(o), MSG_NOSIGNAL),
			 sizeof(o));
	assert_int_equal(recvmsg(makers[place].channel, &msg, MSG_CMSG_CLOEXEC),
			 sizeof(err));
	if (err)
		return err;
	assert_non_null(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

void outside_stop(void)
{
	for (int i = 0; i < PLACE_N; i++) {
		if (!makers[i].pid)
			continue;
		(void)close(makers[i].channel);
		(void)kill(makers[i].pid, SIGKILL);
		(void)waitpid(makers[i].pid, NULL, 0);
		makers[i].pid = 0;
	}
}
