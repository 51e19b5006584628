#include "bench/relay_serve.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/mem.h"

#define MAX_EVENTS 256
#define PIECE_LEN  (256 << 10)

struct caller {
	int fd;
	uint32_t n_read; /* of the request */
	union {
		char bytes[RELAY_REQUEST_LEN];
		struct relay_request request;
	};
	uint64_t n_owed; /* bytes of the answer */
};

static char piece[PIECE_LEN];

/* False: nothing more can be sent now, or at all. */
static bool send_owed(struct caller *c)
{
	while (c->n_owed > 0) {
		size_t len = c->n_owed < PIECE_LEN ? (size_t)c->n_owed : PIECE_LEN;
		ssize_t n = send(c->fd, piece, len, MSG_NOSIGNAL);

		if (n == -1)
			return false;
		if (c->n_owed != RELAY_ENDLESS)
			c->n_owed -= (uint64_t)n;
	}
	return true;
}

/* False: there is no whole request, or the caller is gone. */
static bool read_request(struct caller *c, bool *ret_is_over)
{
	ssize_t n = recv(c->fd, c->bytes + c->n_read, sizeof(c->bytes) - c->n_read, 0);

	if (n <= 0) {
		*ret_is_over = n == 0 || (errno != EAGAIN && errno != EINTR);
		return false;
	}
	c->n_read += (uint32_t)n;
	if (c->n_read < sizeof(c->bytes))
		return false;
	c->n_read = 0;
	c->n_owed = c->request.answer_len;
	return true;
}

/* Edge-triggered: everything that is possible is done. True: it is over. */
static bool serve_caller(struct caller *c)
{
	bool is_over = false;

	for (;;) {
		bool was_asked = c->n_owed > 0;

		if (!send_owed(c))
			return errno != EAGAIN && errno != EINTR;
		if (was_asked && c->request.has_to_close)
			return true;
		if (!read_request(c, &is_over))
			return is_over;
	}
}

static void accept_callers(int listener, int epoll)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct caller *c = xcalloc(1, sizeof(*c));
		struct epoll_event event = {
			.events = EPOLLIN | EPOLLOUT | EPOLLET,
			.data.ptr = c,
		};

		c->fd = fd;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == -1) {
			perror("epoll_ctl");
			exit(1);
		}
	}
}

_Noreturn void relay_serve(int listener)
{
	struct epoll_event event = {.events = EPOLLIN}, events[MAX_EVENTS];
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == -1) {
		perror("epoll_ctl");
		exit(1);
	}
	for (;;) {
		int n = epoll_wait(epoll, events, MAX_EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct caller *c = events[i].data.ptr;

			if (!c) {
				accept_callers(listener, epoll);
			} else if (serve_caller(c)) {
				(void)close(c->fd);
				free(c);
			}
		}
	}
}
