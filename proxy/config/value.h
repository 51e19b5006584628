/*
 * Typed values as flags and configuration files write them: text in, text out.
 * A slot is the place in a struct that a value of that kind lives in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

enum value_kind {		  /* the slot's type */
		  VALUE_BOOL,	  /* bool */
		  VALUE_INT,	  /* int32_t */
		  VALUE_FLOAT,	  /* double */
		  VALUE_STRING,	  /* char *, owned, never NULL once set */
		  VALUE_DURATION, /* int64_t, nanoseconds, in Go's notation */
		  VALUE_STRINGS,  /* struct strings */
		  VALUE_PATHS, /* struct strings; each occurrence is one item, commas and all */
		  VALUE_GATES, /* struct strings of "Name=true" */
};

struct strings {
	char **items;
	size_t n;
};

void strings_add(struct strings *s, const char *text);
void strings_fini(struct strings *s);

/* Word for help texts: "duration", "strings", …; "" for bool. */
const char *value_kind_name(enum value_kind kind);
/* For "x is not ...": "a number". */
const char *value_kind_wanted(enum value_kind kind);

/*
 * Parses text into the slot. Lists grow; append says whether to keep the
 * old items. -EINVAL leaves the slot alone.
 */
int value_parse(enum value_kind kind, const char *text, bool append, void *slot);
void value_format(enum value_kind kind, const void *slot, struct buf *out);
void value_fini(enum value_kind kind, void *slot);

/* Go's: "1m30s", "1.5h", "250ms", "0"; signs are allowed. */
int duration_parse(const char *text, int64_t *ret_ns);
/* As Go prints it: "15m0s", "1.5s", "0s". */
void duration_format(int64_t ns, struct buf *out);
