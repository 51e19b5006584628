/*
 * `sluice plan`: prints the decisions, without touching anything.  It fails when
 * something was ignored.
 */
#include <string.h>

#include "core/cleanup.h"
#include "proxy/commands/commands.h"
#include "proxy/config/options.h"
#include "proxy/commands/snapshot.h"
#include "watchers/plan/left_out.h"
#include "watchers/plan/plan_print.h"

static const char *const formats[] = {"text", "json", "yaml"};

struct left_out_list {
	struct buf text;
	bool has_mistake;
};

static void add_left_out(void *data, const struct left_out *left)
{
	struct left_out_list *list = data;

	buf_printf(&list->text, "%s  %s %s/%s: %s\n",
		   list->text.len > 0 ? "" : "\nleft out:\n", left->kind, left->ns,
		   left->name, left->reason);
	list->has_mistake |= left->is_mistake;
}

static int print_plan(const struct snapshot *s, int format, bool is_strict)
{
	const struct plan_print_input input = snapshot_print_input(s);
	struct left_out_list left = {.has_mistake = false};
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	int status;

	(void)plan_print(&input, formats[format], &text); /* the format is a known one */
	left_out_each(s->cluster, add_left_out, &left);
	if (format == 0)
		buf_add(&text, buf_string(&left.text), left.text.len);
	else if (is_strict && left.has_mistake) /* the reason of the exit status */
		(void)fputs(buf_string(&left.text) + 1, stderr);
	status = command_print(&text);
	if (input.n_rejected > 0 || (is_strict && left.has_mistake))
		status = STATUS_FAILED;
	buf_fini(&left.text);
	return status;
}

static int print(const struct snapshot *s, int format)
{
	return print_plan(s, format, false);
}

static int print_strict(const struct snapshot *s, int format)
{
	return print_plan(s, format, true);
}

int command_plan(struct options *options, const struct parts *parts)
{
	int format = command_find_word(*options->output ? options->output : "text",
				       formats, N_ELEMENTS(formats));
	int status = command_prepare(options);

	if (status != STATUS_OK)
		return status;
	if (format < 0)
		return command_wrong_value(options, &options->output, options->output,
					   "text, json or yaml");
	return snapshot_show(&options->config, parts, true,
			     options->strict ? print_strict : print, format);
}
