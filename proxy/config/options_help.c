/*
 * Help texts, out of the tables of commands and flags.  A command shows the flags that
 * do something for it, in the groups of the man page.
 */
#include <string.h>

#include "core/cleanup.h"
#include "proxy/config/options.h"

#define HELP_COLUMN 36
#define HELP_WIDTH  100
#define RUN	    (1u << COMMAND_RUN)
#define PLANNERS                                                                         \
	(RUN | 1u << COMMAND_PLAN | 1u << COMMAND_DUMP | 1u << COMMAND_EXPLAIN |         \
	 1u << COMMAND_DIFF)
#define ALL ((1u << COMMAND_N) - 1)

static const struct {
	const char *title;
	unsigned commands; /* that show it; others accept the flags */
	const char *prefixes
		[24]; /* of flags' names; a flag is in the first group that fits */
} groups[] = {
	{"Where objects come from",
	 PLANNERS,
	 {"manifests", "kubeconfig", "master", "kube-api-", "hostname-override", "config",
	  "timeout"}},
	{"Decisions",
	 PLANNERS,
	 {"proxy-mode", "detect-local-mode", "cluster-cidr", "pod-", "masquerade-all",
	  "iptables-masquerade-bit", "nodeport-addresses", "bind-address",
	  "feature-gates"}},
	{"The daemon",
	 RUN,
	 {"once", "cleanup", "init-only", "write-config-to", "gather-period",
	  "iptables-min-sync-period", "iptables-sync-period", "audit-period",
	  "state-dir"}},
	{"Modes ebpf and userspace",
	 RUN | 1u << COMMAND_CLEANUP,
	 {"cgroup-root", "bpffs-root", "ebpf-", "userspace-", "take-over"}},
	{"Output",
	 ALL,
	 {"output", "format", "namespace", "all-namespaces", "selector", "sort-by",
	  "no-headers", "count", "interval", "once", "from", "watch", "kube-proxy",
	  "strict"}},
	{"The daemon's HTTP servers",
	 RUN,
	 {"healthz-", "metrics-", "service-metrics", "bind-address-hard-fail"}},
	{"Settings of the kernel", RUN, {"conntrack-", "oom-score-adj"}},
	{"Log and control socket", ALL, {"v", "logging-format", "control-socket"}},
	{"Other", ALL, {""}},
};

static void help_program(struct buf *out)
{
	buf_add_string(out, "sluice: a Kubernetes service proxy for one node\n\n"
			    "Usage: sluice COMMAND [flags]\n\nCommands:\n");
	for (size_t i = 0; i < COMMAND_N; i++)
		buf_printf(out, "  %-10s%s%-28s%s\n", commands[i].name, " ",
			   commands[i].arguments, commands[i].summary);
	buf_add_string(out,
		       "\nsluice COMMAND --help, or sluice help COMMAND, lists the "
		       "command's flags.\n"
		       "Called by the name kube-proxy, the program is sluice run.\n");
}

static void add_default(const struct flag *flag, struct buf *out)
{
	struct options defaults;
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	options_init(&defaults);
	value_format(flag->kind, (char *)&defaults + flag->offset, &text);
	if (text.len && strcmp(buf_string(&text), "false") != 0 &&
	    strcmp(buf_string(&text), "0s") != 0)
		buf_printf(out, " (default %s)", buf_string(&text));
	options_fini(&defaults);
}

/* Words, wrapped to start at column; the line is at column at. */
static void add_wrapped(struct buf *out, const char *text, size_t column, size_t at)
{
	for (size_t len; *text; text += len + strspn(text + len, " ")) {
		len = strcspn(text, " ");
		if (at > column && at + 1 + len > HELP_WIDTH) {
			buf_printf(out, "\n%*s", (int)column, "");
			at = column;
		}
		buf_printf(out, "%s%.*s", at > column ? " " : "", (int)len, text);
		at += (at > column) + len;
	}
	buf_add_char(out, '\n');
}

/* The modes of this build, after the text. */
static void add_modes(const char *const *modes, struct buf *out)
{
	for (size_t i = 0; modes && modes[i]; i++)
		buf_printf(out, "%s%s", i ? ", " : ": auto, ", modes[i]);
	buf_add_string(out, "; iptables and ipvs mean auto");
}

static void help_flag(const struct options *options, const struct flag *flag,
		      struct buf *out)
{
	const char *name =
		flag->value_name ? flag->value_name : value_kind_name(flag->kind);
	_cleanup_(buf_fini) struct buf left = BUF_INIT, right = BUF_INIT;

	if (flag->shorthand)
		buf_printf(&left, "  -%c, --%s %s", flag->shorthand, flag->name, name);
	else
		buf_printf(&left, "      --%s %s", flag->name, name);
	buf_add_string(&right, flag->help);
	if (flag->offset == offsetof(struct options, config.mode))
		add_modes(options->config.modes, &right);
	add_default(flag, &right);
	if (left.len + 2 > HELP_COLUMN)
		buf_printf(out, "%s\n%*s", buf_string(&left), HELP_COLUMN, "");
	else
		buf_printf(out, "%-*s", HELP_COLUMN, buf_string(&left));
	add_wrapped(out, buf_string(&right), HELP_COLUMN, HELP_COLUMN);
}

/* The first one with a command of the flag and with its name. */
static size_t group_of(const struct flag *flag)
{
	for (size_t g = 0; g < N_ELEMENTS(groups); g++)
		for (size_t i = 0; groups[g].prefixes[i]; i++) {
			const char *prefix = groups[g].prefixes[i];
			size_t len = strlen(prefix);
			bool is_shared = groups[g].commands & flag->commands;
			bool is_open = len == 0 || prefix[len - 1] == '-';

			if (is_shared && strncmp(flag->name, prefix, len) == 0 &&
			    (is_open || !flag->name[len]))
				return g;
		}
	return N_ELEMENTS(groups) - 1; /* the last one takes all */
}

static bool is_shown(const struct flag *flag, enum command command, size_t group)
{
	return (flag->commands & groups[group].commands & 1u << command) &&
	       !(flag->properties & FLAG_HIDDEN) && !flag->no_effect &&
	       group_of(flag) == group;
}

static void help_group(const struct options *options, size_t group, struct buf *out)
{
	bool is_first = true;

	for (size_t i = 0; i < n_flags; i++) {
		if (!is_shown(&flags[i], options->command, group))
			continue;
		if (is_first)
			buf_printf(out, "\n%s:\n", groups[group].title);
		is_first = false;
		help_flag(options, &flags[i], out);
	}
}

/* The names alone: that they are accepted is all that can be said. */
static void help_without_effect(struct buf *out)
{
	_cleanup_(buf_fini) struct buf names = BUF_INIT;

	for (size_t i = 0; i < n_flags; i++)
		if (flags[i].no_effect && !(flags[i].properties & FLAG_HIDDEN))
			buf_printf(&names, "--%s ", flags[i].name);
	buf_add_string(out, "\nAccepted without effect, as kube-proxy's flags:\n  ");
	add_wrapped(out, buf_string(&names), 2, 2);
}

void options_help(const struct options *options, struct buf *out)
{
	const enum command command = options->command;

	if (command == COMMAND_N) {
		help_program(out);
		return;
	}
	buf_printf(out, "%s\n\nUsage: sluice %s%s%s [flags]\n", commands[command].summary,
		   commands[command].name, *commands[command].arguments ? " " : "",
		   commands[command].arguments);
	if (commands[command].details)
		add_wrapped(out, commands[command].details, 0, 0);
	for (size_t group = 0; group < N_ELEMENTS(groups); group++)
		help_group(options, group, out);
	if (command == COMMAND_RUN)
		help_without_effect(out);
}
