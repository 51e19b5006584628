/*
 * The bytes of a file of objects, in pieces of any size.  Objects are decoded as
 * they arrive; they count only if the end is right.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "watchers/saved/saved_objects.h"

#define SAVED_KIND    "sluice objects"
#define SAVED_VERSION 3

/* Before each record: its length.  0 is that of the end. */
#define SAVED_HEAD_LEN 4
/* The end: a length of 0, the number of records, the checksum of everything before it. */
#define SAVED_END_LEN (SAVED_HEAD_LEN + 8 + 8)

#define SAVED_CHECKSUM_INIT UINT64_C(14695981039346656037)
/* FNV-1a, 64 bits: it finds damage, not forgery. */
static inline uint64_t saved_checksum(uint64_t sum, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ (uint8_t)bytes[i]) * UINT64_C(1099511628211);
	return sum;
}

struct saved_reader { /* embedded */
	const struct saved_source *source;
	struct saved_objects objects;
	const char *why; /* of a refusal: a constant text, after "FILE " */
	struct buf rest; /* of the head or a record, that is not complete yet */
	uint64_t sum;
	bool has_head, has_end;
};

void saved_reader_init(struct saved_reader *r, const struct saved_source *source);
void saved_reader_fini(struct saved_reader *r);
/* 0, or -EINVAL with why. */
int saved_reader_feed(struct saved_reader *r, const char *bytes, size_t len);
int saved_reader_end(struct saved_reader *r);
