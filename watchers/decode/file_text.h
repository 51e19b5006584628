/*
 * Files that other programs write, read whole: configuration, kubeconfigs, tokens,
 * certificates, manifests.  Opening never waits for the writer of a FIFO.
 */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct buf;
struct stat;

enum file_text_accept {
	FILE_TEXT_FILE, /* regular files only: for the event loop */
	FILE_TEXT_PIPE, /* also pipes and devices, read to their end: at start */
};

/* 0, -errno, -EISDIR, or -ESPIPE if it is neither a regular file nor accepted. */
int file_text_open(const char *path, enum file_text_accept accept, int *ret_fd,
		   struct stat *ret_stat);
/* 0, -errno as above, or -EFBIG if it is longer than max_len. */
int file_text_read(const char *path, enum file_text_accept accept, size_t max_len,
		   struct buf *out);

/* The reason of such an error, for messages. */
static inline const char *file_text_error(int err)
{
	return err == -ESPIPE ? "not a regular file" : strerror(-err);
}
