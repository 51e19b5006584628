/*
 * Allocation that never fails: memory for our own small objects is either
 * there, or the process is beyond help.
 */
#include "core/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *check(void *p, size_t len)
{
	if (!p && len > 0)
		abort();
	return p;
}

void *xmalloc(size_t len)
{
	return check(malloc(len), len);
}

void *xcalloc(size_t n, size_t len)
{
	/* calloc() itself refuses n * len that overflows. */
	return check(calloc(n, len), n && len);
}

void *xrealloc(void *p, size_t len)
{
	/* realloc(p, 0) may free: keep one byte, so that NULL always means "out of memory". */
	return check(realloc(p, len ? len : 1), 1);
}

void *xreallocarray(void *p, size_t n, size_t len)
{
	size_t total;

	if (__builtin_mul_overflow(n, len, &total))
		abort();
	return xrealloc(p, total);
}

char *xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t len)
{
	size_t n = strnlen(s, len);
	char *copy = xmalloc(n + 1);

	memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

char *xasprintf(const char *fmt, ...)
{
	char *text;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0)
		abort();
	return text;
}

void *xgrow(void *items, size_t n, size_t *cap, size_t item_len)
{
	if (n < *cap)
		return items;
	if (*cap > SIZE_MAX / 2)
		abort();
	*cap = *cap ? *cap * 2 : 8;
	return xreallocarray(items, *cap, item_len);
}
