/*
 * Fields that a file gives twice: parsers quietly take the last one, people
 * should know.
 */
#pragma once

#include <stddef.h>

/* A log line for each, with its line number. YAML or JSON; text that doesn't parse is no matter. */
void config_duplicates_warn(const char *bytes, size_t len, const char *name);
