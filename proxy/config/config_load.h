/*
 * The configuration of a command line with --config: the file, then the flags
 * that count beside it; and reading the file again while the daemon runs.
 */
#pragma once

#include <stdbool.h>

struct config;
struct options;

/* Completed, not validated. On failure nothing is in *ret and *ret_error is freed by the caller. */
int config_load(const struct options *options, struct config *ret, char **ret_error);

/*
 * Compares the file with what is in effect. Logging is changed in place; for
 * anything else the answer is true: the program must be started anew. A file
 * that can't be used is told, and all stays as it is.
 */
bool config_reload(struct options *options);
