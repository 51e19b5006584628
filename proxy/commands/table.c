#include "proxy/commands/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"

#define GAP "   "

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

void table_print(const struct table *t, struct buf *out)
{
	size_t width[TABLE_MAX_COLUMNS] = {0};

	assert(t->n_columns && t->n_columns <= TABLE_MAX_COLUMNS &&
	       t->n % t->n_columns == 0);
	for (size_t i = 0; i < t->n; i++) {
		size_t len = strlen(t->cells[i]);

		if (len > width[i % t->n_columns])
			width[i % t->n_columns] = len;
	}
	for (size_t i = 0; i < t->n; i++) {
		size_t column = i % t->n_columns;

		if (column + 1 < t->n_columns)
			buf_printf(out, "%-*s" GAP, (int)width[column], t->cells[i]);
		else
			buf_printf(out, "%s\n", t->cells[i]);
	}
}

void table_fini(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->n = t->cap = 0;
}
