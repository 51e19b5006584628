/*
 * Messages with descriptors (SCM_RIGHTS) over a Unix socket that keeps the bounds of
 * messages.
 */
#pragma once

#include <stddef.h>
#include <sys/uio.h>

#define RELAY_RIGHTS_MAX 253 /* descriptors of a message; the kernel's limit */

struct relay_rights { /* received */
	int fds[RELAY_RIGHTS_MAX];
	size_t n;
};

/* 0, or -errno. */
int relay_rights_send(int fd, const struct iovec *pieces, size_t n_pieces, const int *fds,
		      size_t n_fds);
/*
 * *ret has every descriptor that arrives, also of a message that is damaged; they are
 * close-on-exec. 0 and the length, -ECONNRESET at the end of the connection, -EBADMSG if the
 * message was longer, or -errno.
 */
int relay_rights_receive(int fd, const struct iovec *pieces, size_t n_pieces,
			 struct relay_rights *ret, size_t *ret_len);
void relay_rights_close(struct relay_rights *r);
