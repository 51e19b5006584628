/*
 * The invariant: data is NULL and cap 0, or len < cap and data[len] is NUL.
 */
#include "core/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"

/* Room for len more bytes and the NUL. */
static void reserve(struct buf *b, size_t len)
{
	size_t need;

	if (__builtin_add_overflow(b->len, len, &need) || need > SIZE_MAX / 2 - 1)
		abort();
	if (need < b->cap)
		return;
	b->cap = b->cap * 2 > need + 1 ? b->cap * 2 : need + 1;
	if (b->cap < 64)
		b->cap = 64;
	b->data = xrealloc(b->data, b->cap);
}

void buf_fini(struct buf *b)
{
	free(b->data);
	*b = BUF_INIT;
}

void buf_cut(struct buf *b, size_t len)
{
	b->len = len;
	if (b->data)
		b->data[len] = '\0';
}

void buf_clear(struct buf *b)
{
	buf_cut(b, 0);
}

void buf_drop(struct buf *b, size_t len)
{
	if (len == 0)
		return;
	b->len -= len;
	memmove(b->data, b->data + len, b->len + 1);
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
	reserve(b, len);
	if (len)
		memcpy(b->data + b->len, bytes, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_add_string(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_add_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int len;

	va_copy(again, ap);
	reserve(b, 0);
	len = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
	if (len < 0)
		abort();
	if ((size_t)len >= b->cap - b->len) {
		reserve(b, (size_t)len);
		(void)vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
	}
	va_end(again);
	b->len += (size_t)len;
}

const char *buf_string(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
	char *string;

	reserve(b, 0);
	b->data[b->len] = '\0';
	string = take_ptr(b->data);
	*b = BUF_INIT;
	return string;
}
