/*
 * Parsing collects (flag, text) pairs; applying writes them into their slots.
 * The pairs are kept, because some count again after a configuration file.
 */
#include "proxy/config/options.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"

struct reader { /* the rest of the command line */
	int argc;
	char *const *argv;
	int next;
	char **ret_error;
};

/* The place of a flag's value. */
static void *slot_of(struct options *o, const struct flag *flag)
{
	return (char *)o + flag->offset;
}

void options_init(struct options *o)
{
	*o = (struct options){.command = COMMAND_N, .interval_ns = 2000000000};
	config_init(&o->config);
	for (size_t i = 0; i < n_flags; i++)
		if (flags[i].kind == VALUE_STRING && !*(char **)slot_of(o, &flags[i]))
			*(char **)slot_of(o, &flags[i]) = xstrdup("");
}

void options_fini(struct options *o)
{
	for (size_t i = 0; i < n_flags; i++)
		value_fini(flags[i].kind, slot_of(o, &flags[i]));
	for (size_t i = 0; i < o->n_given; i++)
		free(o->given[i].typed), free(o->given[i].text);
	free(o->given);
	o->given = NULL;
	o->n_given = 0;
	strings_fini(&o->arguments);
	config_fini(&o->config);
}

static bool same_name(const char *name, const char *text, size_t len)
{
	if (strlen(name) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] != (text[i] == '_' ? '-' : text[i]))
			return false;
	return true;
}

static const struct flag *find_name(enum command command, const char *text, size_t len)
{
	for (size_t i = 0; i < n_flags; i++)
		if ((flags[i].commands & 1u << command) &&
		    same_name(flags[i].name, text, len))
			return &flags[i];
	return NULL;
}

static const struct flag *find_shorthand(enum command command, char letter)
{
	for (size_t i = 0; i < n_flags; i++)
		if ((flags[i].commands & 1u << command) && flags[i].shorthand == letter)
			return &flags[i];
	return NULL;
}

/* A list's first occurrence replaces the default, later ones add to it. */
static bool is_repeated(const struct options *o, const struct flag *flag, size_t before)
{
	for (size_t i = 0; i < before; i++)
		if (o->given[i].flag == flag)
			return true;
	return false;
}

static int apply_flag(struct options *o, const struct flag *flag, const char *text,
		      bool append)
{
	int err = value_parse(flag->kind, text, append, slot_of(o, flag));

	if (err == 0 && flag->also)
		err = value_parse(flag->kind, text, append, (char *)o + flag->also);
	return err;
}

static int give(struct options *o, struct reader *r, const struct flag *flag,
		const char *typed, const char *text)
{
	bool append = is_repeated(o, flag, o->n_given);

	if (apply_flag(o, flag, text, append) != 0) {
		*r->ret_error = xasprintf("%s: \"%s\" is not %s", typed, text,
					  value_kind_wanted(flag->kind));
		return -EINVAL;
	}
	o->given = xreallocarray(o->given, o->n_given + 1, sizeof(*o->given));
	o->given[o->n_given++] =
		(struct option_given){flag, xstrdup(typed), xstrdup(text)};
	return 0;
}

/* takes why: an error that the command's help explains */
static int refuse(const struct options *o, struct reader *r, char *why)
{
	*r->ret_error =
		xasprintf("%s; see %s%s --help", why, o->kube_proxy ? "" : "sluice ",
			  o->kube_proxy ? "kube-proxy" : commands[o->command].name);
	free(why);
	return -EINVAL;
}

static int unknown(const struct options *o, struct reader *r, const char *what)
{
	return refuse(o, r, xasprintf("unknown flag: %s", what));
}

/* The value is the next argument. */
static int give_next(struct options *o, struct reader *r, const struct flag *flag,
		     const char *typed)
{
	if (r->next >= r->argc)
		return refuse(o, r, xasprintf("%s needs a value", typed));
	return give(o, r, flag, typed, r->argv[r->next++]);
}

/* Of the flag alone; NULL: a value must follow. */
static const char *bare_value(const struct flag *flag)
{
	return flag->kind == VALUE_BOOL ? "true" : flag->bare_value;
}

static int parse_long(struct options *o, struct reader *r, const char *text)
{
	size_t len = strcspn(text, "=");
	const struct flag *flag = find_name(o->command, text, len);
	_cleanup_(freep) char *shown = xasprintf("--%.*s", (int)len, text);

	if (!flag || !len)
		return unknown(o, r, shown);
	if (text[len] == '=')
		return give(o, r, flag, shown, text + len + 1);
	if (bare_value(flag))
		return give(o, r, flag, shown, bare_value(flag));
	return give_next(o, r, flag, shown);
}

/* One or more letters; the first that takes a value takes the rest. */
static int parse_short(struct options *o, struct reader *r, const char *letters)
{
	for (const char *s = letters; *s; s++) {
		const struct flag *flag = find_shorthand(o->command, *s);
		const char shown[] = {'-', *s, '\0'};
		int err;

		if (!flag)
			return unknown(o, r, shown);
		if (s[1] == '=')
			return give(o, r, flag, shown, s + 2);
		if (!bare_value(flag))
			return s[1] ? give(o, r, flag, shown, s + 1)
				    : give_next(o, r, flag, shown);
		err = give(o, r, flag, shown, bare_value(flag));
		if (err != 0)
			return err;
	}
	return 0;
}

static int parse_all(struct options *o, struct reader *r)
{
	bool only_arguments = false;

	while (r->next < r->argc) {
		const char *text = r->argv[r->next++];
		int err = 0;

		if (only_arguments || text[0] != '-' || !text[1])
			strings_add(&o->arguments, text);
		else if (strcmp(text, "--") == 0)
			only_arguments = true;
		else if (text[1] == '-')
			err = parse_long(o, r, text + 2);
		else
			err = parse_short(o, r, text + 1);
		if (err != 0)
			return err;
	}
	return 0;
}

/* How many arguments "A [B]" or "A..." allows. */
static void count_arguments(const char *arguments, size_t *ret_min, size_t *ret_max)
{
	*ret_min = *ret_max = 0;
	while (*arguments) {
		size_t len = strcspn(arguments, " ");
		bool is_repeated_word =
			len > 3 && strncmp(arguments + len - 3, "...", 3) == 0;

		*ret_min += *arguments != '[';
		*ret_max = is_repeated_word ? SIZE_MAX : *ret_max + 1;
		arguments += len + strspn(arguments + len, " ");
	}
}

static int check_arguments(const struct options *o, struct reader *r)
{
	const char *arguments = commands[o->command].arguments;
	size_t min, max;

	if (o->help)
		return 0;
	count_arguments(arguments, &min, &max);
	if (o->arguments.n < min)
		return refuse(o, r,
			      xasprintf("%s needs an argument: %s",
					commands[o->command].name, arguments));
	if (o->arguments.n > max)
		return refuse(o, r,
			      xasprintf("%s: unexpected argument \"%s\"",
					commands[o->command].name,
					o->arguments.items[max]));
	return 0;
}

static bool is_kube_proxy(const char *program)
{
	const char *slash = strrchr(program, '/');

	return strcmp(slash ? slash + 1 : program, "kube-proxy") == 0;
}

static int parse_command(struct options *o, struct reader *r)
{
	const char *text = r->next < r->argc ? r->argv[r->next++] : NULL;

	if (!text) {
		*r->ret_error = xstrdup("no command; see sluice --help");
		return -EINVAL;
	}
	o->help = strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0 ||
		  strcmp(text, "help") == 0;
	if (o->help && r->next < r->argc)
		text = r->argv[r->next++];
	else if (o->help)
		return 0;
	for (size_t i = 0; i < COMMAND_N; i++)
		if (strcmp(text, commands[i].name) == 0) {
			o->command = (enum command)i;
			return 0;
		}
	if (strcmp(text, "--version") == 0) {
		o->command = COMMAND_VERSION;
		return 0;
	}
	*r->ret_error = xasprintf("unknown command: %s; see sluice --help", text);
	return -EINVAL;
}

int options_parse(struct options *o, int argc, char *const *argv, char **ret_error)
{
	struct reader r = {.argc = argc, .argv = argv, .next = 1, .ret_error = ret_error};
	int err;

	if (argc > 0 && is_kube_proxy(argv[0])) {
		o->command = COMMAND_RUN;
		o->kube_proxy = true;
	} else {
		err = parse_command(o, &r);
		if (err != 0 || o->command == COMMAND_N)
			return err;
	}
	err = parse_all(o, &r);
	return err != 0 ? err : check_arguments(o, &r);
}

const char *options_typed(const struct options *o, const void *member)
{
	size_t offset = (size_t)((const char *)member - (const char *)o);

	for (size_t i = o->n_given; i-- > 0;)
		if (o->given[i].flag->offset == offset)
			return o->given[i].typed;
	return "";
}

void options_reapply(const struct options *given, struct options *to)
{
	for (size_t i = 0; i < given->n_given; i++) {
		const struct flag *flag = given->given[i].flag;

		if (flag->properties & FLAG_WITH_FILE)
			(void)apply_flag(to, flag, given->given[i].text,
					 is_repeated(given, flag, i));
	}
}
