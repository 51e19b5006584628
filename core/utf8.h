/*
 * Text from outside: UTF-8, or bytes that are not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, in place of what is not text */

/* The length of the first character of a text that is not empty; 0 if it is not valid. */
size_t utf8_read(const char *text, uint32_t *ret);

/* C0 and C1 controls, line separators, and characters that change the direction of writing. */
bool utf8_is_control(uint32_t character);

/* A copy with U+FFFD for each byte that is not UTF-8, and for each control character. */
char *utf8_clean(const char *text);
