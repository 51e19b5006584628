/*
 * A scanner of one character at a time.  Invariants: depth and in_string
 * describe the value under way and are 0 outside of one; value holds its bytes
 * so far; after_value is the state to go to when it is complete.
 */
#include "watchers/json_split.h"

#include <errno.h>
#include <string.h>

#define KEY_MAX_LEN 256

enum state {
	BETWEEN,     /* stream: before a value */
	BEFORE_LIST, /* list: before its '{' */
	BEFORE_KEY,
	IN_KEY,
	BEFORE_COLON,
	BEFORE_VALUE,
	IN_ITEMS,  /* between two items */
	IN_NESTED, /* an object or array */
	IN_TEXT,   /* a string */
	IN_SCALAR, /* a number, true, false, null */
	AT_END,	   /* behind the list */
};

void json_split_init(struct json_split *s, enum json_split_mode mode, size_t max_len)
{
	*s = (struct json_split){
		.mode = mode,
		.max_len = max_len,
		.state = mode == JSON_SPLIT_STREAM ? BETWEEN : BEFORE_LIST,
	};
}

void json_split_fini(struct json_split *s)
{
	buf_fini(&s->key);
	buf_fini(&s->value);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_list_member(const struct json_split *s, char first)
{
	return first == '[' && !strcmp(buf_string(&s->key), "items");
}

/* The first character of a value decides how its end is found. */
static int begin_value(struct json_split *s, char c, int after_value)
{
	buf_clear(&s->value);
	s->after_value = after_value;
	s->depth = 0;
	if (c == '{' || c == '[')
		s->state = IN_NESTED;
	else if (s->mode == JSON_SPLIT_STREAM || strchr(",:]}", c))
		return -EINVAL;
	else
		s->state = c == '"' ? IN_TEXT : IN_SCALAR;
	return 0;
}

/* Moves over a character inside brackets; true when it closes the value. */
static int step_nested(struct json_split *s, char c, bool *ret_closed)
{
	if (s->in_string) {
		if (s->is_escaped)
			s->is_escaped = false;
		else if (c == '\\')
			s->is_escaped = true;
		else if (c == '"')
			s->in_string = false;
		return 0;
	}
	if (c == '"')
		s->in_string = true;
	else if ((c == '{' || c == '[') && ++s->depth > JSON_SPLIT_MAX_DEPTH)
		return -E2BIG;
	else if ((c == '}' || c == ']') && --s->depth == 0)
		*ret_closed = true;
	return 0;
}

/* The same for a string; its first quote is the value's first byte. */
static bool step_text(struct json_split *s, char c)
{
	if (!s->in_string) {
		s->in_string = true;
		return false;
	}
	if (s->is_escaped)
		s->is_escaped = false;
	else if (c == '\\')
		s->is_escaped = true;
	else if (c == '"')
		s->in_string = false;
	return !s->in_string;
}

static int give(struct json_split *s, json_split_fn fn, void *data)
{
	const char *member = "";

	if (s->mode == JSON_SPLIT_LIST)
		member = s->after_value == IN_ITEMS ? "items" : buf_string(&s->key);
	s->state = s->after_value;
	return fn(data, member, s->value.data, s->value.len);
}

/*
 * Consumes as much of a value as there is: up to its end, or all of it.  A
 * scalar ends before a character that belongs to what is around it.
 */
static int eat_value(struct json_split *s, const char *bytes, size_t len,
		     size_t *ret_eaten, json_split_fn fn, void *data)
{
	bool is_closed = false, is_behind = false;
	size_t i = 0;
	int err = 0;

	while (i < len && !is_closed && !err) {
		char c = bytes[i++];

		if (s->state == IN_NESTED)
			err = step_nested(s, c, &is_closed);
		else if (s->state == IN_TEXT)
			is_closed = step_text(s, c);
		else
			is_closed = is_behind =
				is_blank(c) || c == ',' || c == '}' || c == ']';
	}
	if (is_behind)
		i--;
	if (err)
		return err;
	if (s->value.len + i > s->max_len)
		return -E2BIG;
	buf_add(&s->value, bytes, i);
	*ret_eaten = i;
	return is_closed ? give(s, fn, data) : 0;
}

static int step_key(struct json_split *s, char c)
{
	if (s->is_escaped) {
		s->is_escaped = false;
	} else if (c == '\\') {
		s->is_escaped = true;
	} else if (c == '"') {
		s->state = BEFORE_COLON;
		return 0;
	}
	if (s->key.len >= KEY_MAX_LEN)
		return -E2BIG;
	buf_add_char(&s->key, c);
	return 0;
}

/* Between keys and between items a comma is skipped wherever it stands; parsers are stricter. */
static int step_before_key(struct json_split *s, char c)
{
	if (c == '}') {
		s->state = AT_END;
	} else if (c == '"') {
		buf_clear(&s->key);
		s->state = IN_KEY;
	} else if (c != ',') {
		return -EINVAL;
	}
	return 0;
}

/*
 * A character outside of a value. When it begins one, the state is a value's
 * and the character is to be eaten as its first byte.
 */
static int step_outside(struct json_split *s, char c)
{
	if (s->state == IN_KEY)
		return step_key(s, c);
	if (is_blank(c))
		return 0;
	switch ((enum state)s->state) {
	case BETWEEN:
		return begin_value(s, c, BETWEEN);
	case BEFORE_LIST:
		s->state = BEFORE_KEY;
		return c == '{' ? 0 : -EINVAL;
	case BEFORE_KEY:
		return step_before_key(s, c);
	case BEFORE_COLON:
		s->state = BEFORE_VALUE;
		return c == ':' ? 0 : -EINVAL;
	case BEFORE_VALUE:
		if (!is_list_member(s, c))
			return begin_value(s, c, BEFORE_KEY);
		s->state = IN_ITEMS;
		return 0;
	case IN_ITEMS:
		if (c == ',')
			return 0;
		if (c != ']')
			return begin_value(s, c, IN_ITEMS);
		s->state = BEFORE_KEY;
		return 0;
	case IN_KEY:
	case IN_NESTED:
	case IN_TEXT:
	case IN_SCALAR:
	case AT_END:
		break;
	}
	return -EINVAL;
}

static bool is_in_value(const struct json_split *s)
{
	return s->state == IN_NESTED || s->state == IN_TEXT || s->state == IN_SCALAR;
}

int json_split_feed(struct json_split *s, const char *bytes, size_t len, json_split_fn fn,
		    void *data)
{
	size_t i = 0;

	while (i < len) {
		size_t eaten = 0;
		int err;

		if (!is_in_value(s)) {
			err = step_outside(s, bytes[i]);
			/* The first byte of a value belongs to it. */
			eaten = is_in_value(s) ? 0 : 1;
		} else {
			err = eat_value(s, bytes + i, len - i, &eaten, fn, data);
		}
		if (err)
			return err;
		i += eaten;
	}
	return 0;
}

bool json_split_is_complete(const struct json_split *s)
{
	return s->state == (s->mode == JSON_SPLIT_STREAM ? BETWEEN : AT_END);
}
