/*
 * Skips one JSON value, which may be cut anywhere, to after its last byte.
 * Brackets are counted and strings are skipped; a parser checks that they match.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct json_scan { /* embedded, zeroed */
	bool in_string;
	bool is_escaped; /* the next byte of the string is literal */
	unsigned depth;	 /* open brackets */
	unsigned depth_limit;
	uint64_t line; /* line breaks skipped */
};

/*
 * Starts a value of at most depth_limit levels with this byte. 0, -EINVAL if no
 * value starts with it, or -E2BIG.
 */
int json_scan_begin(struct json_scan *s, char first, unsigned depth_limit);
/* Continues after the bytes skipped so far; *ret_done: to its end. -E2BIG if it is too deep. */
int json_scan_pass(struct json_scan *s, const char **at, const char *end, bool *ret_done);

/* After an opening quote. */
void json_scan_begin_string(struct json_scan *s);
/* To after the closing quote (then in_string is false), or to the end of the input. */
const char *json_scan_pass_string(struct json_scan *s, const char *p, const char *end);
const char *json_scan_blanks(struct json_scan *s, const char *p, const char *end);
bool json_scan_is_blank(char c);
