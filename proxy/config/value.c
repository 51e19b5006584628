/*
 * One table row for each kind of value.  The notation is that of Go's flag
 * libraries, because that is what existing command lines and files contain.
 */
#include "proxy/config/value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"

#define NS_PER_US  INT64_C(1000)
#define NS_PER_MS  (1000 * NS_PER_US)
#define NS_PER_SEC (1000 * NS_PER_MS)

static const struct {
	const char *name;
	int64_t ns;
} duration_units[] = {
	/* longer names first where one is the start of another */
	{"ns", 1},
	{"us", NS_PER_US},
	{"\u00b5s", NS_PER_US}, /* micro sign */
	{"\u03bcs", NS_PER_US}, /* Greek letter mu */
	{"ms", NS_PER_MS},
	{"s", NS_PER_SEC},
	{"m", 60 * NS_PER_SEC},
	{"h", 3600 * NS_PER_SEC},
};

static int64_t unit_take(const char **text)
{
	for (size_t i = 0; i < N_ELEMENTS(duration_units); i++) {
		size_t len = strlen(duration_units[i].name);

		if (strncmp(*text, duration_units[i].name, len) == 0) {
			*text += len;
			return duration_units[i].ns;
		}
	}
	return 0;
}

/* Digits with at most one point; false when there is no digit. */
static bool number_take(const char **text, long double *ret)
{
	size_t max = strspn(*text, "0123456789.");
	char *end;

	*ret = strtold(*text, &end); /* it would take signs, exponents and "inf", too */
	if (end == *text || (size_t)(end - *text) > max)
		return false;
	*text = end;
	return true;
}

int duration_parse(const char *text, int64_t *ret_ns)
{
	const char *s = text;
	bool is_negative = *s == '-';
	long double total = 0;

	if (*s == '-' || *s == '+')
		s++;
	if (strlen(s) > 64)
		return -EINVAL;
	if (strcmp(s, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	if (!*s)
		return -EINVAL;
	while (*s) {
		long double number;
		int64_t unit;

		if (!number_take(&s, &number))
			return -EINVAL;
		unit = unit_take(&s);
		if (!unit)
			return -EINVAL;
		total += number * (long double)unit;
	}
	if (total > (long double)(INT64_MAX / 2))
		return -EINVAL;
	*ret_ns = (int64_t)(total + 0.5L) * (is_negative ? -1 : 1);
	return 0;
}

/* value / unit without trailing zeros: 1.5 */
static void format_fraction(int64_t ns, int64_t unit, struct buf *out)
{
	int64_t rest = ns % unit;

	buf_printf(out, "%" PRId64, ns / unit);
	if (!rest)
		return;
	buf_add_char(out, '.');
	while (rest) {
		rest *= 10;
		buf_add_char(out, (char)('0' + rest / unit));
		rest %= unit;
	}
}

void duration_format(int64_t ns, struct buf *out)
{
	if (ns < 0) {
		buf_add_char(out, '-');
		ns = -ns;
	}
	if (ns == 0) {
		buf_add_string(out, "0s");
	} else if (ns < NS_PER_SEC) {
		int64_t unit = ns < NS_PER_US	? 1
			       : ns < NS_PER_MS ? NS_PER_US
						: NS_PER_MS;

		format_fraction(ns, unit, out);
		buf_add_string(out, unit == 1		? "ns"
				    : unit == NS_PER_US ? "\u00b5s"
							: "ms");
	} else {
		int64_t minutes = ns / (60 * NS_PER_SEC);

		if (minutes >= 60)
			buf_printf(out, "%" PRId64 "h", minutes / 60);
		if (minutes > 0)
			buf_printf(out, "%" PRId64 "m", minutes % 60);
		format_fraction(ns % (60 * NS_PER_SEC), NS_PER_SEC, out);
		buf_add_char(out, 's');
	}
}

void strings_add(struct strings *s, const char *text)
{
	s->items = xreallocarray(s->items, s->n + 1, sizeof(*s->items));
	s->items[s->n++] = xstrdup(text);
}

void strings_fini(struct strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->items[i]);
	free(s->items);
	*s = (struct strings){0};
}

static int parse_bool(const char *text, bool append, void *slot)
{
	static const char *const words[2][6] = {
		{"0", "f", "F", "false", "False", "FALSE"},
		{"1", "t", "T", "true", "True", "TRUE"},
	};

	for (size_t value = 0; value < 2; value++)
		for (size_t i = 0; i < N_ELEMENTS(words[0]); i++)
			if (strcmp(text, words[value][i]) == 0) {
				*(bool *)slot = value == 1;
				return 0;
			}
	return -EINVAL;
}

static void format_bool(const void *slot, struct buf *out)
{
	buf_add_string(out, *(const bool *)slot ? "true" : "false");
}

static int parse_int(const char *text, bool append, void *slot)
{
	char *end;
	long value;

	if (!*text || isspace((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	value = strtol(text, &end, 0);
	if (errno || *end || value < INT32_MIN || value > INT32_MAX)
		return -EINVAL;
	*(int32_t *)slot = (int32_t)value;
	return 0;
}

static void format_int(const void *slot, struct buf *out)
{
	buf_printf(out, "%" PRId32, *(const int32_t *)slot);
}

static int parse_float(const char *text, bool append, void *slot)
{
	char *end;
	double value;

	if (!*text || isspace((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	value = strtod(text, &end);
	if (errno || *end || !isfinite(value))
		return -EINVAL;
	*(double *)slot = value;
	return 0;
}

static void format_float(const void *slot, struct buf *out)
{
	buf_printf(out, "%g", *(const double *)slot);
}

static int parse_string(const char *text, bool append, void *slot)
{
	char *copy = xstrdup(text);

	free(*(char **)slot);
	*(char **)slot = copy;
	return 0;
}

static void format_string(const void *slot, struct buf *out)
{
	const char *text = *(char *const *)slot;

	buf_add_string(out, text ? text : "");
}

static void fini_string(void *slot)
{
	free(*(char **)slot);
	*(char **)slot = NULL;
}

static int parse_duration(const char *text, bool append, void *slot)
{
	return duration_parse(text, slot);
}

static void format_duration(const void *slot, struct buf *out)
{
	duration_format(*(const int64_t *)slot, out);
}

static int parse_paths(const char *text, bool append, void *slot)
{
	if (!*text)
		return -EINVAL;
	if (!append)
		strings_fini(slot);
	strings_add(slot, text);
	return 0;
}

static int parse_strings(const char *text, bool append, void *slot)
{
	_cleanup_(freep) char *copy = xstrdup(text);
	char *rest = copy, *item;

	if (!append)
		strings_fini(slot);
	if (!*text)
		return 0;
	while ((item = strsep(&rest, ",")))
		strings_add(slot, item);
	return 0;
}

static void format_strings(const void *slot, struct buf *out)
{
	const struct strings *s = slot;

	for (size_t i = 0; i < s->n; i++)
		buf_printf(out, "%s%s", i ? "," : "", s->items[i]);
}

static void fini_strings(void *slot)
{
	strings_fini(slot);
}

static bool is_gate(const char *text)
{
	const char *equals = strchr(text, '=');
	bool ignored;

	return equals && equals != text && parse_bool(equals + 1, false, &ignored) == 0;
}

static int parse_gates(const char *text, bool append, void *slot)
{
	struct strings parsed = {0};

	(void)parse_strings(text, false, &parsed);
	for (size_t i = 0; i < parsed.n; i++)
		if (!is_gate(parsed.items[i])) {
			strings_fini(&parsed);
			return -EINVAL;
		}
	if (!append)
		strings_fini(slot);
	for (size_t i = 0; i < parsed.n; i++)
		strings_add(slot, parsed.items[i]);
	strings_fini(&parsed);
	return 0;
}

static const struct {
	const char *name, *wanted;
	int (*parse)(const char *text, bool append, void *slot);
	void (*format)(const void *slot, struct buf *out);
	void (*fini)(void *slot); /* NULL: owns nothing */
} kinds[] = {
	[VALUE_BOOL] = {"", "true or false", parse_bool, format_bool, NULL},
	[VALUE_INT] = {"int", "a whole number up to 2147483647", parse_int, format_int,
		       NULL},
	[VALUE_FLOAT] = {"float", "a number", parse_float, format_float, NULL},
	[VALUE_STRING] = {"string", "a text", parse_string, format_string, fini_string},
	[VALUE_DURATION] = {"duration", "a duration such as 1m30s or 250ms",
			    parse_duration, format_duration, NULL},
	[VALUE_STRINGS] = {"strings", "a list", parse_strings, format_strings,
			   fini_strings},
	[VALUE_PATHS] = {"path", "a path", parse_paths, format_strings, fini_strings},
	[VALUE_GATES] = {"Name=bool,...", "Name=true or Name=false, several by comma",
			 parse_gates, format_strings, fini_strings},
};

const char *value_kind_name(enum value_kind kind)
{
	return kinds[kind].name;
}

const char *value_kind_wanted(enum value_kind kind)
{
	return kinds[kind].wanted;
}

int value_parse(enum value_kind kind, const char *text, bool append, void *slot)
{
	return kinds[kind].parse(text, append, slot);
}

void value_format(enum value_kind kind, const void *slot, struct buf *out)
{
	kinds[kind].format(slot, out);
}

void value_fini(enum value_kind kind, void *slot)
{
	if (kinds[kind].fini)
		kinds[kind].fini(slot);
}
