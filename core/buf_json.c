#include "core/buf_json.h"

#include <string.h>

/* Before a value. Keys need no escapes. */
static void add_key(struct buf *out, const char *key)
{
	if (out->len && !memchr("{[:,", out->data[out->len - 1], 4))
		buf_add_char(out, ',');
	if (!key)
		return;
	buf_add_char(out, '"');
	buf_add_string(out, key);
	buf_add(out, "\":", 2);
}

static void add_digits(struct buf *out, uint64_t n)
{
	char digits[20], *first = digits + sizeof(digits);

	do
		*--first = (char)('0' + n % 10);
	while (n /= 10);
	buf_add(out, first, (size_t)(digits + sizeof(digits) - first));
}

static void add_escaped(struct buf *out, const char *text)
{
	for (;;) {
		size_t len = 0;

		while ((unsigned char)text[len] >= ' ' && text[len] != '"' &&
		       text[len] != '\\')
			len++;
		buf_add(out, text, len);
		text += len;
		if (!*text)
			return;
		buf_printf(out, "\\u%04x", (unsigned char)*text++);
	}
}

void buf_json_open(struct buf *out, const char *key, char bracket)
{
	add_key(out, key);
	buf_add_char(out, bracket);
}

void buf_json_string(struct buf *out, const char *key, const char *value)
{
	add_key(out, key);
	buf_add_char(out, '"');
	add_escaped(out, value);
	buf_add_char(out, '"');
}

void buf_json_number(struct buf *out, const char *key, uint64_t n)
{
	add_key(out, key);
	add_digits(out, n);
}

void buf_json_count(struct buf *out, const char *key, bool is_known, uint64_t n)
{
	if (is_known)
		buf_json_number(out, key, n);
	else
		buf_json_word(out, key, "null");
}

void buf_json_tenths(struct buf *out, const char *key, double value)
{
	uint64_t tenths = (uint64_t)(value * 10 + 0.5);

	buf_json_number(out, key, tenths / 10);
	buf_add_char(out, '.');
	add_digits(out, tenths % 10);
}

void buf_json_word(struct buf *out, const char *key, const char *word)
{
	add_key(out, key);
	buf_add_string(out, word);
}
