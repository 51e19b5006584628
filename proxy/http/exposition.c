/*
 * Numbers are written so that they read back as the same double, in the
 * shortest form; label values are escaped as the format says.
 */
#include "proxy/http/exposition.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"

static void add_number(struct buf *out, double value)
{
	char text[32];

	if (isinf(value)) {
		buf_add_string(out, value > 0 ? "+Inf" : "-Inf");
		return;
	}
	for (int digits = 6; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	buf_add_string(out, text);
}

static void add_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n') {
			buf_add_string(out, "\\n");
			continue;
		}
		if (*text == '"' || *text == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, *text);
	}
}

static void add_labels(struct buf *out, const struct label *labels, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "%s%s=\"", i ? "," : "{", labels[i].name);
		add_escaped(out, labels[i].value);
		buf_add_char(out, '"');
	}
	if (n)
		buf_add_char(out, '}');
}

void exposition_family(struct buf *out, const char *name, const char *type,
		       const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void exposition_sample(struct buf *out, const char *name, const struct label *labels,
		       size_t n_labels, double value)
{
	buf_add_string(out, name);
	add_labels(out, labels, n_labels);
	buf_add_char(out, ' ');
	add_number(out, value);
	buf_add_char(out, '\n');
}

static void add_bucket(struct buf *out, const char *name, struct label *labels,
		       size_t n_labels, double bound, uint64_t count)
{
	_cleanup_(buf_fini) struct buf le = BUF_INIT;

	add_number(&le, bound);
	labels[n_labels] = (struct label){"le", buf_string(&le)};
	buf_printf(out, "%s_bucket", name);
	add_labels(out, labels, n_labels + 1);
	buf_printf(out, " %" PRIu64 "\n", count);
}

void exposition_value(struct buf *out, const char *name, const char *type,
		      const char *help, double value)
{
	exposition_family(out, name, type, help);
	exposition_sample(out, name, NULL, 0, value);
}

void exposition_histogram(struct buf *out, const char *name, const struct label *labels,
			  size_t n_labels, const struct histogram_bounds *bounds,
			  const struct histogram *h)
{
	struct label with_le[EXPOSITION_MAX_LABELS];
	uint64_t count = 0;

	assert(n_labels < EXPOSITION_MAX_LABELS);
	for (size_t i = 0; i < n_labels; i++)
		with_le[i] = labels[i];
	for (size_t i = 0; i <= bounds->n; i++) {
		count += h->counts[i];
		add_bucket(out, name, with_le, n_labels,
			   i < bounds->n ? bounds->le[i] : (double)INFINITY, count);
	}
	buf_printf(out, "%s_sum", name);
	add_labels(out, labels, n_labels);
	buf_add_char(out, ' ');
	add_number(out, h->sum);
	buf_printf(out, "\n%s_count", name);
	add_labels(out, labels, n_labels);
	buf_printf(out, " %" PRIu64 "\n", h->n);
}
