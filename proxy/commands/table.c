#include "proxy/commands/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"

#define GAP    "   "
#define BOLD   "\033[1m"
#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define PLAIN  "\033[0m"

void table_add(struct table *t, const char *cell)
{
	t->cells = xgrow(t->cells, t->n, &t->cap, sizeof(*t->cells));
	t->cells[t->n++] = xstrdup(*cell ? cell : "-");
}

void table_printf(struct table *t, const char *fmt, ...)
{
	_cleanup_(buf_fini) struct buf cell = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&cell, fmt, ap);
	va_end(ap);
	table_add(t, buf_string(&cell));
}

/* The sequence that starts the colour of a state; NULL: it has none. */
static const char *colour_of(const char *word)
{
	static const struct {
		const char *word, *colour;
	} colours[] = {
		{"served", GREEN},     {"ready", GREEN},    {"refused", RED},
		{"dropped", RED},      {"down", RED},	    {"removed", RED},
		{"unserved", RED},     {"waiting", YELLOW}, {"terminating", YELLOW},
		{"not-ready", YELLOW},
	};

	for (size_t i = 0; i < N_ELEMENTS(colours); i++)
		if (strcmp(word, colours[i].word) == 0)
			return colours[i].colour;
	return NULL;
}

static void print_cell(const struct table *t, size_t i, struct buf *out)
{
	size_t column = i % t->n_columns;
	bool is_heading = t->has_headings && i < t->n_columns;
	bool is_state = t->state_column && column == t->state_column;
	const char *colour = is_heading ? BOLD : is_state ? colour_of(t->cells[i]) : NULL;

	if (!t->is_coloured)
		colour = NULL;
	buf_printf(out, "%s%s%s", colour ? colour : "", t->cells[i], colour ? PLAIN : "");
	if (column + 1 == t->n_columns)
		buf_add_char(out, '\n');
	else
		buf_printf(out, "%*s" GAP, (int)(t->width[column] - strlen(t->cells[i])),
			   "");
}

static void remove_rows(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->n = t->cap = 0;
}

void table_print(struct table *t, struct buf *out)
{
	assert(t->n_columns && t->n_columns <= TABLE_MAX_COLUMNS &&
	       t->n % t->n_columns == 0);
	for (size_t i = 0; i < t->n; i++) {
		size_t len = strlen(t->cells[i]);

		if (len > t->width[i % t->n_columns])
			t->width[i % t->n_columns] = len;
	}
	for (size_t i = 0; i < t->n; i++)
		print_cell(t, i, out);
	remove_rows(t);
	t->has_headings = false;
}

void table_fini(struct table *t)
{
	remove_rows(t);
}

bool table_may_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term &&
	       strcmp(term, "dumb") != 0;
}
