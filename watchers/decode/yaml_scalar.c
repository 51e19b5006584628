#include "watchers/decode/yaml_scalar.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

#define MAX_NUMBER_LEN	 128
#define MAX_WHOLE_DOUBLE 1e15 /* below, a double that is whole is written as such */
#define CORE_TAG	 "tag:yaml.org,2002:"

static const struct {
	const char *text;
	json_type type;
} words[] = {
	{"y", JSON_TRUE},      {"Y", JSON_TRUE},      {"yes", JSON_TRUE},
	{"Yes", JSON_TRUE},    {"YES", JSON_TRUE},    {"true", JSON_TRUE},
	{"True", JSON_TRUE},   {"TRUE", JSON_TRUE},   {"on", JSON_TRUE},
	{"On", JSON_TRUE},     {"ON", JSON_TRUE},     {"n", JSON_FALSE},
	{"N", JSON_FALSE},     {"no", JSON_FALSE},    {"No", JSON_FALSE},
	{"NO", JSON_FALSE},    {"false", JSON_FALSE}, {"False", JSON_FALSE},
	{"FALSE", JSON_FALSE}, {"off", JSON_FALSE},   {"Off", JSON_FALSE},
	{"OFF", JSON_FALSE},   {"", JSON_NULL},	      {"~", JSON_NULL},
	{"null", JSON_NULL},   {"Null", JSON_NULL},   {"NULL", JSON_NULL},
};

static json_t *word(const char *text, size_t len)
{
	for (size_t i = 0; i < N_ELEMENTS(words); i++) {
		if (strlen(words[i].text) != len || memcmp(words[i].text, text, len) != 0)
			continue;
		return words[i].type == JSON_TRUE    ? json_true()
		       : words[i].type == JSON_FALSE ? json_false()
						     : json_null();
	}
	return NULL;
}

/* The base that a prefix says, which is skipped; a lone "0" is not a prefix. */
static int take_base(const char **digits)
{
	const char *d = *digits;

	if (d[0] != '0' || d[1] == '\0')
		return 10;
	if (!strchr("xXbBoO", d[1])) {
		*digits += 1;
		return 8;
	}
	*digits += 2;
	return strchr("xX", d[1]) ? 16 : strchr("bB", d[1]) ? 2 : 8;
}

static json_t *integer(const char *text)
{
	bool has_sign = *text == '+' || *text == '-', is_negative = *text == '-';
	const char *digits = text + has_sign;
	int base = take_base(&digits);
	unsigned long long value;
	char *end;

	if (!isxdigit((unsigned char)*digits))
		return NULL;
	errno = 0;
	value = strtoull(digits, &end, base);
	if (errno != 0 || *end != '\0')
		return NULL;
	if (is_negative && value <= (unsigned long long)INT64_MAX + 1)
		return json_integer((json_int_t)(0 - value));
	if (!is_negative && value <= INT64_MAX)
		return json_integer((json_int_t)value);
	return has_sign ? NULL : json_real((double)value);
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_real(const char *text)
{
	size_t n_whole, n_fraction = 0;

	text += *text == '+' || *text == '-';
	n_whole = strspn(text, "0123456789");
	text += n_whole;
	if (*text == '.') {
		n_fraction = strspn(++text, "0123456789");
		text += n_fraction;
	}
	if (n_whole + n_fraction == 0)
		return false;
	if (*text == 'e' || *text == 'E') {
		text++;
		text += *text == '+' || *text == '-';
		if (!isdigit((unsigned char)*text))
			return false;
		text += strspn(text, "0123456789");
	}
	return *text == '\0';
}

static json_t *real(const char *text)
{
	double value;

	if (!is_real(text))
		return NULL;
	value = strtod(text, NULL);
	if (!isfinite(value))
		return NULL;
	if (value == trunc(value) && fabs(value) < MAX_WHOLE_DOUBLE)
		return json_integer((json_int_t)value);
	return json_real(value);
}

static json_t *number(const char *text, size_t len)
{
	char plain[MAX_NUMBER_LEN];
	size_t n = 0;
	json_t *value;

	if (len >= sizeof(plain) || memchr(text, '\0', len))
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '_')
			plain[n++] = text[i];
	}
	plain[n] = '\0';
	value = integer(plain);
	return value ? value : real(plain);
}

/* NULL: it is a string. */
static json_t *resolve(const char *text, size_t len)
{
	json_t *value = word(text, len);

	if (!value && len > 0 && strchr("+-.0123456789", text[0]))
		value = number(text, len);
	return value;
}

#define TYPE(name) (1u << JSON_##name)

static const struct {
	const char *tag;
	unsigned types;
} tags[] = {
	{CORE_TAG "bool", TYPE(TRUE) | TYPE(FALSE)},
	{CORE_TAG "int", TYPE(INTEGER)},
	{CORE_TAG "float", TYPE(INTEGER) | TYPE(REAL)},
	{CORE_TAG "null", TYPE(NULL)},
};

json_t *yaml_scalar_parse(const char *text, size_t len, const char *tag, bool is_plain)
{
	json_t *value;

	if (!tag) {
		value = is_plain ? resolve(text, len) : NULL;
		return value ? value : json_stringn(text, len);
	}
	for (size_t i = 0; i < N_ELEMENTS(tags); i++) {
		if (strcmp(tag, tags[i].tag) != 0)
			continue;
		value = resolve(text, len);
		if (value && (tags[i].types & 1u << json_typeof(value)))
			return value;
		json_decref(value);
		return NULL;
	}
	return json_stringn(text, len);
}
