/*
 * `sluice explain`: the answer of the daemon, or about manifests, as sentences.
 */
#include <string.h>

#include "core/cleanup.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/control_client.h"
#include "proxy/commands/offline.h"
#include "proxy/control/control.h"
#include "proxy/config/options.h"
#include "proxy/commands/table.h"
#include "proxy/control/target.h"
#include "watchers/decode/json_text.h"

static void print_service(const json_t *service, struct buf *out)
{
	const char *port = json_text(service, "portName");

	buf_printf(out, "%s/%s%s%s", json_text(service, "namespace"),
		   json_text(service, "name"), *port ? ":" : "", port);
}

static void print_source(const json_t *source, struct buf *out)
{
	const char *action = json_text(source, "action"), *why = json_text(source, "why");
	const char *sink = json_text(source, "decidedBy"),
		   *passed = json_text(source, "passedBecause");
	const json_t *notes = json_object_get(source, "notes");
	long long n = json_integer_value(json_object_get(source, "endpoints"));

	buf_printf(out, "from %s: %s", json_text(source, "from"), action);
	if (strcmp(action, "balance") == 0)
		buf_printf(out, " over %lld endpoint%s of the %s pool%s", n,
			   n == 1 ? "" : "s", json_text(source, "pool"),
			   json_is_true(json_object_get(source, "masquerade"))
				   ? ", masqueraded"
				   : ", source kept");
	if (*why)
		buf_printf(out, ": %s", why);
	if (*sink)
		buf_printf(out, "; decided by %s", sink);
	if (*passed)
		buf_printf(out, " (%s)", passed);
	buf_add_char(out, '\n');
	for (size_t i = 0; i < json_array_size(notes); i++)
		buf_printf(out, "  %s\n", json_string_value(json_array_get(notes, i)));
}

static void print_endpoints(const json_t *endpoints, struct buf *out)
{
	struct table t = {.n_columns = 4};

	if (json_array_size(endpoints) == 0) {
		buf_add_string(out, "no endpoints\n");
		return;
	}
	table_add(&t, "ENDPOINT");
	table_add(&t, "NODE");
	table_add(&t, "POOLS");
	table_add(&t, "WHY");
	for (size_t i = 0; i < json_array_size(endpoints); i++) {
		const json_t *endpoint = json_array_get(endpoints, i);

		table_add(&t, json_text(endpoint, "endpoint"));
		table_add(&t, json_text(endpoint, "node"));
		table_add(&t,
			  *command_pools(endpoint) ? command_pools(endpoint) : "none");
		table_add(&t, json_text(endpoint, "reason"));
	}
	table_print(&t, out);
	table_fini(&t);
}

static void print_allowed(const json_t *allowed, struct buf *out)
{
	if (json_array_size(allowed) == 0)
		return;
	buf_add_string(out, "allowed sources:");
	for (size_t i = 0; i < json_array_size(allowed); i++)
		buf_printf(out, " %s", json_string_value(json_array_get(allowed, i)));
	buf_add_char(out, '\n');
}

static void print_waiting(const json_t *waiting, struct buf *out)
{
	for (size_t i = 0; i < json_array_size(waiting); i++) {
		buf_add_string(out, "also claimed by ");
		print_service(json_array_get(waiting, i), out);
		buf_add_string(out, ", which waits\n");
	}
}

static void print_warnings(const json_t *warnings, struct buf *out)
{
	for (size_t i = 0; i < json_array_size(warnings); i++)
		buf_printf(out, "warning: %s\n",
			   json_string_value(json_array_get(warnings, i)));
}

static void print_counts(const json_t *counts, struct buf *out)
{
	static const char *const fields[] = {"connections", "refused", "dropped"};

	if (!json_is_integer(json_object_get(counts, "connections")))
		return;
	for (size_t i = 0; i < N_ELEMENTS(fields); i++)
		buf_printf(out, "%s%s %lld", i ? ", " : "counted: ", fields[i],
			   json_integer_value(json_object_get(counts, fields[i])));
	buf_add_char(out, '\n');
}

static void print_bound(const json_t *bound, struct buf *out)
{
	if (json_is_string(bound))
		buf_printf(out, "affinity: the client stays with %s\n",
			   json_string_value(bound));
	else if (bound)
		buf_add_string(out, "affinity: the client has no endpoint yet\n");
}

static void print_match(const json_t *result, struct buf *out)
{
	const json_t *sources = json_object_get(result, "sources");
	long long affinity =
		json_integer_value(json_object_get(result, "affinitySeconds"));

	buf_printf(out, "%s of ", json_text(result, "kind"));
	print_service(json_object_get(result, "service"), out);
	if (affinity)
		buf_printf(out, ", clients stay with their endpoint for %lld s",
			   affinity);
	buf_add_char(out, '\n');
	print_warnings(json_object_get(result, "warnings"), out);
	for (size_t i = 0; i < json_array_size(sources); i++)
		print_source(json_array_get(sources, i), out);
	print_allowed(json_object_get(result, "allowedSources"), out);
	print_bound(json_object_get(result, "bound"), out);
	print_waiting(json_object_get(result, "waiting"), out);
	print_counts(json_object_get(result, "counts"), out);
	print_endpoints(json_object_get(result, "endpoints"), out);
}

static void print_matches(const json_t *result, struct buf *out)
{
	const json_t *matches = json_object_get(result, "matches"), *match;
	long long n_omitted = json_integer_value(json_object_get(result, "omitted"));
	size_t i;

	json_array_foreach(matches, i, match)
	{
		const char *address = json_text(match, "address");
		bool is_ipv6 = strchr(address, ':');

		buf_printf(out, "%s%s%s%s:%lld/%s\n", i ? "\n" : "", is_ipv6 ? "[" : "",
			   address, is_ipv6 ? "]" : "",
			   json_integer_value(json_object_get(match, "port")),
			   json_text(match, "protocol"));
		print_match(match, out);
	}
	if (i == 0)
		buf_printf(out, "%s\n", json_text(result, "why"));
	if (n_omitted)
		buf_printf(out, "\nand %lld more\n", n_omitted);
}

/* Other possible causes, after the last answer. */
static void print_not_looked_at(bool is_offline, struct buf *out)
{
	buf_printf(out, "not looked at: %s%s", is_offline ? "this host, " : "",
		   "rules of iptables-legacy, eBPF programs of other software, "
		   "firewalls and policies elsewhere, whether endpoints answer\n");
}

static bool has_match(const json_t *result)
{
	return json_object_get(result, "matches") || json_object_get(result, "service");
}

static void print_result(const json_t *result, struct buf *out)
{
	if (json_object_get(result, "matches"))
		print_matches(result, out);
	else if (json_object_get(result, "service"))
		print_match(result, out);
	else
		buf_printf(out, "%s: %s\n", json_text(result, "action"),
			   json_text(result, "why"));
}

/* One of the arguments. */
static int check_target(const struct options *options, const char *text)
{
	struct wide_target wide;
	struct target target;
	bool is_wide = target_parse(text, &target) != 0;
	struct addr from;

	if (strlen(text) >= CONTROL_FIELD_LEN ||
	    (is_wide && target_parse_wide(text, &wide) != 0)) {
		command_error("explain: \"%s\" is not " TARGET_FORMS, text);
		return STATUS_USAGE;
	}
	if (!*options->from || is_wide)
		return STATUS_OK;
	(void)addr_parse(options->from, &from); /* checked before */
	if (addr_family(&from) != addr_family(&target.addr)) {
		command_error("%s: \"%s\" is not of the family of %s",
			      options_typed(options, &options->from), options->from,
			      text);
		return STATUS_USAGE;
	}
	return STATUS_OK;
}

static int check(const struct options *options)
{
	int status = command_check_manifests(options);
	struct addr from;

	if (*options->from && addr_parse(options->from, &from) != 0)
		return command_wrong_value(options, &options->from, options->from,
					   "an address");
	if (*options->output && strcmp(options->output, "json") != 0)
		return command_wrong_value(options, &options->output, options->output,
					   "json");
	for (size_t i = 0; i < options->arguments.n && status == STATUS_OK; i++)
		status = check_target(options, options->arguments.items[i]);
	return status;
}

/* offline: NULL if the daemon answers. */
static int explain(const struct options *options, struct offline *offline,
		   const char *target, json_t **ret)
{
	struct control_request request = {.verb = CONTROL_EXPLAIN};
	int err;

	/* both were parsed, so both are short */
	memcpy(request.frontend, target, strnlen(target, CONTROL_FIELD_LEN - 1));
	memcpy(request.from, options->from,
	       strnlen(options->from, CONTROL_FIELD_LEN - 1));
	err = offline ? offline_ask(offline, &request, ret)
		      : control_ask(options->config.control_socket, &request, ret);
	return err ? STATUS_FAILED : STATUS_OK;
}

/* One target: its answer; several: each with its name, or as an array. */
static int explain_all(const struct options *options, struct offline *offline)
{
	bool is_json = strcmp(options->output, "json") == 0;
	size_t n = options->arguments.n;
	json_auto_t *results = json_array();
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	bool is_matched = false;
	int status = STATUS_OK;

	for (size_t i = 0; i < n && status == STATUS_OK; i++) {
		const char *target = options->arguments.items[i];
		json_t *result = NULL;

		status = explain(options, offline, target, &result);
		if (status == STATUS_OK && !is_json) {
			if (n > 1)
				buf_printf(&text, "%s%s\n", i ? "\n" : "", target);
			print_result(result, &text);
			is_matched |= has_match(result);
		}
		if (result)
			(void)json_array_append_new(results, result);
	}
	if (is_matched)
		print_not_looked_at(offline != NULL, &text);
	if (is_json && status == STATUS_OK)
		command_add_json(n == 1 ? json_array_get(results, 0) : results, &text);
	return command_print(&text) == STATUS_OK ? status : STATUS_FAILED;
}

int command_explain(struct options *options, const struct parts *parts)
{
	int status = check(options);
	struct offline offline;

	if (status != STATUS_OK)
		return status;
	if (!options->config.manifests.n)
		return explain_all(options, NULL);
	status = offline_open(&offline, options, parts);
	if (status == STATUS_OK)
		status = explain_all(options, &offline);
	offline_close(&offline);
	return status;
}
