/*
 * Cuts a stream of JSON into values without making a tree of all of it: a List
 * of 30 000 Services comes out item by item, a watch event by event.  Bytes may
 * come cut anywhere.  Only where values begin and end is looked at here; what
 * is handed out still has to be parsed.
 *
 * Bounded: no value longer than max_len (what is kept of it is a copy, unless
 * it lies in one piece of input whole), none nested deeper than max_depth.
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
	uint64_t line; /* where it begins, counted from 1 */
	uint64_t
		items; /* ITEM: its number, counted from 1. VALUE: how many were cut out */
	bool is_cut;   /* beyond a limit: this is how it begins, no JSON */
};

/* What it doesn't return 0 for ends the splitting with that answer. */
typedef int (*json_split_fn)(void *data, const struct json_split_part *part);

struct json_split_options {
	bool cut_items;	      /* else top-level values come whole */
	bool skip_separators; /* lines of "---" between values mean nothing */
	/* an item or whole value beyond a limit costs only itself: its begin is handed out */
	bool cut_oversize;
	size_t max_len;
	unsigned max_depth;
};

struct json_split { /* embedded */
	struct json_split_options options;
	json_split_fn fn;
	void *data;
	int err; /* what ended it, or 0 */

	uint8_t state;	       /* enum in json_split.c */
	struct json_scan scan; /* the value that is being passed over */
	bool is_cut;	       /* which is beyond a limit */
	size_t cut_len;	       /* and so long by now */
	unsigned dashes;
	uint64_t part_line, item_line, n_items;
	struct buf part; /* the top-level value as far as it is kept */
	struct buf item; /* the item, when it came in pieces */
	struct buf key;	 /* the last key of the top-level object */
};

void json_split_init(struct json_split *s, const struct json_split_options *options,
		     json_split_fn fn, void *data);
void json_split_fini(struct json_split *s);

/*
 * 0, -EINVAL (no JSON), -E2BIG (a limit; with cut_oversize, 16 MiB in one
 * value), or what fn answered.  After an error
 * it stays with it.
 */
int json_split_feed(struct json_split *s, const char *bytes, size_t len);
/* The stream has ended: -EINVAL when it did so inside a value. */
int json_split_finish(struct json_split *s);

/*
 * For an ITEM's fn: what has come of the top-level object before its items, made
 * a whole object. The caller frees it.
 */
char *json_split_head(const struct json_split *s);
/* Is something kept that has not been handed out? */
bool json_split_is_inside(const struct json_split *s);
/* Where it stands; after an error, where that was. */
uint64_t json_split_line(const struct json_split *s);
