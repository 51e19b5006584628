/*
 * Where the control socket lies in the file system.  The lock file beside it is
 * the guard against a second daemon; the socket alone can't, a stale one looks
 * like a live one until it is tried.
 */
#pragma once

struct control_socket { /* embedded */
	char *path;
	int lock_fd, listen_fd;
};

/*
 * Listens at path, for so many at a time; makes its folder when that is missing
 * and replaces a stale socket, but nothing else. -EADDRINUSE: another daemon has it.
 */
int control_socket_open(const char *path, int backlog, struct control_socket *ret);
/* Also removes the socket. */
void control_socket_close(struct control_socket *s);
