#include "watchers/decode/json_scan.h"

#include <errno.h>
#include <string.h>

enum {
	IS_BLANK = 1,
	IS_NEWLINE = 2,
	IS_OPEN = 4,
	IS_CLOSE = 8,
	IS_QUOTE = 16,
	IS_OTHER_END = 32, /* , and : end a number or a word, too */
	IS_WORD = 64,	   /* numbers and true, false, null start with it */
};
#define ENDS_WORD (IS_BLANK | IS_OPEN | IS_CLOSE | IS_QUOTE | IS_OTHER_END)
#define IS_NOTED  (IS_NEWLINE | IS_OPEN | IS_CLOSE | IS_QUOTE)

static const uint8_t classes[256] = {
	[' '] = IS_BLANK,	 ['\t'] = IS_BLANK,
	['\r'] = IS_BLANK,	 ['\n'] = IS_BLANK | IS_NEWLINE,
	['{'] = IS_OPEN,	 ['['] = IS_OPEN,
	['}'] = IS_CLOSE,	 [']'] = IS_CLOSE,
	['"'] = IS_QUOTE,	 [','] = IS_OTHER_END,
	[':'] = IS_OTHER_END,	 ['-'] = IS_WORD,
	['0' ... '9'] = IS_WORD, ['t'] = IS_WORD,
	['f'] = IS_WORD,	 ['n'] = IS_WORD,
};

static uint8_t class_of(char c)
{
	return classes[(uint8_t)c];
}

bool json_scan_is_blank(char c)
{
	return class_of(c) & IS_BLANK;
}

const char *json_scan_blanks(struct json_scan *s, const char *p, const char *end)
{
	for (; p < end && json_scan_is_blank(*p); p++) {
		if (*p == '\n')
			s->line++;
	}
	return p;
}

void json_scan_begin_string(struct json_scan *s)
{
	s->in_string = true;
	s->is_escaped = false;
}

const char *json_scan_pass_string(struct json_scan *s, const char *p, const char *end)
{
	for (; p < end; p++) {
		if (s->is_escaped) {
			s->is_escaped = false;
		} else if (*p == '\\') {
			s->is_escaped = true;
		} else if (*p == '"') {
			s->in_string = false;
			return p + 1;
		}
	}
	return end;
}

int json_scan_begin(struct json_scan *s, char first, unsigned depth_limit)
{
	uint8_t class = class_of(first);

	if (!(class & (IS_OPEN | IS_QUOTE | IS_WORD)))
		return -EINVAL;
	if (class & IS_OPEN && depth_limit == 0)
		return -E2BIG;
	s->in_string = class & IS_QUOTE;
	s->is_escaped = false;
	s->depth = class & IS_OPEN ? 1 : 0;
	s->depth_limit = depth_limit;
	return 0;
}

/* A word or a number ends only where something else starts. */
static const char *pass_word(const char *p, const char *end, bool *ret_done)
{
	while (p < end && !(class_of(*p) & ENDS_WORD))
		p++;
	*ret_done = p < end;
	return p;
}

/* To after the next byte outside of strings that has a meaning, or to the end. */
static const char *pass_plain(struct json_scan *s, const char *p, const char *end)
{
	uint8_t class;

	while (p < end && !(class_of(*p) & IS_NOTED))
		p++;
	if (p == end)
		return p;
	class = class_of(*p++);
	s->line += class & IS_NEWLINE ? 1 : 0;
	s->in_string = class & IS_QUOTE;
	s->depth += class & IS_OPEN ? 1 : 0;
	s->depth -= class & IS_CLOSE ? 1 : 0;
	return p;
}

int json_scan_pass(struct json_scan *s, const char **at, const char *end, bool *ret_done)
{
	const char *p = *at;
	int err = 0;

	*ret_done = false;
	if (s->depth == 0 && !s->in_string)
		p = pass_word(p, end, ret_done);
	else
		while (p < end && err == 0 && !*ret_done) {
			if (s->in_string)
				p = json_scan_pass_string(s, p, end);
			else
				p = pass_plain(s, p, end);
			if (s->depth > s->depth_limit)
				err = -E2BIG;
			*ret_done = err == 0 && s->depth == 0 && !s->in_string;
		}
	*at = p;
	return err;
}
