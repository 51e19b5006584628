/*
 * Reading foreign JSON field by field: a reader points at one value and knows its
 * path, so that a report has the full name of the field ("spec.ports[1].port").
 * Missing and null are the same.  A value of the wrong type is reported once and
 * then counts as missing.
 *
 * Readers are plain values that point at the reader above them: keep that one
 * in a local for as long as a reader from it is in use.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "watchers/reject.h"

#define JSON_READER_MAX_TEXT 4096 /* longer strings are refused */

/* The object that is being read, for reports; ns and name are set when they are known. */
struct json_subject {
	const char *source;
	unsigned item; /* of a list, counted from 1; 0: none */
	const struct reject *reject;
	const char *kind, *ns, *name; /* "" as long as unknown */
};

struct json_reader {
	const json_t *json; /* NULL: nothing there */
	struct json_subject *subject;
	const struct json_reader *up;
	const char *key; /* NULL: an item of an array (or the root) */
	size_t index;
};

static inline bool json_reader_is_manifest(const struct json_reader *r)
{
	return reject_is_manifest(r->subject->reject);
}

struct json_reader json_reader_root(const json_t *json, struct json_subject *subject);
/* Any value. */
struct json_reader json_reader_member(const struct json_reader *r, const char *key);
struct json_reader json_reader_object(const struct json_reader *r, const char *key);
struct json_reader json_reader_array(const struct json_reader *r, const char *key);
/* How many items; that those beyond max are ignored is reported. 0 if it is missing. */
size_t json_reader_n(const struct json_reader *array, size_t max);
struct json_reader json_reader_item(const struct json_reader *array, size_t i);

/* NULL if missing or not a (reasonable) string. */
const char *json_reader_text(const struct json_reader *r);
/* False, and *ret is untouched, if missing, not an integer or out of range. */
bool json_reader_number(const struct json_reader *r, int64_t min, int64_t max,
			int64_t *ret);

/* The same of a member; "" and the fallback if it is missing. */
const char *json_reader_get_text(const struct json_reader *r, const char *key);
int64_t json_reader_get_number(const struct json_reader *r, const char *key, int64_t min,
			       int64_t max, int64_t fallback);
bool json_reader_get_bool(const struct json_reader *r, const char *key, bool fallback);

/* Reports why the value is ignored. */
__attribute__((format(printf, 2, 3))) void json_reader_reject(const struct json_reader *r,
							      const char *fmt, ...);
/* The same for a text in it, which is quoted and cut: "fmt" has one %s. */
void json_reader_reject_text(const struct json_reader *r, const char *fmt,
			     const char *text);
