/*
 * `sluice status`: is the daemon in sync, since when, and what is wrong.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/control_client.h"
#include "proxy/config/options.h"
#include "proxy/control/control.h"
#include "watchers/decode/json_text.h"

#define STATUS_NO_DAEMON 2

/* "2026-11-28T21:00:01.000000Z" as "2026-11-28 21:00:01 (3m ago)". */
static void print_time(const char *text, struct buf *out)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!end) {
		buf_add_string(out, "never");
		return;
	}
	buf_printf(out, "%.10s %.8s UTC (", text, text + 11);
	command_add_age(out, clock_wall_us() / 1000000 - timegm(&tm));
	buf_add_string(out, " ago)");
}

static long long number(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

static void add_label(struct buf *out, const char *label)
{
	buf_printf(out, "%-13s", label);
}

static void print_list(const json_t *texts, const char *label, struct buf *out)
{
	for (size_t i = 0; i < json_array_size(texts); i++) {
		add_label(out, label);
		buf_printf(out, "%s\n", json_string_value(json_array_get(texts, i)));
	}
}

static void print_last_sync(const json_t *sync, struct buf *out)
{
	add_label(out, "last sync");
	print_time(json_text(sync, "time"), out);
	if (!json_is_null(sync))
		buf_printf(out, ", %s%s: %lld service ports in %.1f ms",
			   json_text(sync, "reason"),
			   json_is_true(json_object_get(sync, "full")) ? ", full" : "",
			   number(sync, "servicePorts"),
			   json_real_value(json_object_get(sync, "durationMs")));
	buf_add_char(out, '\n');
}

static void print_moment(const json_t *status, const char *key, const char *label,
			 struct buf *out)
{
	add_label(out, label);
	print_time(json_text(status, key), out);
	buf_add_char(out, '\n');
}

static void print_repair(const json_t *status, struct buf *out)
{
	const char *by = json_text(status, "lastChangedBy");
	const char *restored = json_text(status, "lastRestored");

	add_label(out, "last repair");
	print_time(json_text(status, "lastRepair"), out);
	buf_printf(out, "%s%s%s%s\n", *by ? ", of a change by " : "", by,
		   *restored ? ": " : "", restored);
}

static void print_counts(const json_t *counts, struct buf *out)
{
	add_label(out, "serves");
	buf_printf(out,
		   "%lld Services: %lld service ports, %lld frontends, %lld endpoints\n",
		   number(counts, "services"), number(counts, "servicePorts"),
		   number(counts, "frontends"), number(counts, "endpoints"));
	if (number(counts, "checkedEndpoints")) {
		add_label(out, "checks");
		buf_printf(out, "%lld endpoints, of which %lld are down\n",
			   number(counts, "checkedEndpoints"),
			   number(counts, "downEndpoints"));
	}
	add_label(out, "attention");
	buf_printf(out,
		   "%lld service ports without endpoints, %lld claims wait, %lld objects "
		   "or fields ignored\n",
		   number(counts, "withoutEndpoints"), number(counts, "waitingClaims"),
		   number(counts, "ignored"));
}

static void print_sinks(const json_t *sinks, struct buf *out)
{
	for (size_t i = 0; i < json_array_size(sinks); i++) {
		const json_t *sink = json_array_get(sinks, i);

		add_label(out, i ? "" : "sinks");
		buf_printf(out, "%s: %s, %lld repairs, %lld failures, %lld refused\n",
			   json_text(sink, "name"), json_text(sink, "state"),
			   number(sink, "repairs"), number(sink, "failures"),
			   number(sink, "refused"));
	}
}

static void print_source(const json_t *status, struct buf *out)
{
	const json_t *node = json_object_get(status, "node");
	const json_t *source = json_object_get(status, "source");
	const char *zone = json_text(node, "zone"),
		   *why = json_text(status, "modeReason");

	add_label(out, "mode");
	buf_printf(out, "%s%s%s%s\n", json_text(status, "mode"), *why ? " (" : "", why,
		   *why ? ")" : "");
	add_label(out, "node");
	buf_printf(out, "%s%s%s\n", json_text(node, "name"), *zone ? ", zone " : "",
		   zone);
	add_label(out, "objects");
	buf_printf(out, "from %s%s%s\n", json_text(source, "kind"),
		   *json_text(source, "server") ? " " : "", json_text(source, "server"));
	if (!*json_text(source, "savedSince"))
		return;
	add_label(out, "");
	buf_add_string(out, "until it has been read, the last known ones of ");
	print_time(json_text(source, "savedAt"), out);
	buf_add_string(out, ", since ");
	print_time(json_text(source, "savedSince"), out);
	buf_add_char(out, '\n');
}

static void print(const json_t *status, bool is_in_sync, struct buf *out)
{
	buf_add_string(out, is_in_sync ? "in sync since " : "NOT IN SYNC since ");
	print_time(json_text(status, "since"), out);
	buf_add_char(out, '\n');
	print_list(json_object_get(status, "problems"), "problem", out);
	print_list(json_object_get(status, "warnings"), "warning", out);
	add_label(out, "healthy");
	buf_add_string(out, json_is_true(json_object_get(status, "healthy")) ? "yes\n"
									     : "NO\n");
	print_source(status, out);
	print_counts(json_object_get(status, "counts"), out);
	print_last_sync(json_object_get(status, "lastSync"), out);
	print_repair(status, out);
	print_moment(status, "lastAudit", "last audit", out);
	print_sinks(json_object_get(status, "sinks"), out);
	print_moment(status, "started", "started", out);
	add_label(out, "version");
	buf_printf(out, "%s, pid %lld\n", json_text(status, "version"),
		   number(status, "pid"));
}

int command_status(struct options *options, const struct parts *parts)
{
	const struct control_request request = {.verb = CONTROL_STATUS};
	bool is_json = strcmp(options->output, "json") == 0, is_in_sync;
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	json_auto_t *status = NULL;
	int result;

	if (*options->output && !is_json)
		return command_wrong_value(options, &options->output, options->output,
					   "json");
	if (control_ask(options->config.control_socket, &request, &status) != 0)
		return STATUS_NO_DAEMON;
	is_in_sync = json_is_true(json_object_get(status, "inSync"));
	if (is_json)
		command_add_json(status, &out);
	else
		print(status, is_in_sync, &out);
	result = command_print(&out);
	if (result == STATUS_OK && !is_in_sync)
		result = STATUS_FAILED;
	return result;
}
