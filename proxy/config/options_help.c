/*
 * Help texts, out of the tables of commands and flags.
 */
#include <string.h>

#include "core/cleanup.h"
#include "proxy/config/options.h"

#define HELP_COLUMN 42

static void help_program(struct buf *out)
{
	buf_add_string(out, "sluice: a Kubernetes service proxy for one node\n\n"
			    "Usage: sluice COMMAND [flags]\n\nCommands:\n");
	for (size_t i = 0; i < COMMAND_N; i++)
		buf_printf(out, "  %-9s%s%-22s%s\n", commands[i].name, " ",
			   commands[i].arguments, commands[i].summary);
	buf_add_string(
		out,
		"\nsluice COMMAND --help lists the command's flags.\n"
		"Started under the name kube-proxy, the program means sluice run.\n");
}

static void help_default(const struct flag *flag, struct buf *out)
{
	struct options defaults;
	struct buf text = BUF_INIT;

	options_init(&defaults);
	value_format(flag->kind, (char *)&defaults + flag->offset, &text);
	if (text.len && strcmp(buf_string(&text), "false") != 0 &&
	    strcmp(buf_string(&text), "0s") != 0 && !flag->no_effect)
		buf_printf(out, " (default %s)", buf_string(&text));
	buf_fini(&text);
	options_fini(&defaults);
}

static void help_flag(const struct flag *flag, struct buf *out)
{
	const char *name =
		flag->value_name ? flag->value_name : value_kind_name(flag->kind);
	struct buf left = BUF_INIT;

	if (flag->shorthand)
		buf_printf(&left, "  -%c, --%s %s", flag->shorthand, flag->name, name);
	else
		buf_printf(&left, "      --%s %s", flag->name, name);
	buf_printf(out, "%-*s  %s", HELP_COLUMN, buf_string(&left), flag->help);
	if (flag->no_effect)
		buf_printf(out, ": %s", flag->no_effect);
	help_default(flag, out);
	buf_add_char(out, '\n');
	buf_fini(&left);
}

void options_help(enum command command, struct buf *out)
{
	if (command == COMMAND_N) {
		help_program(out);
		return;
	}
	buf_printf(out, "%s\n\nUsage: sluice %s%s%s [flags]\n\nFlags:\n",
		   commands[command].summary, commands[command].name,
		   *commands[command].arguments ? " " : "", commands[command].arguments);
	for (size_t i = 0; i < n_flags; i++)
		if ((flags[i].commands & 1u << command) &&
		    !(flags[i].properties & FLAG_HIDDEN))
			help_flag(&flags[i], out);
}
