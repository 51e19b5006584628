/*
 * Text in columns, each as wide as its widest cell; the first row is the
 * heading.
 */
#pragma once

#include <stddef.h>

#include "core/buf.h"

#define TABLE_MAX_COLUMNS 16

struct table { /* embedded; .n_columns is set by the caller */
	size_t n_columns;
	char **cells; /* row by row, owned */
	size_t n, cap;
};

void table_add(struct table *t, const char *cell);
__attribute__((format(printf, 2, 3))) void table_printf(struct table *t, const char *fmt,
							...);
void table_print(const struct table *t, struct buf *out);
void table_fini(struct table *t);
