/*
 * `sluice plan`: prints the decisions, without touching anything.
 */
#include <string.h>

#include "core/cleanup.h"
#include "proxy/commands/commands.h"
#include "proxy/config/options.h"
#include "proxy/commands/snapshot.h"
#include "watchers/cluster.h"
#include "watchers/plan/plan_print.h"

static const char *const formats[] = {"text", "json", "yaml"};

static int print(const struct snapshot *s, int format)
{
	const struct plan_print_input input = snapshot_print_input(s);
	struct buf text = BUF_INIT;
	int status;

	(void)plan_print(&input, formats[format], &text); /* the format is a known one */
	status = command_print(&text);
	buf_fini(&text);
	return status;
}

int command_plan(struct options *options, const struct parts *parts)
{
	int format = command_find_word(*options->output ? options->output : "text",
				       formats, N_ELEMENTS(formats));
	int status = command_prepare(options);

	if (status != STATUS_OK)
		return status;
	if (format < 0) {
		command_error("--output: \"%s\" is not text, json or yaml",
			      options->output);
		return STATUS_USAGE;
	}
	return snapshot_show(&options->config, parts, true, print, format);
}
