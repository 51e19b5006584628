/*
 * A growing byte buffer for building text and messages.  A NUL follows its last
 * byte, so data can be read as a string.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct buf { /* embedded; BUF_INIT or zeroed */
	char *data;
	size_t len, cap;
};

#define BUF_INIT ((struct buf){0})

void buf_fini(struct buf *b);
void buf_clear(struct buf *b);
void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_add_string(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *fmt,
						      ...);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap);
/* Removes the first len bytes, which exist. */
void buf_drop(struct buf *b, size_t len);
/* Removes all bytes after the first len, which exist. */
void buf_cut(struct buf *b, size_t len);
/* Never NULL. */
const char *buf_string(const struct buf *b);
/* Hands the string to the caller, who frees it. */
char *buf_take(struct buf *b);
