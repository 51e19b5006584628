/*
 * Strings that could be read as another type are quoted as in JSON, which is
 * valid YAML; all others are plain.
 */
#include "watchers/plan/yaml_print.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/cleanup.h"

/* Words that are not strings in YAML 1.1. */
static const char *const words[] = {
	"null", "true", "false", "yes", "no", "on", "off", "y", "n",
};

static bool is_plain(const char *s)
{
	for (size_t i = 0; i < N_ELEMENTS(words); i++)
		if (!strcasecmp(s, words[i]))
			return false;
	if (!isalpha((unsigned char)*s))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("-_./", *s))
			return false;
	return true;
}

static void print_scalar(const json_t *value, struct buf *out)
{
	_cleanup_(freep) char *text = NULL;

	if (json_is_string(value) && is_plain(json_string_value(value))) {
		buf_add_string(out, json_string_value(value));
		return;
	}
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	buf_add_string(out, text ? text : "null");
}

static void print_indent(struct buf *out, int depth)
{
	for (int i = 0; i < depth; i++)
		buf_add_string(out, "  ");
}

static void print_value(const json_t *value, struct buf *out, int depth, bool is_inline);

static void print_object(json_t *object, struct buf *out, int depth, bool is_inline)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		json_t *name = json_string(key);

		if (!is_inline)
			print_indent(out, depth);
		is_inline = false;
		print_scalar(name, out);
		json_decref(name);
		buf_add_char(out, ':');
		print_value(value, out, depth, false);
	}
}

/* Items have the indentation of their key. */
static void print_array(const json_t *array, struct buf *out, int depth)
{
	size_t i;
	json_t *value;

	json_array_foreach(array, i, value)
	{
		print_indent(out, depth);
		buf_add_char(out, '-');
		print_value(value, out, depth, true);
	}
}

static bool is_block(const json_t *value)
{
	return json_object_size(value) > 0 || json_array_size(value) > 0;
}

/* The rest after a "key:" or, inline, after the dash of an item. */
static void print_value(const json_t *value, struct buf *out, int depth, bool is_inline)
{
	if (!is_block(value)) {
		buf_add_char(out, ' ');
		print_scalar(value, out);
		buf_add_char(out, '\n');
	} else if (json_is_object(value) && is_inline) {
		buf_add_char(out, ' ');
		print_object((json_t *)value, out, depth + 1, true);
	} else {
		buf_add_char(out, '\n');
		if (json_is_object(value))
			print_object((json_t *)value, out, depth + 1, false);
		else
			print_array(value, out, is_inline ? depth + 1 : depth);
	}
}

void yaml_print(const json_t *value, struct buf *out)
{
	if (json_is_object(value) && is_block(value))
		print_object((json_t *)value, out, 0, false);
	else if (is_block(value))
		print_array(value, out, 0);
	else
		print_scalar(value, out);
}
