/*
 * One process with one epoll loop.  Every socket is AF_INET6 and takes IPv4 as
 * mapped addresses; UDP answers leave from the address that was asked, also from
 * one that is local by a route only (IPV6_FREEBIND).
 */
#include "tests/kernel/backend.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/addr.h"
#include "tests/test.h"

enum role { ROLE_LISTENER, ROLE_CONNECTION, ROLE_DATAGRAM };

#define ANSWER_LEN (2 * ADDR_PORT_TEXT_LEN + 2)

static size_t format_answer(char buf[static ANSWER_LEN], const struct in6_addr *self,
			    uint16_t self_port, const struct sockaddr_in6 *peer)
{
	char a[ADDR_PORT_TEXT_LEN], b[ADDR_PORT_TEXT_LEN];
	struct addr own, other;

	memcpy(own.b, self, sizeof(own.b));
	memcpy(other.b, &peer->sin6_addr, sizeof(other.b));
	return (size_t)snprintf(buf, ANSWER_LEN, "%s %s\n",
				addr_port_format(&own, self_port, a),
				addr_port_format(&other, ntohs(peer->sin6_port), b));
}

static void watch(int loop, int fd, enum role role)
{
	struct epoll_event ev = {
		.events = EPOLLIN,
		.data.u64 = (uint64_t)role << 32 | (uint32_t)fd,
	};

	if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &ev) == -1)
		_exit(1);
}

static void open_listener(int loop, int type, int proto, uint16_t port)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int one = 1, fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);

	if (fd == -1 && errno == EPROTONOSUPPORT)
		return; /* SCTP, which not every kernel has */
	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof(one)) == -1 ||
	    (type == SOCK_DGRAM &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one)) == -1) ||
	    bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) == -1 ||
	    (type == SOCK_STREAM && listen(fd, SOMAXCONN) == -1)) {
		perror("backend");
		_exit(1);
	}
	watch(loop, fd, type == SOCK_STREAM ? ROLE_LISTENER : ROLE_DATAGRAM);
}

static void answer_connection(int fd)
{
	char request[512], buf[ANSWER_LEN];
	struct sockaddr_in6 self, peer;
	socklen_t self_len = sizeof(self), peer_len = sizeof(peer);
	ssize_t len = recv(fd, request, sizeof(request), 0);

	if (len == -1 && errno == EAGAIN)
		return;
	if (len <= 0 || getsockname(fd, (struct sockaddr *)&self, &self_len) == -1 ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_len) == -1) {
		(void)close(fd);
		return;
	}
	/* a full socket buffer means a client that doesn't read: its loss */
	(void)send(fd, buf,
		   format_answer(buf, &self.sin6_addr, ntohs(self.sin6_port), &peer),
		   MSG_NOSIGNAL);
}

static void answer_datagram(int fd)
{
	_Alignas(struct cmsghdr) char control[256];
	char buf[ANSWER_LEN];
	struct sockaddr_in6 self, peer;
	socklen_t self_len = sizeof(self);
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr msg = {
		.msg_name = &peer,
		.msg_namelen = sizeof(peer),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct in6_pktinfo info = {0};

	/* a pending ICMP error is read here too, and ignored */
	if (recvmsg(fd, &msg, 0) == -1 ||
	    getsockname(fd, (struct sockaddr *)&self, &self_len) == -1)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			info.ipi6_ifindex = 0;
			memcpy(CMSG_DATA(c), &info, sizeof(info));
		}
	iov.iov_len = format_answer(buf, &info.ipi6_addr, ntohs(self.sin6_port), &peer);
	(void)sendmsg(fd, &msg, 0);
}

static void accept_all(int loop, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1)
		watch(loop, fd, ROLE_CONNECTION);
}

static void serve(int loop)
{
	struct epoll_event events[64];
	int n;

	for (;;) {
		n = epoll_wait(loop, events, 64, -1);
		for (int i = 0; i < n; i++) {
			int fd = (int)(uint32_t)events[i].data.u64;

			switch ((enum role)(events[i].data.u64 >> 32)) {
			case ROLE_LISTENER:
				accept_all(loop, fd);
				break;
			case ROLE_CONNECTION:
				answer_connection(fd);
				break;
			case ROLE_DATAGRAM:
				answer_datagram(fd);
				break;
			}
		}
	}
}

pid_t backend_start(const struct world *w, enum place place, const uint16_t *ports,
		    size_t n_ports)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = world_fork(w, place);
	if (!pid) {
		int loop = epoll_create1(EPOLL_CLOEXEC);

		(void)close(ready[0]);
		for (size_t i = 0; i < n_ports; i++) {
			open_listener(loop, SOCK_STREAM, IPPROTO_TCP, ports[i]);
			open_listener(loop, SOCK_STREAM, IPPROTO_SCTP, ports[i]);
			open_listener(loop, SOCK_DGRAM, IPPROTO_UDP, ports[i]);
		}
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		(void)close(ready[1]);
		serve(loop);
	}
	(void)close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		fail_msg("the backend at place %d did not start", (int)place);
	(void)close(ready[0]);
	return pid;
}

void backend_stop(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}
