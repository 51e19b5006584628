/*
 * A thread for each dump, which shares nothing with the loop: it has a descriptor of
 * its own for its end of the socket pair, and frees its memory.  When the loop has
 * closed the other end, its next send fails and it ends.  The loop never waits for it.
 */
#include "rules/conntrack/conntrack_dump.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "core/mem.h"
#include "core/netlink.h"
#include "core/thread.h"
#include "rules/conntrack/conntrack_socket.h"

struct conntrack_dump {
	int ours, theirs; /* a pair of sockets */
};

struct job { /* of a thread */
	int out;
	_Alignas(struct nlmsghdr) char request[CONNTRACK_REQUEST_MAX];
};

static void job_free(struct job *job)
{
	(void)close(job->out);
	free(job);
}
DEFINE_CLEANUP(struct job *, job_free);

static int ignore(void *data, const struct nlmsghdr *message)
{
	(void)data;
	(void)message;
	return 0;
}

static bool forward(const struct job *job, const void *datagram, size_t len)
{
	return send(job->out, datagram, len, MSG_NOSIGNAL) != -1;
}

/* 0 when the loop has received the end of the dump, or needs no more of it. */
static int forward_all(const struct job *job, char *buf)
{
	const struct nlmsghdr *request = (const void *)job->request;
	struct netlink_reader reader = {.seq = request->nlmsg_seq, .message = ignore};
	_cleanup_(conntrack_socket_closep) struct mnl_socket *nl = NULL;
	int more = 1, err = conntrack_socket_open(&nl);

	if (err < 0)
		return err;
	if (mnl_socket_sendto(nl, request, request->nlmsg_len) == -1)
		return -errno;
	while (more == 1) {
		ssize_t len = conntrack_socket_receive(nl, buf);

		if (len < 0)
			return (int)len;
		more = netlink_reader_feed(&reader, buf, (size_t)len);
		if (!forward(job, buf, (size_t)len))
			return 0;
	}
	return 0;
}

static void *run(void *data)
{
	_cleanup_(job_freep) struct job *job = data;
	_cleanup_(freep) char *buf = xmalloc(CONNTRACK_DATAGRAM_MAX);
	int err = forward_all(job, buf);
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} failure = {
		.header = {.nlmsg_len = sizeof(failure), .nlmsg_type = NLMSG_ERROR},
		.error = {.error = err},
	};

	failure.header.nlmsg_seq =
		((const struct nlmsghdr *)(const void *)job->request)->nlmsg_seq;
	if (err < 0)
		(void)forward(job, &failure, sizeof(failure));
	return NULL;
}

int conntrack_dump_open(struct conntrack_dump **ret)
{
	struct conntrack_dump *d;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		return -errno;
	d = xcalloc(1, sizeof(*d));
	d->ours = pair[0];
	d->theirs = pair[1];
	*ret = d;
	return 0;
}

void conntrack_dump_close(struct conntrack_dump *d)
{
	if (!d)
		return;
	(void)close(d->ours);
	(void)close(d->theirs);
	free(d);
}

int conntrack_dump_fd(const struct conntrack_dump *d)
{
	return d->ours;
}

/* The thread takes the job. */
static int start_thread(struct job *job)
{
	pthread_t thread;
	int err = thread_start(&thread, run, job);

	if (!err)
		(void)pthread_detach(thread);
	return err;
}

int conntrack_dump_start(struct conntrack_dump *d, const struct nlmsghdr *request)
{
	_cleanup_(job_freep) struct job *job = xcalloc(1, sizeof(*job));
	int err;

	assert(request->nlmsg_len <= sizeof(job->request));
	memcpy(job->request, request, request->nlmsg_len);
	job->out = fcntl(d->theirs, F_DUPFD_CLOEXEC, 0);
	if (job->out == -1)
		return -errno;
	err = start_thread(job);
	if (!err)
		(void)take_ptr(job);
	return err;
}

ssize_t conntrack_dump_peek(struct conntrack_dump *d, char *buf)
{
	ssize_t len = recv(d->ours, buf, CONNTRACK_DATAGRAM_MAX, MSG_DONTWAIT | MSG_PEEK);

	return len == -1 ? -errno : len;
}

void conntrack_dump_drop(struct conntrack_dump *d)
{
	char byte;

	/* it has arrived: this cannot fail */
	(void)recv(d->ours, &byte, sizeof(byte), MSG_DONTWAIT);
}
