#include "proxy/relay/relay_calls.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

/* The C library's declaration has a union of all address types. */
static int call_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	return connect(fd, sa, len);
}

const struct relay_calls relay_kernel = {
	.socket = socket,
	.connect = call_connect,
	.shutdown = shutdown,
	.close = close,
	.recv = recv,
	.send = send,
	.splice = splice,
	.pipe2 = pipe2,
	.epoll_ctl = epoll_ctl,
};
