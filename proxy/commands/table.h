/*
 * Text in columns, each as wide as its widest cell so far; the first row may be the
 * heading. Colours mark the heading and the words of one column.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

#define TABLE_MAX_COLUMNS 24

struct table { /* embedded; .n_columns is set by the caller */
	size_t n_columns;
	bool has_headings;		 /* the first row is one */
	bool is_coloured;		 /* only with has_headings or a state column */
	size_t state_column;		 /* of the words; 0: none */
	size_t width[TABLE_MAX_COLUMNS]; /* of all rows that were printed */
	struct buf text;		 /* of the cells */
	struct table_cell {
		size_t start, len;
	} * cells; /* row by row */
	size_t n, cap;
};

void table_add(struct table *t, const char *cell);
__attribute__((format(printf, 2, 3))) void table_printf(struct table *t, const char *fmt,
							...);
/* Prints the rows and removes them; rows that are added later follow without a heading. */
void table_print(struct table *t, struct buf *out);
void table_fini(struct table *t);

/* Standard output is a terminal with colours, and NO_COLOR is not set. */
bool table_may_colour(void);
