/*
 * Passes over one JSON value that may come cut anywhere, to behind its last
 * byte.  Brackets are counted and strings are skipped; that it all matches is
 * the parser's business.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct json_scan { /* embedded, zeroed */
	bool in_string;
	bool is_escaped; /* the next byte of the string stands for itself */
	unsigned depth;	 /* of brackets open */
	unsigned depth_limit;
	uint64_t line; /* line breaks passed */
};

/*
 * A value of at most depth_limit levels begins with this byte. 0, -EINVAL (none
 * does) or -E2BIG.
 */
int json_scan_begin(struct json_scan *s, char first, unsigned depth_limit);
/* Goes on behind what was passed; *ret_done: its end was met. -E2BIG, too deep. */
int json_scan_pass(struct json_scan *s, const char **at, const char *end, bool *ret_done);

/* Behind an opening quote. */
void json_scan_begin_string(struct json_scan *s);
/* To behind the closing quote (then in_string is false), or to the end of what there is. */
const char *json_scan_pass_string(struct json_scan *s, const char *p, const char *end);
const char *json_scan_blanks(struct json_scan *s, const char *p, const char *end);
bool json_scan_is_blank(char c);
