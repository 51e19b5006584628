/*
 * A parser of common JSON.  Rare forms (numbers that are not short integers, \u,
 * deep nesting), repeated keys and errors are left to jansson's own parser, which
 * then reads the text from its start.  So errors and their messages are
 * always those of jansson; this parser must refuse each text that it would read
 * differently.
 */
#include "watchers/decode/json_fast.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"

#define MAX_DEPTH  64
#define MAX_DIGITS 18 /* fit into 63 bits */

struct parser {
	const char *at, *end;
	unsigned depth;
	struct buf texts; /* a stack: keys of the open objects, and the newest string */
	bool is_ascii;	  /* the newest string */
};

static void skip_blanks(struct parser *p)
{
	while (p->at < p->end &&
	       (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r'))
		p->at++;
}

static bool take(struct parser *p, char c)
{
	skip_blanks(p);
	if (p->at == p->end || *p->at != c)
		return false;
	p->at++;
	return true;
}

/* ---- strings ---- */

/* '\0' if it is none of a single byte. */
static char unescape(char c)
{
	static const char escapes[256] = {
		['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
		['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
	};

	return escapes[(uint8_t)c];
}

/* Bytes of a string that stand for themselves. */
static void push_plain(struct parser *p)
{
	const char *c = p->at;
	uint8_t all = 0;

	for (; c < p->end && (uint8_t)*c >= ' ' && *c != '"' && *c != '\\'; c++)
		all |= (uint8_t)*c;
	p->is_ascii &= all < 0x80;
	buf_add(&p->texts, p->at, (size_t)(c - p->at));
	p->at = c;
}

/* After its opening quote. */
static bool push_string(struct parser *p)
{
	p->is_ascii = true;
	for (;;) {
		char c;

		push_plain(p);
		if (p->at < p->end && *p->at == '"') {
			p->at++;
			return true;
		}
		if (p->end - p->at < 2 || *p->at != '\\' || !(c = unescape(p->at[1])))
			return false;
		buf_add_char(&p->texts, c);
		p->at += 2;
	}
}

static json_t *read_string(struct parser *p)
{
	size_t start = p->texts.len;
	json_t *json = NULL;

	if (push_string(p)) {
		const char *text = buf_string(&p->texts) + start;
		size_t len = p->texts.len - start;

		/* the second one validates UTF-8, as json_object_set_new() does */
		json = p->is_ascii ? json_stringn_nocheck(text, len)
				   : json_stringn(text, len);
	}
	buf_cut(&p->texts, start);
	return json;
}

/* ---- the other values ---- */

static json_t *read_number(struct parser *p)
{
	bool is_negative = *p->at == '-';
	const char *start = p->at + is_negative;
	json_int_t n = 0;

	for (p->at = start; p->at < p->end && p->at - start < MAX_DIGITS &&
			    *p->at >= '0' && *p->at <= '9';
	     p->at++)
		n = n * 10 + (*p->at - '0');
	if (p->at == start || (*start == '0' && p->at - start > 1))
		return NULL;
	return json_integer(is_negative ? -n : n);
}

static json_t *read_word(struct parser *p, const char *word, json_t *json)
{
	size_t len = strlen(word);

	if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) != 0)
		return NULL;
	p->at += len;
	return json;
}

static json_t *read_value(struct parser *p);

static json_t *read_array(struct parser *p)
{
	json_auto_t *array = json_array();

	if (take(p, ']'))
		return take_ptr(array);
	do {
		if (json_array_append_new(array, read_value(p)) == -1)
			return NULL;
	} while (take(p, ','));
	return take(p, ']') ? take_ptr(array) : NULL;
}

/* False, also if the object has the key already. */
static bool read_member(struct parser *p, json_t *object)
{
	size_t start = p->texts.len, n = json_object_size(object);
	bool is_ascii;
	const char *key;
	json_t *value;
	int rc;

	if (!take(p, '"') || !push_string(p) || !take(p, ':'))
		return false;
	is_ascii = p->is_ascii;
	buf_add_char(&p->texts, '\0');
	value = read_value(p);
	key = buf_string(&p->texts) + start;
	rc = is_ascii ? json_object_set_new_nocheck(object, key, value)
		      : json_object_set_new(object, key, value);
	buf_cut(&p->texts, start);
	return rc == 0 && json_object_size(object) > n;
}

static json_t *read_object(struct parser *p)
{
	json_auto_t *object = json_object();

	if (take(p, '}'))
		return take_ptr(object);
	do {
		if (!read_member(p, object))
			return NULL;
	} while (take(p, ','));
	return take(p, '}') ? take_ptr(object) : NULL;
}

static json_t *read_nested(struct parser *p, json_t *(*read)(struct parser *p))
{
	json_t *json = NULL;

	if (++p->depth <= MAX_DEPTH)
		json = read(p);
	p->depth--;
	return json;
}

static json_t *read_value(struct parser *p)
{
	if (take(p, '"'))
		return read_string(p);
	if (take(p, '{'))
		return read_nested(p, read_object);
	if (take(p, '['))
		return read_nested(p, read_array);
	switch (p->at < p->end ? *p->at : '\0') {
	case 't':
		return read_word(p, "true", json_true());
	case 'f':
		return read_word(p, "false", json_false());
	case 'n':
		return read_word(p, "null", json_null());
	default:
		return p->at < p->end ? read_number(p) : NULL;
	}
}

/* NULL: it may be JSON nevertheless. */
static json_t *load(const char *bytes, size_t len)
{
	struct parser p = {.at = bytes, .end = bytes + len};
	json_t *json = NULL;

	if (take(&p, '{'))
		json = read_object(&p);
	skip_blanks(&p);
	if (json && p.at != p.end) {
		json_decref(json);
		json = NULL;
	}
	buf_fini(&p.texts);
	return json;
}

json_t *json_fast_load(const char *bytes, size_t len, size_t flags, json_error_t *error)
{
	json_t *json = load(bytes, len);

	return json ? json : json_loadb(bytes, len, flags, error);
}
