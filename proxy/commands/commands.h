/*
 * The commands.  Each returns the exit status: 0 done, 1 a difference or a failure, 2
 * wrong usage.  Errors have been printed on stderr.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

struct options;
struct parts;

enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

int command_run(struct options *options, const struct parts *parts);
int command_plan(struct options *options, const struct parts *parts);
int command_dump(struct options *options, const struct parts *parts);
int command_get(struct options *options, const struct parts *parts);
int command_explain(struct options *options, const struct parts *parts);
int command_status(struct options *options, const struct parts *parts);
int command_events(struct options *options, const struct parts *parts);
int command_top(struct options *options, const struct parts *parts);
int command_diff(struct options *options, const struct parts *parts);
int command_cleanup(struct options *options, const struct parts *parts);
int command_completion(struct options *options, const struct parts *parts);
int command_version(struct options *options, const struct parts *parts);

/*
 * The first step of run, plan and dump: reads --config, completes and validates the
 * configuration, sets the log up, warns about flags without effect.  Returns a status.
 */
int command_prepare(struct options *options);

/* One line on stderr, "sluice: ...". */
__attribute__((format(printf, 1, 2))) void command_error(const char *fmt, ...);
/* Writes to stdout; STATUS_OK, or STATUS_FAILED if it could not be written. */
int command_print(const struct buf *text);
/* `FLAG: "value" is not ALLOWED`, with the flag of this member as it was typed; STATUS_USAGE. */
int command_wrong_value(const struct options *options, const void *member,
			const char *value, const char *allowed);
/*
 * Flags that need --manifests are given without it: prints which, STATUS_USAGE; else
 * STATUS_OK.
 */
int command_check_manifests(const struct options *options);
/* The index of a word in a list, or -1. */
int command_find_word(const char *word, const char *const *words, size_t n);
/* Adds it as indented text. */
void command_add_json(const json_t *json, struct buf *out);
/* "5m"; negative ages are "0s". */
void command_add_age(struct buf *out, long long sec);
/* The pools that an endpoint is in: "cluster,local", "cluster", "local" or "". */
const char *command_pools(const json_t *endpoint);
/* Rows with connections, and nothing that says what they carried. */
bool command_lacks_bytes(const json_t *rows);
#define COMMAND_NO_BYTES                                                                 \
	"bytes and packets are not counted: sysctl -w "                                  \
	"net.netfilter.nf_conntrack_acct=1 counts those of new connections"
