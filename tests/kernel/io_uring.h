/* connect() through a ring of io_uring, made for this call. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

/* Waits for the result: 0, or -errno; -ENOSYS also where io_uring is forbidden. */
int io_uring_connect(int fd, const struct sockaddr *sa, socklen_t len, bool async);
