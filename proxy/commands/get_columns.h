/*
 * The tables of `sluice get`.  A column is a heading and a way to make a cell from a
 * row of the daemon: an object, or for the plain table an array without the names.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/commands/table.h"
#include "proxy/control/control.h"

struct get_row {
	const json_t *json;
	const char *const *keys; /* of an array, in its order */
};

struct get_column {
	const char *heading;
	const char *key; /* of a string or number in the row */
	void (*cell)(struct table *t, const struct get_row *row); /* instead of key */
	bool is_wide;
};

struct get_resource {
	const char *names[4]; /* ends with NULL */
	enum control_verb verb;
	const struct get_column *columns;
	size_t n_columns;
};

struct get_row get_row_of(const struct get_resource *r, const json_t *json);
/* NULL: the row has no such member. */
const json_t *get_value(const struct get_row *row, const char *key);
/* "" if the member is missing or not a string. */
const char *get_text(const struct get_row *row, const char *key);

/* NULL: not the name of one. */
const struct get_resource *get_resource_find(const char *name);
/* Sets the columns; the headings are the first row, if wanted. */
void get_add_headings(struct table *t, const struct get_resource *r, bool is_wide,
		      bool with_headings);
void get_add_row(struct table *t, const struct get_resource *r, bool is_wide,
		 const json_t *json);

/*
 * Sorts rows by namespace, name, port name, protocol and family, or first by a column:
 * "" or one of get_sort_names. Rows that are equal in these keep their order.
 */
extern const char get_sort_names[];
bool get_can_sort(const char *by);
void get_sort(json_t *rows, const struct get_resource *r, const char *by);
