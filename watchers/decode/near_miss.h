/*
 * Finds the name that a misspelled one was probably meant to be.
 */
#pragma once

/* names ends with NULL. NULL if text is one of them, or similar to none. */
const char *near_miss_find(const char *text, const char *const *names);
