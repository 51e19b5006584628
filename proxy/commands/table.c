#include "proxy/commands/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"

#define BOLD   "\033[1m"
#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define PLAIN  "\033[0m"

#define GAP_LEN 3 /* between two columns */

/* The text of the cell has been added, from start on. */
static void add_cell(struct table *t, size_t start)
{
	if (t->text.len == start)
		buf_add_char(&t->text, '-');
	t->cells = xgrow(t->cells, t->n, &t->cap, sizeof(*t->cells));
	t->cells[t->n++] = (struct table_cell){start, t->text.len - start};
}

void table_add(struct table *t, const char *cell)
{
	size_t start = t->text.len;

	buf_add_string(&t->text, cell);
	add_cell(t, start);
}

void table_printf(struct table *t, const char *fmt, ...)
{
	size_t start = t->text.len;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&t->text, fmt, ap);
	va_end(ap);
	add_cell(t, start);
}

/* The sequence that starts the colour of a state; NULL: it has none. */
static const char *colour_of(const char *word, size_t len)
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
		if (strlen(colours[i].word) == len &&
		    memcmp(word, colours[i].word, len) == 0)
			return colours[i].colour;
	return NULL;
}

static void add_blanks(struct buf *out, size_t n)
{
	while (n--)
		buf_add_char(out, ' ');
}

static void print_cell(const struct table *t, size_t i, struct buf *out)
{
	const struct table_cell *cell = &t->cells[i];
	const char *text = t->text.data + cell->start, *colour = NULL;
	size_t column = i % t->n_columns;

	if (t->is_coloured && t->has_headings && i < t->n_columns)
		colour = BOLD;
	else if (t->is_coloured && t->state_column && column == t->state_column)
		colour = colour_of(text, cell->len);
	buf_add_string(out, colour ? colour : "");
	buf_add(out, text, cell->len);
	buf_add_string(out, colour ? PLAIN : "");
	if (column + 1 == t->n_columns)
		buf_add_char(out, '\n');
	else
		add_blanks(out, t->width[column] - cell->len + GAP_LEN);
}

void table_print(struct table *t, struct buf *out)
{
	assert(t->n_columns && t->n_columns <= TABLE_MAX_COLUMNS &&
	       t->n % t->n_columns == 0);
	for (size_t i = 0; i < t->n; i++) {
		size_t *width = &t->width[i % t->n_columns];

		if (t->cells[i].len > *width)
			*width = t->cells[i].len;
	}
	for (size_t i = 0; i < t->n; i++)
		print_cell(t, i, out);
	table_fini(t);
	t->has_headings = false;
}

void table_fini(struct table *t)
{
	buf_fini(&t->text);
	free(t->cells);
	t->cells = NULL;
	t->n = t->cap = 0;
}

bool table_may_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term &&
	       strcmp(term, "dumb") != 0;
}
