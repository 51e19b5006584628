/*
 * `sluice get`: the daemon's rows as a table.  A column is a heading and a way to make a
 * cell from a row.
 */
#include <string.h>

#include "core/addr.h"
#include "core/cleanup.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/control_client.h"
#include "proxy/control/control.h"
#include "proxy/config/options.h"
#include "proxy/commands/table.h"
#include "watchers/decode/json_text.h"

struct column {
	const char *heading;
	const char *key; /* of a string or number in the row */
	void (*cell)(struct table *t, const json_t *row); /* instead of key */
	bool is_wide;
};

struct resource {
	const char *names[4]; /* ends with NULL */
	enum control_verb verb;
	const struct column *columns;
	size_t n_columns;
};

static json_int_t number_of(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

static void port_cell(struct table *t, const json_t *row)
{
	table_printf(t, "%lld/%s", (long long)number_of(row, "port"),
		     json_text(row, "protocol"));
}

/* The service port of an endpoint: name and protocol, or the protocol alone. */
static void service_port_cell(struct table *t, const json_t *row)
{
	const char *name = json_text(row, "portName");

	table_printf(t, "%s%s%s", name, *name ? "/" : "", json_text(row, "protocol"));
}

static void endpoint_cell(struct table *t, const json_t *row)
{
	char text[ADDR_PORT_TEXT_LEN];
	struct addr addr;

	if (addr_parse(json_text(row, "address"), &addr) == 0)
		table_add(t, addr_port_format(&addr, (uint16_t)number_of(row, "port"),
					      text));
	else
		table_add(t, "");
}

/* Their number, or the action that replaces balancing. */
static void endpoints_cell(struct table *t, const json_t *row)
{
	const char *action = json_text(row, "action");

	if (strcmp(action, "balance") == 0)
		table_printf(t, "%lld", (long long)number_of(row, "endpoints"));
	else
		table_printf(t, "0 (%s)", action);
}

static void affinity_cell(struct table *t, const json_t *row)
{
	long long seconds = number_of(row, "affinitySeconds");

	if (seconds)
		table_printf(t, "%llds", seconds);
	else
		table_add(t, "");
}

static void pools_cell(struct table *t, const json_t *row)
{
	table_add(t, command_pools(row));
}

static void health_port_cell(struct table *t, const json_t *row)
{
	json_int_t port = number_of(row, "healthCheckNodePort");

	if (port)
		table_printf(t, "%lld", (long long)port);
	else
		table_add(t, "");
}

/* The reason in one word, for scripts that split lines at blanks. */
static void state_cell(struct table *t, const json_t *row)
{
	static const struct {
		const char *start, *word;
	} states[] = {
		{"ready,", "unused"}, /* by policy or hints */
		{"ready", "ready"},
		{"terminating", "terminating"},
		{"not ready", "not-ready"},
	};
	const char *reason = json_text(row, "reason");

	for (size_t i = 0; i < N_ELEMENTS(states); i++)
		if (strncmp(reason, states[i].start, strlen(states[i].start)) == 0) {
			table_add(t, states[i].word);
			return;
		}
	table_add(t, "unknown");
}

static const struct column service_columns[] = {
	{.heading = "NAMESPACE", .key = "namespace"},
	{.heading = "NAME", .key = "name"},
	{.heading = "TYPE", .key = "type"},
	{.heading = "ADDRESS", .key = "address"},
	{.heading = "PORT", .cell = port_cell},
	{.heading = "POLICY", .key = "policy"},
	{.heading = "ENDPOINTS", .cell = endpoints_cell},
	{.heading = "CONNS", .key = "connections"},
	{.heading = "PORTNAME", .key = "portName", .is_wide = true},
	{.heading = "AFFINITY", .cell = affinity_cell, .is_wide = true},
	{.heading = "HEALTHPORT", .cell = health_port_cell, .is_wide = true},
};

static const struct column endpoint_columns[] = {
	{.heading = "NAMESPACE", .key = "namespace"},
	{.heading = "NAME", .key = "name"},
	{.heading = "PORT", .cell = service_port_cell},
	{.heading = "ENDPOINT", .cell = endpoint_cell},
	{.heading = "NODE", .key = "node"},
	{.heading = "STATE", .cell = state_cell},
	{.heading = "CONNS", .key = "connections"},
	{.heading = "FAMILY", .key = "family", .is_wide = true},
	{.heading = "POOLS", .cell = pools_cell, .is_wide = true},
	{.heading = "REASON", .key = "reason", .is_wide = true},
};

static const struct resource resources[] = {
	{{"services", "service", "svc", NULL},
	 CONTROL_SERVICES,
	 service_columns,
	 N_ELEMENTS(service_columns)},
	{{"endpoints", "endpoint", "ep", NULL},
	 CONTROL_ENDPOINTS,
	 endpoint_columns,
	 N_ELEMENTS(endpoint_columns)},
};

static void add_cell(struct table *t, const struct column *column, const json_t *row)
{
	const json_t *value = json_object_get(row, column->key ? column->key : "");

	if (column->cell)
		column->cell(t, row);
	else if (json_is_integer(value))
		table_printf(t, "%lld", (long long)json_integer_value(value));
	else
		table_add(t, json_string_value(value) ? json_string_value(value) : "");
}

static void print_table(const struct resource *r, const json_t *rows, bool is_wide,
			struct buf *out)
{
	struct table t = {0};

	for (size_t i = 0; i < r->n_columns; i++)
		if (!r->columns[i].is_wide || is_wide) {
			table_add(&t, r->columns[i].heading);
			t.n_columns++;
		}
	for (size_t n = 0; n < json_array_size(rows); n++)
		for (size_t i = 0; i < r->n_columns; i++)
			if (!r->columns[i].is_wide || is_wide)
				add_cell(&t, &r->columns[i], json_array_get(rows, n));
	table_print(&t, out);
	table_fini(&t);
}

/* On stderr: standard output stays empty for scripts. */
static void print_none(const struct resource *r, const struct control_request *request)
{
	if (*request->ns)
		(void)fprintf(stderr, "No %s in namespace %s.\n", r->names[0],
			      request->ns);
	else
		(void)fprintf(stderr, "No %s.\n", r->names[0]);
}

static const struct resource *find_resource(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(resources); i++)
		for (size_t j = 0; resources[i].names[j]; j++)
			if (strcmp(name, resources[i].names[j]) == 0)
				return &resources[i];
	return NULL;
}

static int check(const struct options *options, const struct resource *r)
{
	if (!r) {
		command_error("get: \"%s\" is not services or endpoints",
			      options->arguments.items[0]);
		return STATUS_USAGE;
	}
	if (*options->output && strcmp(options->output, "wide") != 0 &&
	    strcmp(options->output, "json") != 0) {
		command_error("--output: \"%s\" is not wide or json", options->output);
		return STATUS_USAGE;
	}
	if (strlen(options->ns) >= CONTROL_FIELD_LEN) {
		command_error("--namespace: too long");
		return STATUS_USAGE;
	}
	return STATUS_OK;
}

int command_get(struct options *options, const struct parts *parts)
{
	const struct resource *r = find_resource(options->arguments.items[0]);
	struct control_request request = {0};
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	json_auto_t *rows = NULL;
	int status = check(options, r);

	if (status != STATUS_OK)
		return status;
	request.verb = r->verb;
	if (!options->all_namespaces)
		memcpy(request.ns, options->ns, strlen(options->ns));
	if (control_ask(options->config.control_socket, &request, &rows) != 0)
		return STATUS_FAILED;
	if (strcmp(options->output, "json") == 0)
		command_add_json(rows, &text);
	else if (json_array_size(rows) == 0)
		print_none(r, &request);
	else
		print_table(r, rows, strcmp(options->output, "wide") == 0, &text);
	return command_print(&text);
}
