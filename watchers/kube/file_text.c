#include "watchers/kube/file_text.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"

int file_text_read(const char *path, size_t max_len, struct buf *out)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char chunk[4096];
	ssize_t n;

	if (fd == -1)
		return -errno;
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -errno;
		if (out->len + (size_t)n > max_len)
			return -EFBIG;
		buf_add(out, chunk, (size_t)n);
	}
	return 0;
}
