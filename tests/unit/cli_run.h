/*
 * Runs the program of this build.
 */
#pragma once

#include "core/buf.h"

#define CLI_MAX_ARGS 12

struct cli_outcome {
	int status;
	struct buf out, err;
};

/* name is argv[0]; the arguments end with NULL or fill the array. */
struct cli_outcome cli_run(const char *name, const char *const *args, const char *input);
/* The same as a user without rights; needs root. */
struct cli_outcome cli_run_unprivileged(const char *name, const char *const *args);
void cli_outcome_fini(struct cli_outcome *o);
