/*
 * Allocation for our own small objects: running out of memory aborts, and the
 * supervisor starts us again.  Sizes that a peer chooses are bounded by the
 * caller before they come here.
 */
#pragma once

#include <stddef.h>

void *xmalloc(size_t len);
void *xcalloc(size_t n, size_t len);
void *xrealloc(void *p, size_t len);
/* Like xrealloc for arrays; aborts when n * len overflows. */
void *xreallocarray(void *p, size_t n, size_t len);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len);
__attribute__((format(printf, 1, 2))) char *xasprintf(const char *fmt, ...);

/*
 * Makes room for one more item in a growing array: doubles when full.
 *	items = xgrow(items, n, &cap, sizeof(*items));
 */
void *xgrow(void *items, size_t n, size_t *cap, size_t item_len);
