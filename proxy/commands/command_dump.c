/*
 * `sluice dump`: the rules of these objects, as text.
 */
#include <jansson.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/snapshot.h"
#include "proxy/config/config.h"
#include "proxy/config/options.h"
#include "proxy/engine/full_changes.h"
#include "proxy/engine/parts.h"
#include "watchers/plan/plan_print.h"

/* A mode that is named has its own view only; auto may take any. */
static bool may_use(const struct snapshot *s, const struct plane *plane)
{
	const char *mode = s->config->mode;

	for (size_t i = 0; i < s->parts->n_planes; i++)
		if (strcmp(s->parts->planes[i].mode, mode) == 0)
			return strcmp(plane->mode, mode) == 0;
	return true;
}

static void add_view(const struct snapshot *s, const struct plane *plane, json_t *json)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct full_changes all;

	full_changes_init(&all, s->state, &s->node_info.env);
	plane->dump(&all.cs, &text);
	full_changes_fini(&all);
	(void)json_object_set_new(json, plane->mode,
				  json_loadb(buf_string(&text), text.len, 0, NULL));
}

static int add_bytes(const char *bytes, size_t len, void *data)
{
	buf_add(data, bytes, len);
	return 0;
}

/* The plan, but with node ports at the addresses where they answer, and views of planes. */
static void dump_json(const struct snapshot *s, struct buf *out)
{
	struct plan_print_input input = snapshot_print_input(s);
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	json_t *json;

	input.env = &s->node_info.env;
	(void)plan_print(&input, "json", &text);
	json = json_loadb(buf_string(&text), text.len, 0, NULL);
	for (size_t i = 0; i < s->parts->n_planes; i++)
		if (s->parts->planes[i].dump && may_use(s, &s->parts->planes[i]))
			add_view(s, &s->parts->planes[i], json);
	(void)json_dump_callback(json, add_bytes, out, JSON_INDENT(2));
	buf_add_char(out, '\n');
	json_decref(json);
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

static int complain(const struct options *options, const struct parts *parts)
{
	_cleanup_(buf_fini) struct buf known = BUF_INIT;

	for (size_t i = 0; i < parts->n_formats; i++)
		buf_printf(&known, "%s%s", i ? ", " : "", parts->formats[i].name);
	buf_add_string(&known, " or json");
	return command_wrong_value(options, &options->format, options->format,
				   buf_string(&known));
}

int command_dump(struct options *options, const struct parts *parts)
{
	const char *name = *options->format ? options->format : parts->formats[0].name;
	int format = find_format(parts, name);
	int status = command_prepare(options);

	if (status != STATUS_OK)
		return status;
	if (format < 0)
		return complain(options, parts);
	return snapshot_show(&options->config, parts, false, print, format);
}
