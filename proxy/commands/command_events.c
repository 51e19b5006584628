/*
 * `sluice events`: the last changes of services; with -w also those that follow.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/control_client.h"
#include "proxy/config/options.h"
#include "proxy/control/control.h"
#include "watchers/decode/json_text.h"

#define WATCH_INTERVAL_NS 250000000

static void print_entry(const json_t *entry, struct buf *out)
{
	const char *port = json_text(entry, "portName"),
		   *ns = json_text(entry, "namespace");
	const json_t *cause = json_object_get(entry, "cause");
	const char *time = json_text(entry, "time"), *detail = json_text(entry, "detail");

	buf_printf(out, "%.10s %.12s  ", time, strlen(time) > 11 ? time + 11 : "");
	if (*ns)
		buf_printf(out, "%s/%s%s%s %s %s  ", ns, json_text(entry, "name"),
			   *port ? ":" : "", port, json_text(entry, "protocol"),
			   json_text(entry, "family"));
	buf_printf(out, "%s%s%s", json_text(entry, "what"), *detail ? ": " : "", detail);
	if (*json_text(cause, "text"))
		buf_printf(out, " (%s, %.1f ms)", json_text(cause, "text"),
			   json_number_value(json_object_get(entry, "tookMs")));
	buf_add_char(out, '\n');
}

/* A line for each entry. */
static int print(const json_t *result, bool is_json)
{
	const json_t *entries = json_object_get(result, "entries");
	long long n_dropped = json_integer_value(json_object_get(result, "dropped"));
	_cleanup_(buf_fini) struct buf out = BUF_INIT;

	if (n_dropped)
		command_error("%lld older changes are no longer kept", n_dropped);
	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *entry = json_array_get(entries, i);

		if (is_json) {
			_cleanup_(freep) char *text = json_dumps(entry, JSON_COMPACT);

			buf_printf(&out, "%s\n", text ? text : "{}");
		} else {
			print_entry(entry, &out);
		}
	}
	return command_print(&out);
}

/* From now on only later entries; also those of other Services have numbers. */
static void advance(const json_t *result, struct control_request *request)
{
	(void)snprintf(request->since, sizeof(request->since), "%lld",
		       (long long)json_integer_value(json_object_get(result, "last")));
}

static void print_none(const struct control_request *request)
{
	(void)fprintf(stderr, "No changes%s%s%s%s are kept.\n",
		      *request->ns ? " of " : "", request->ns, *request->name ? "/" : "",
		      request->name);
}

static int ask(const struct options *options, struct control_request *request)
{
	bool is_json = strcmp(options->output, "json") == 0;
	json_auto_t *result = NULL;
	int status;

	if (control_ask(options->config.control_socket, request, &result) != 0)
		return STATUS_FAILED;
	status = print(result, is_json);
	if (!is_json && !options->watch &&
	    json_array_size(json_object_get(result, "entries")) == 0)
		print_none(request);
	advance(result, request);
	return status;
}

/* NAMESPACE[/NAME] */
static int read_argument(const struct options *options, struct control_request *request)
{
	const char *text = options->arguments.n ? options->arguments.items[0] : "";
	const char *slash = strchr(text, '/');
	int ns_len = slash ? (int)(slash - text) : (int)strlen(text);

	if (strlen(text) >= CONTROL_FIELD_LEN ||
	    (slash && (!ns_len || !slash[1] || strchr(slash + 1, '/')))) {
		command_error("events: \"%s\" is not NAMESPACE or NAMESPACE/NAME", text);
		return STATUS_USAGE;
	}
	(void)snprintf(request->ns, sizeof(request->ns), "%.*s", ns_len, text);
	(void)snprintf(request->name, sizeof(request->name), "%s",
		       slash ? slash + 1 : "");
	return STATUS_OK;
}

int command_events(struct options *options, const struct parts *parts)
{
	const struct timespec interval = {.tv_nsec = WATCH_INTERVAL_NS};
	struct control_request request = {.verb = CONTROL_EVENTS};
	int status = read_argument(options, &request);

	if (status == STATUS_OK && *options->output &&
	    strcmp(options->output, "json") != 0)
		status = command_wrong_value(options, &options->output, options->output,
					     "json");
	if (status == STATUS_OK)
		status = ask(options, &request);
	while (status == STATUS_OK && options->watch) {
		(void)nanosleep(&interval, NULL);
		status = ask(options, &request);
	}
	return status;
}
