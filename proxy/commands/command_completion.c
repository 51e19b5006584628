/*
 * `sluice completion SHELL`: a script that completes commands, their arguments and
 * flags, from the tables of both.  zsh runs the one of bash.
 */
#include <ctype.h>
#include <string.h>

#include "core/cleanup.h"
#include "proxy/commands/commands.h"
#include "proxy/config/options.h"

/* Flags that do something for the command. */
static bool is_offered(const struct flag *flag, size_t command)
{
	return (flag->commands & 1u << command) && !(flag->properties & FLAG_HIDDEN) &&
	       !flag->no_effect;
}

/* "services|endpoints" as words; other arguments are names of what they take. */
static void add_arguments(const char *arguments, struct buf *out)
{
	if (!islower((unsigned char)*arguments))
		return;
	for (; *arguments && *arguments != ' '; arguments++)
		buf_add_char(out, *arguments == '|' ? ' ' : *arguments);
	buf_add_char(out, ' ');
}

static void add_commands(struct buf *out)
{
	for (size_t i = 0; i < COMMAND_N; i++)
		buf_printf(out, "%s ", commands[i].name);
}

static void write_bash(struct buf *out)
{
	buf_add_string(out, "_sluice() {\n"
			    "\tlocal words='' word=${COMP_WORDS[COMP_CWORD]}\n"
			    "\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\twords='");
	add_commands(out);
	buf_add_string(out, "'\n\telse\n\t\tcase ${COMP_WORDS[1]} in\n");
	for (size_t i = 0; i < COMMAND_N; i++) {
		buf_printf(out, "\t\t%s) words='", commands[i].name);
		add_arguments(commands[i].arguments, out);
		for (size_t f = 0; f < n_flags; f++)
			if (is_offered(&flags[f], i))
				buf_printf(out, "--%s ", flags[f].name);
		buf_add_string(out, "' ;;\n");
	}
	buf_add_string(
		out,
		"\t\tesac\n\tfi\n"
		"\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
		"\t[ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$word\"))\n"
		"}\ncomplete -o filenames -F _sluice sluice\n");
}

static void write_zsh(struct buf *out)
{
	buf_add_string(out, "autoload -U +X bashcompinit && bashcompinit\n");
	write_bash(out);
}

/* In single quotes. */
static void add_quoted(struct buf *out, const char *text)
{
	buf_add_char(out, '\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, *text);
	}
	buf_add_char(out, '\'');
}

static void write_fish_flag(const struct flag *flag, const char *command, struct buf *out)
{
	buf_printf(out, "complete -c sluice -n '__fish_seen_subcommand_from %s' -l %s ",
		   command, flag->name);
	if (flag->shorthand)
		buf_printf(out, "-s %c ", flag->shorthand);
	buf_add_string(out, flag->bare_value ? "-d " : "-r -d ");
	add_quoted(out, flag->help ? flag->help : "");
	buf_add_char(out, '\n');
}

static void write_fish(struct buf *out)
{
	for (size_t i = 0; i < COMMAND_N; i++) {
		_cleanup_(buf_fini) struct buf arguments = BUF_INIT;

		buf_printf(out,
			   "complete -c sluice -f -n __fish_use_subcommand -a %s -d ",
			   commands[i].name);
		add_quoted(out, commands[i].summary);
		buf_add_char(out, '\n');
		add_arguments(commands[i].arguments, &arguments);
		if (arguments.len)
			buf_printf(out,
				   "complete -c sluice -f -n "
				   "'__fish_seen_subcommand_from %s' -a '%s'\n",
				   commands[i].name, buf_string(&arguments));
		for (size_t f = 0; f < n_flags; f++)
			if (is_offered(&flags[f], i))
				write_fish_flag(&flags[f], commands[i].name, out);
	}
}

int command_completion(struct options *options, const struct parts *parts)
{
	static const struct {
		const char *shell;
		void (*write)(struct buf *out);
	} writers[] = {{"bash", write_bash}, {"zsh", write_zsh}, {"fish", write_fish}};
	const char *shell = options->arguments.items[0];
	_cleanup_(buf_fini) struct buf out = BUF_INIT;

	for (size_t i = 0; i < N_ELEMENTS(writers); i++)
		if (strcmp(shell, writers[i].shell) == 0) {
			writers[i].write(&out);
			return command_print(&out);
		}
	command_error("completion: \"%s\" is not bash, zsh or fish", shell);
	return STATUS_USAGE;
}
