#include "proxy/relay/relay_rights.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	char buf[CMSG_SPACE(RELAY_RIGHTS_MAX * sizeof(int))];
	struct cmsghdr align;
};

int relay_rights_send(int fd, const struct iovec *pieces, size_t n_pieces, const int *fds,
		      size_t n_fds)
{
	union control control;
	struct msghdr h = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = n_pieces};
	ssize_t len;

	if (n_fds) {
		memset(&control, 0, sizeof(control));
		h.msg_control = control.buf;
		h.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		*CMSG_FIRSTHDR(&h) =
			(struct cmsghdr){.cmsg_len = CMSG_LEN(n_fds * sizeof(int)),
					 .cmsg_level = SOL_SOCKET,
					 .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), fds, n_fds * sizeof(int));
	}
	do
		len = sendmsg(fd, &h, MSG_NOSIGNAL);
	while (len == -1 && errno == EINTR);
	return len == -1 ? -errno : 0;
}

static void take_fds(struct msghdr *h, struct relay_rights *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		    n > RELAY_RIGHTS_MAX - ret->n)
			continue;
		memcpy(&ret->fds[ret->n], CMSG_DATA(c), n * sizeof(int));
		ret->n += n;
	}
}

int relay_rights_receive(int fd, const struct iovec *pieces, size_t n_pieces,
			 struct relay_rights *ret, size_t *ret_len)
{
	union control control;
	struct msghdr h = {.msg_iov = (struct iovec *)pieces,
			   .msg_iovlen = n_pieces,
			   .msg_control = control.buf,
			   .msg_controllen = sizeof(control.buf)};
	ssize_t len;

	ret->n = 0;
	do /* with a timeout, a signal ends the call whatever its handler says */
		len = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
	while (len == -1 && errno == EINTR);
	if (len == -1)
		return -errno;
	take_fds(&h, ret);
	if (len == 0) /* the end, or an empty message, which can have descriptors */
		return ret->n ? -EBADMSG : -ECONNRESET;
	*ret_len = (size_t)len;
	return h.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EBADMSG : 0;
}

void relay_rights_close(struct relay_rights *r)
{
	while (r->n)
		(void)close(r->fds[--r->n]);
}
