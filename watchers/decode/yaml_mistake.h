/*
 * The most frequent mistakes in a file that libyaml refuses, in words of their own.
 */
#pragma once

#include <stddef.h>

/* The mistake in this line (from 0) of the text, or NULL if it is another one. */
const char *yaml_mistake_find(const char *bytes, size_t len, size_t line);
