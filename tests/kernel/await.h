/*
 * Waiting for the effects of a running sluice: each function fails the test when its
 * condition does not hold within WORLD_PATIENCE_US.  A line of the log or a count may
 * follow the packets that a test has seen.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "tests/kernel/instance.h"

/* Is this text in the log now? For a text that must not be there after another one. */
bool has_logged(const struct instance *in, const char *text);
__attribute__((format(printf, 2, 3))) void await_log(struct instance *in, const char *fmt,
						     ...);
/* `sluice COMMAND` beside it exits with this status, and prints all texts of the list, which NULL ends. */
void await_output(struct instance *in, const char *command, int status,
		  const char *const *texts);
/* The same with one text. */
void await_text(struct instance *in, const char *command, int status, const char *text);
/* The shell command succeeds on the node. */
__attribute__((format(printf, 2, 3))) void await_shell(struct instance *in,
						       const char *fmt, ...);
/* The process of the test ends by itself; its wait status. */
int await_end(struct instance *in, pid_t pid);
