/*
 * Fields that a file gives twice: parsers quietly take the last one, people
 * should know.
 */
#pragma once

#include <stddef.h>

#define CONFIG_MAX_WARNINGS 10 /* lines of a kind that one file costs the log */

/* A log line for each of the first, with its line number. YAML or JSON; text that doesn't parse is no matter. */
void config_duplicates_warn(const char *bytes, size_t len, const char *name);
