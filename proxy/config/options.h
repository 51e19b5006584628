/*
 * The command line: which command, its flags, its arguments.  All flags of all
 * commands stand in one table (flags.c); parsing, help texts and the man page's
 * test use it.  The rules are pflag's, because kube-proxy's command lines must
 * work unchanged: --x=y, --x y, booleans --x and --x=false, shorthands -v 2,
 * -v=2 and -v2, lists by comma and by repetition, "--" ends the flags.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "proxy/config/config.h"
#include "proxy/config/value.h"

enum command {
	COMMAND_RUN,
	COMMAND_PLAN,
	COMMAND_DUMP,
	COMMAND_GET,
	COMMAND_EXPLAIN,
	COMMAND_STATUS,
	COMMAND_EVENTS,
	COMMAND_TOP,
	COMMAND_DIFF,
	COMMAND_CLEANUP,
	COMMAND_COMPLETION,
	COMMAND_VERSION,
	COMMAND_N,
};

struct command_info {
	const char *name;
	/* words, or "": none; optional in brackets; the last one may be repeated: "X..." */
	const char *arguments;
	const char *summary;
	const char *details; /* of its help; NULL: none */
};

extern const struct command_info commands[COMMAND_N];

enum flag_property {
	FLAG_WITH_FILE = 1, /* counts beside --config as well */
	FLAG_HIDDEN = 2,    /* deprecated: not in the help texts */
};

struct flag {
	const char *name;
	char shorthand; /* 0: none */
	enum value_kind kind;
	unsigned commands; /* 1 << enum command */
	unsigned properties;
	size_t offset;		/* in struct options */
	size_t also;		/* a second place of the same value; 0: none */
	const char *value_name; /* "ip"; NULL: the kind's name */
	const char *
		bare_value; /* of --x alone; NULL: "true" of a bool, else a value must follow */
	const char *help;
	const char *no_effect; /* why it does nothing here; NULL: it does something */
};

extern const struct flag flags[];
extern const size_t n_flags;

struct option_given {
	const struct flag *flag;
	char *typed, *text; /* "-o" or "--output", and its value */
};

struct options {
	enum command command;
	struct config config;

	char *config_file, *write_config_to;
	char *version; /* "" unless --version was given */
	bool cleanup, init_only, once, strict, help;
	bool kube_proxy; /* also clean up kube-proxy's rules; or called by its name */
	char *output, *format; /* "" unless given */
	char *ns, *from, *selector, *sort_by;
	bool all_namespaces, watch, no_headers;
	int32_t count;
	int64_t interval_ns;
	struct strings arguments; /* all that are not flags */

	struct { /* values of flags without effect */
		char *text;
		int32_t number;
		int64_t duration_ns;
		bool yes;
	} unused;

	struct option_given *given; /* in the order of the command line */
	size_t n_given;
};

void options_init(struct options *o);
void options_fini(struct options *o);

/*
 * argv[0] called kube-proxy means the command "run", else argv[1] names it;
 * no command but --help or --version is fine. -EINVAL for wrong usage, with
 * one line in *ret_error that the caller frees.
 */
int options_parse(struct options *o, int argc, char *const *argv, char **ret_error);

/* The flag of this member of options as it was typed; "" if it was not given. */
const char *options_typed(const struct options *o, const void *member);

/* Applies to another one the given flags that count beside a configuration file. */
void options_reapply(const struct options *given, struct options *to);

/* The help text of the command of these options, with their modes; COMMAND_N: of the program. */
void options_help(const struct options *options, struct buf *out);
