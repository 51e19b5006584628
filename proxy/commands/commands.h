/*
 * The commands. Each answers with the exit status: 0 done, 1 a difference or a
 * failure, 2 wrong usage; what went wrong has been told on stderr.
 */
#pragma once

#include "core/buf.h"

struct options;
struct parts;

enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

int command_run(struct options *options, const struct parts *parts);
int command_plan(struct options *options, const struct parts *parts);
int command_dump(struct options *options, const struct parts *parts);
int command_get(struct options *options, const struct parts *parts);
int command_explain(struct options *options, const struct parts *parts);
int command_diff(struct options *options, const struct parts *parts);
int command_cleanup(struct options *options, const struct parts *parts);
int command_version(struct options *options, const struct parts *parts);

/*
 * What run, plan and dump do first: read --config, complete and validate the
 * configuration, set the log up, warn about what has no effect. A status.
 */
int command_prepare(struct options *options);

/* One line on stderr, "sluice: ...". */
__attribute__((format(printf, 1, 2))) void command_error(const char *fmt, ...);
/* All of it to stdout; STATUS_FAILED when that can't be written. */
int command_print(const struct buf *text);
