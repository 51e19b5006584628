/*
 * Captures standard error.
 */
#pragma once

#include <stddef.h>

/* Starts it. */
void capture_start(void);
/* Ends it; the text is valid until the next start. */
char *capture_end(void);
/* How often this is in the log. */
size_t capture_count(const char *log, const char *what);
