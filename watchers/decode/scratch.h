/*
 * Memory for one decoding: taken piece by piece, given back all at once.  The
 * first pieces come from the struct itself, so a small object costs no
 * allocation at all.
 */
#pragma once

#include <stddef.h>

struct scratch_chunk;

struct scratch { /* embedded, on the stack; scratch_init() */
	struct scratch_chunk *chunks;
	char *at, *end; /* the rest of the newest piece of memory */
	_Alignas(16) char first[4096];
};

void scratch_init(struct scratch *s);
void scratch_fini(struct scratch *s);
/* Zeroed, aligned for anything. The caller has bounded n and len. */
void *scratch_take(struct scratch *s, size_t n, size_t len);
