/*
 * What is logged while somebody listens.
 */
#pragma once

#include <stddef.h>

/* From now on. */
void capture_start(void);
/* Ends it; the text is good until the next start. */
char *capture_end(void);
/* How often this is in what was logged. */
size_t capture_count(const char *log, const char *what);
