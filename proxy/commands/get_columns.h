/*
 * The tables of `sluice get`.  A column is a heading and a way to make a cell from a
 * row of the daemon.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/commands/table.h"
#include "proxy/control/control.h"

struct get_column {
	const char *heading;
	const char *key; /* of a string or number in the row */
	void (*cell)(struct table *t, const json_t *row); /* instead of key */
	bool is_wide;
};

struct get_resource {
	const char *names[4]; /* ends with NULL */
	enum control_verb verb;
	const struct get_column *columns;
	size_t n_columns;
};

/* NULL: not the name of one. */
const struct get_resource *get_resource_find(const char *name);
/* Sets the columns; the headings are the first row, if wanted. */
void get_add_headings(struct table *t, const struct get_resource *r, bool is_wide,
		      bool with_headings);
void get_add_row(struct table *t, const struct get_resource *r, bool is_wide,
		 const json_t *row);

/*
 * Sorts rows by namespace, name, port name, protocol and family, or first by a column:
 * "" or one of get_sort_names. Rows that are equal in these keep their order.
 */
extern const char get_sort_names[];
bool get_can_sort(const char *by);
void get_sort(json_t *rows, const char *by);
