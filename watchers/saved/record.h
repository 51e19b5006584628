/*
 * The bytes of one object.  The same function writes and reads a field, so that both
 * agree on the order: a writer passes the value and ignores the result, which is the
 * same value; a reader gets the value read.
 *
 * Numbers are in groups of seven bits, the lowest first.  Texts end with a NUL, so a
 * reader's texts point into its bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/buf.h"
#include "watchers/decode/scratch.h"

struct record {		      /* embedded */
	struct buf *out;      /* of a writer; NULL: a reader */
	const char *at, *end; /* of a reader: the bytes left */
	bool is_bad;	      /* of a reader: a value is invalid, or bytes are missing */
	struct scratch scratch; /* for lists */
};

void record_init_writer(struct record *r, struct buf *out);
void record_init_reader(struct record *r, const void *bytes, size_t len);
void record_fini(struct record *r);

/* A reader only: the record is bad unless this holds. */
void record_require(struct record *r, bool holds);

/* The smallest allowed value after a bad one. */
uint64_t record_number(struct record *r, uint64_t value, uint64_t min, uint64_t max);
bool record_bool(struct record *r, bool value);
/* Plain (decode_is_plain()) and at most max long; "" after a bad one. */
const char *record_plain(struct record *r, const char *text, size_t max);
/* Any text of at most max bytes. */
const char *record_text(struct record *r, const char *text, size_t max);
/* Names as "a\0b\0\0", at most max; "" without any. */
const char *record_names(struct record *r, const char *names, size_t max);
/* Not unspecified. */
void record_addr(struct record *r, struct addr *addr);
void record_any_addr(struct record *r, struct addr *addr);
void record_cidr(struct record *r, struct cidr *cidr);
/*
 * A copy of the list: fields is called for each item.  A reader's items are zeroed
 * before; with is_set, two items of equal bytes are bad. *n is 0 if the record is bad.
 */
void *record_list(struct record *r, const void *items, uint32_t *n, size_t item_len,
		  size_t max, bool is_set, void (*fields)(struct record *r, void *item));
