/*
 * The configuration of a command line with --config: the file, then the flags
 * that stay in effect with it; and reading the file again while the daemon runs.
 */
#pragma once

#include <stdbool.h>

struct config;
struct options;

/* Completed, not validated. On failure *ret is unchanged and the caller frees *ret_error. */
int config_load(const struct options *options, struct config *ret, char **ret_error);

/*
 * Compares the file with the running configuration. Changes of logging are applied;
 * for any other change it returns true: the program must be restarted. An invalid
 * file is logged, and the running configuration is kept.
 */
bool config_reload(struct options *options);
