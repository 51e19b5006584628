/*
 * Small files that others write, read whole: kubeconfigs, tokens, certificates.
 */
#pragma once

#include <stddef.h>

struct buf;

/* 0, -errno, or -EFBIG when there is more than max_len. */
int file_text_read(const char *path, size_t max_len, struct buf *out);
