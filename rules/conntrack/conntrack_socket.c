#include "rules/conntrack/conntrack_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>

#include "core/netlink.h"

int conntrack_socket_open(struct mnl_socket **ret)
{
	const struct timeval patience = {.tv_sec = 1};
	_cleanup_(conntrack_socket_closep) struct mnl_socket *nl = NULL;

	nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == -1)
		return -errno;
	(void)setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &patience,
			 sizeof(patience));
	*ret = take_ptr(nl);
	return 0;
}

ssize_t conntrack_socket_receive(struct mnl_socket *nl, void *buf)
{
	ssize_t len =
		netlink_receive(mnl_socket_get_fd(nl), buf, CONNTRACK_DATAGRAM_MAX, 0);

	return len == -EAGAIN ? -ETIMEDOUT : len;
}

void conntrack_socket_close(struct mnl_socket *nl)
{
	if (nl)
		(void)mnl_socket_close(nl);
}
