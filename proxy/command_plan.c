/*
 * `sluice plan`: what is decided, without touching anything.
 */
#include <string.h>

#include "core/cleanup.h"
#include "proxy/commands.h"
#include "proxy/options.h"
#include "proxy/snapshot.h"
#include "watchers/cluster.h"
#include "watchers/plan_print.h"

static const char *const formats[] = {"text", "json", "yaml"};

static bool is_format(const char *text)
{
	for (size_t i = 0; i < N_ELEMENTS(formats); i++)
		if (strcmp(text, formats[i]) == 0)
			return true;
	return false;
}

static int print(const struct snapshot *s, const char *format)
{
	const struct plan_print_input input = snapshot_print_input(s);
	struct buf text = BUF_INIT;
	int status;

	(void)plan_print(&input, format, &text); /* the format is a known one */
	status = command_print(&text);
	buf_fini(&text);
	return status;
}

int command_plan(struct options *options, const struct parts *parts)
{
	const char *format = *options->output ? options->output : "text";
	struct snapshot s;
	int status = command_prepare(options);

	if (status != STATUS_OK)
		return status;
	if (!is_format(format)) {
		command_error("--output: \"%s\" is not text, json or yaml", format);
		return STATUS_USAGE;
	}
	if (snapshot_take(&s, &options->config, parts, true) != 0)
		status = STATUS_FAILED;
	else
		status = print(&s, format);
	if (s.source_err != 0)
		status = STATUS_FAILED;
	snapshot_fini(&s);
	return status;
}
