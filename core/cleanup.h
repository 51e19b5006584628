/*
 * Scope-bound ownership.  A local that owns something is declared with
 * _cleanup_(xp), where xp takes a pointer to the variable; take_ptr() and
 * take_fd() hand the thing on and leave the variable empty.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

#define container_of(ptr, type, member)                                                  \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

#define take_ptr(p)                                                                      \
	({                                                                               \
		typeof(p) took_ = (p);                                                   \
		(p) = NULL;                                                              \
		took_;                                                                   \
	})

#define take_fd(fd)                                                                      \
	({                                                                               \
		int took_ = (fd);                                                        \
		(fd) = -1;                                                               \
		took_;                                                                   \
	})

/* Defines static inline void FUNCp(TYPE *p), for _cleanup_(FUNCp). */
#define DEFINE_CLEANUP(type, func)                                                       \
	static inline void func##p(type *p)                                              \
	{                                                                                \
		if (*p)                                                                  \
			func(*p);                                                        \
	}                                                                                \
	struct cleanup_semicolon_

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}
