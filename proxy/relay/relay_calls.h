/*
 * The system calls of connections, as a table: tests drive connections with a
 * kernel of their own.
 */
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

struct epoll_event;

struct relay_calls {
	int (*socket)(int domain, int type, int protocol);
	int (*connect)(int fd, const struct sockaddr *sa, socklen_t len);
	int (*shutdown)(int fd, int how);
	int (*close)(int fd);
	ssize_t (*recv)(int fd, void *buf, size_t len, int flags);
	ssize_t (*send)(int fd, const void *buf, size_t len, int flags);
	ssize_t (*splice)(int in, off64_t *in_at, int out, off64_t *out_at, size_t len,
			  unsigned flags);
	int (*pipe2)(int fds[2], int flags);
	int (*epoll_ctl)(int set, int what, int fd, struct epoll_event *event);
};

extern const struct relay_calls relay_kernel;
