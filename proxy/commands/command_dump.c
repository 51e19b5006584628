/*
 * `sluice dump`: the rules of these objects, as text.
 */
#include <string.h>

#include "core/cleanup.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/snapshot.h"
#include "proxy/config/options.h"
#include "proxy/engine/full_changes.h"
#include "proxy/engine/parts.h"
#include "watchers/plan/plan_print.h"

/* The plan, but with node ports at the addresses where they answer. */
static void dump_json(const struct snapshot *s, struct buf *out)
{
	struct plan_print_input input = snapshot_print_input(s);

	input.env = &s->node_info.env;
	(void)plan_print(&input, "json", out);
}

static void dump_rules(const struct snapshot *s, const struct dump_format *format,
		       struct buf *out)
{
	struct full_changes all;

	full_changes_init(&all, s->state, &s->node_info.env);
	format->dump(&all.cs, out);
	full_changes_fini(&all);
}

/* An index into the formats of the build, or after their end: json. */
static int print(const struct snapshot *s, int format)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	if ((size_t)format < s->parts->n_formats)
		dump_rules(s, &s->parts->formats[format], &text);
	else
		dump_json(s, &text);
	return command_print(&text);
}

/* -1: unknown. */
static int find_format(const struct parts *parts, const char *name)
{
	for (size_t i = 0; i < parts->n_formats; i++)
		if (strcmp(name, parts->formats[i].name) == 0)
			return (int)i;
	return strcmp(name, "json") == 0 ? (int)parts->n_formats : -1;
}

static void complain(const struct parts *parts, const char *name)
{
	_cleanup_(buf_fini) struct buf known = BUF_INIT;

	for (size_t i = 0; i < parts->n_formats; i++)
		buf_printf(&known, "%s%s", i ? ", " : "", parts->formats[i].name);
	command_error("--format: \"%s\" is not %s or json", name, buf_string(&known));
}

int command_dump(struct options *options, const struct parts *parts)
{
	const char *name = *options->format ? options->format : parts->formats[0].name;
	int format = find_format(parts, name);
	int status = command_prepare(options);

	if (status != STATUS_OK)
		return status;
	if (format < 0) {
		complain(parts, name);
		return STATUS_USAGE;
	}
	return snapshot_show(&options->config, parts, false, print, format);
}
