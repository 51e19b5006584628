/*
 * A thread for each dump.  It shares with the loop only its end of the socket pair and
 * the request, which stays unchanged while it runs.  When the loop closes the
 * other end, its next send fails and it ends.
 */
#include "rules/conntrack/conntrack_dump.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "core/mem.h"
#include "core/netlink.h"
#include "rules/conntrack/conntrack_socket.h"

struct conntrack_dump {
	int ours, of_thread; /* a pair of sockets */
	pthread_t thread;
	bool is_started; /* and not joined */
	_Alignas(struct nlmsghdr) char request[CONNTRACK_REQUEST_MAX];
};

static int ignore(void *data, const struct nlmsghdr *message)
{
	(void)data;
	(void)message;
	return 0;
}

static bool forward(const struct conntrack_dump *d, const void *datagram, size_t len)
{
	return send(d->of_thread, datagram, len, MSG_NOSIGNAL) != -1;
}

/* 0 when the loop has received the end of the dump, or needs no more of it. */
static int forward_all(const struct conntrack_dump *d, char *buf)
{
	const struct nlmsghdr *request = (const void *)d->request;
	struct netlink_reader reader = {.seq = request->nlmsg_seq, .message = ignore};
	_cleanup_(conntrack_socket_closep) struct mnl_socket *nl = NULL;
	int more = 1, err = conntrack_socket_open(&nl);

	if (err < 0)
		return err;
	if (mnl_socket_sendto(nl, request, request->nlmsg_len) == -1)
		return -errno;
	while (more == 1) {
		ssize_t len = netlink_receive(mnl_socket_get_fd(nl), buf,
					      CONNTRACK_DATAGRAM_MAX, 0);

		if (len < 0)
			return len == -EAGAIN ? -ETIMEDOUT : (int)len;
		more = netlink_reader_feed(&reader, buf, (size_t)len);
		if (more != 1) /* first: the loop then waits for the thread's end */
			conntrack_socket_close(take_ptr(nl));
		if (!forward(d, buf, (size_t)len))
			return 0;
	}
	return 0;
}

static void *run(void *data)
{
	const struct conntrack_dump *d = data;
	_cleanup_(freep) char *buf = xmalloc(CONNTRACK_DATAGRAM_MAX);
	int err = forward_all(d, buf);
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} failure = {
		.header = {.nlmsg_len = sizeof(failure), .nlmsg_type = NLMSG_ERROR},
		.error = {.error = err},
	};

	failure.header.nlmsg_seq =
		((const struct nlmsghdr *)(const void *)d->request)->nlmsg_seq;
	if (err < 0)
		(void)forward(d, &failure, sizeof(failure));
	return NULL;
}

static void join(struct conntrack_dump *d)
{
	if (d->is_started)
		(void)pthread_join(d->thread, NULL);
	d->is_started = false;
}

int conntrack_dump_open(struct conntrack_dump **ret)
{
	struct conntrack_dump *d;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		return -errno;
	d = xcalloc(1, sizeof(*d));
	d->ours = pair[0];
	d->of_thread = pair[1];
	*ret = d;
	return 0;
}

void conntrack_dump_close(struct conntrack_dump *d)
{
	if (!d)
		return;
	(void)close(d->ours);
	join(d);
	(void)close(d->of_thread);
	free(d);
}

int conntrack_dump_fd(const struct conntrack_dump *d)
{
	return d->ours;
}

int conntrack_dump_start(struct conntrack_dump *d, const struct nlmsghdr *request)
{
	sigset_t all, before;
	int err;

	assert(request->nlmsg_len <= sizeof(d->request));
	join(d);
	memcpy(d->request, request, request->nlmsg_len);
	/* signals are handled by the loop's thread */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&d->thread, NULL, run, d);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	d->is_started = err == 0;
	return -err;
}

ssize_t conntrack_dump_receive(struct conntrack_dump *d,
			       char buf[static CONNTRACK_DATAGRAM_MAX])
{
	ssize_t len = recv(d->ours, buf, CONNTRACK_DATAGRAM_MAX, MSG_DONTWAIT);

	return len == -1 ? -errno : len;
}
