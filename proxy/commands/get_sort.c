#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/commands/get_columns.h"

static const char *const keys[] = {"namespace", "name", "portName", "protocol", "family"};

#define N_KEYS N_ELEMENTS(keys)

struct sorted { /* a row, with the values that are compared */
	json_t *row;
	const char *first; /* the text to sort by; NULL: the number */
	double number;	   /* descending */
	const char *texts[N_KEYS];
	size_t index;
};

static const struct {
	const char *name, *key;
	bool is_number;
} columns[] = {
	{"name", "name", false},  {"namespace", "namespace", false},
	{"age", "created", true}, {"connections", "connections", true},
	{"rate", "rate", true},	  {"endpoints", "endpoints", true},
};

const char get_sort_names[] = "name, namespace, age, connections, rate or endpoints";

static int compare(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;
	int order = x->first ? strcmp(x->first, y->first) : 0;

	if (!order)
		order = (x->number < y->number) - (x->number > y->number);
	for (size_t i = 0; !order && i < N_KEYS; i++)
		order = strcmp(x->texts[i], y->texts[i]);
	if (order)
		return order;
	return x->index < y->index ? -1 : 1;
}

static int find(const char *by)
{
	for (size_t i = 0; i < N_ELEMENTS(columns); i++)
		if (strcmp(by, columns[i].name) == 0)
			return (int)i;
	return -1;
}

bool get_can_sort(const char *by)
{
	return !*by || find(by) >= 0;
}

/* An unknown number is less than 0. */
static double number_of(const struct get_row *row, const char *key)
{
	const json_t *value = get_value(row, key);

	return json_is_number(value) ? json_number_value(value) : -1;
}

static void fill(struct sorted *s, const struct get_row *row, size_t index, int column)
{
	*s = (struct sorted){.index = index};
	if (column >= 0 && columns[column].is_number)
		s->number = number_of(row, columns[column].key);
	else if (column >= 0)
		s->first = get_text(row, columns[column].key);
	for (size_t i = 0; i < N_KEYS; i++)
		s->texts[i] = get_text(row, keys[i]);
}

void get_sort(json_t *rows, const struct get_resource *r, const char *by)
{
	size_t n = json_array_size(rows);
	_cleanup_(freep) struct sorted *sorted = xcalloc(n + 1, sizeof(*sorted));
	int column = find(by);

	for (size_t i = 0; i < n; i++) {
		json_t *json = json_array_get(rows, i);
		const struct get_row row = get_row_of(r, json);

		fill(&sorted[i], &row, i, column);
		sorted[i].row = json_incref(json);
	}
	qsort(sorted, n, sizeof(*sorted), compare);
	(void)json_array_clear(rows);
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(rows, sorted[i].row);
}
