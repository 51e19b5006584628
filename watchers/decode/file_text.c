#include "watchers/decode/file_text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"

int file_text_open(const char *path, enum file_text_accept accept, int *ret_fd,
		   struct stat *ret_stat)
{
	_cleanup_(closep) int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd == -1 || fstat(fd, ret_stat) == -1)
		return -errno;
	if (S_ISDIR(ret_stat->st_mode))
		return -EISDIR;
	if (!S_ISREG(ret_stat->st_mode)) {
		if (accept == FILE_TEXT_FILE)
			return -ESPIPE;
		if (fcntl(fd, F_SETFL, 0) == -1) /* reads wait for the writer */
			return -errno;
	}
	*ret_fd = take_fd(fd);
	return 0;
}

int file_text_read(const char *path, enum file_text_accept accept, size_t max_len,
		   struct buf *out)
{
	_cleanup_(closep) int fd = -1;
	char chunk[16384];
	struct stat st;
	ssize_t n;
	int err = file_text_open(path, accept, &fd, &st);

	if (err != 0)
		return err;
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
