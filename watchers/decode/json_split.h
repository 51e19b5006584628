/*
 * Splits a stream of JSON into values without building a tree of all of it: a List
 * of 30 000 Services is passed on item by item, a watch event by event.  Input may
 * be cut anywhere.  Only the ends of values are found here; the caller parses
 * them.
 *
 * Bounded: no value longer than max_len (it is copied, unless it is complete in
 * one piece of input), none nested deeper than max_depth.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "watchers/decode/json_scan.h"

enum json_split_type {
	/* An item of the array "items" of a top-level object. */
	JSON_SPLIT_ITEM,
	/* A top-level value; one that had items cut out has an empty array instead. */
	JSON_SPLIT_VALUE,
};

struct json_split_part {
	enum json_split_type type;
	const char *bytes; /* for the call only */
	size_t len;
	uint64_t line; /* of its first byte, counted from 1 */
	uint64_t
		items; /* ITEM: its number, counted from 1. VALUE: how many were cut out */
	bool is_cut; /* beyond a limit: only its first bytes, which are not valid JSON */
};

/* Another result than 0 ends the splitting with that error. */
typedef int (*json_split_fn)(void *data, const struct json_split_part *part);

struct json_split_options {
	bool cut_items;	      /* else top-level values are passed on whole */
	bool skip_separators; /* lines of "---" between values mean nothing */
	/* of an item or whole value beyond a limit the first bytes are passed on */
	bool cut_oversize;
	size_t max_len;
	unsigned max_depth;
};

struct json_split { /* embedded */
	struct json_split_options options;
	json_split_fn fn;
	void *data;
	int err; /* that ended it, or 0 */

	uint8_t state;	       /* enum in json_split.c */
	struct json_scan scan; /* the value that is being skipped */
	bool is_cut;	       /* it is beyond a limit */
	size_t cut_len;	       /* its length so far */
	unsigned dashes;
	uint64_t part_line, item_line, n_items;
	struct buf part; /* the kept bytes of the top-level value */
	struct buf item; /* the item, if it came in pieces */
	struct buf key;	 /* the last key of the top-level object */
};

void json_split_init(struct json_split *s, const struct json_split_options *options,
		     json_split_fn fn, void *data);
void json_split_fini(struct json_split *s);

/*
 * 0, -EINVAL (not valid JSON), -E2BIG (a limit; with cut_oversize, 16 MiB in one
 * value), or the error of fn.  Later calls return the same error.
 */
int json_split_feed(struct json_split *s, const char *bytes, size_t len);
/* The stream has ended: -EINVAL if that was inside a value. */
int json_split_finish(struct json_split *s);

/*
 * For an ITEM's fn: the top-level object with the fields before its items. The
 * caller frees it.
 */
char *json_split_head(const struct json_split *s);
/* Has a value started that was not passed on? */
bool json_split_is_inside(const struct json_split *s);
/* The current line; after an error, that of the error. */
uint64_t json_split_line(const struct json_split *s);
