/*
 * Writes JSON as text into a buffer, without a tree of values: for long answers.  A
 * comma is added before a value unless the text is empty or ends with "{", "[", ":"
 * or ",".  key: of a member; NULL for an item of a list.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"

/* bracket: '{' or '['; the caller adds the closing one. */
void buf_json_open(struct buf *out, const char *key, char bracket);
/* value: UTF-8 */
void buf_json_string(struct buf *out, const char *key, const char *value);
void buf_json_number(struct buf *out, const char *key, uint64_t n);
/* null if it is not known */
void buf_json_count(struct buf *out, const char *key, bool is_known, uint64_t n);
/* With one digit after the point; not negative. */
void buf_json_tenths(struct buf *out, const char *key, double value);
/* word: true, false, null, or other JSON, as it is */
void buf_json_word(struct buf *out, const char *key, const char *word);
