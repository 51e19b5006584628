#include "proxy/commands/get_columns.h"

#include <string.h>

#include "core/addr.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "proxy/commands/commands.h"

struct get_row get_row_of(const struct get_resource *r, const json_t *json)
{
	return (struct get_row){json, control_brief_keys(r->verb)};
}

const json_t *get_value(const struct get_row *row, const char *key)
{
	if (!json_is_array(row->json))
		return json_object_get(row->json, key);
	for (size_t i = 0; row->keys[i]; i++)
		if (strcmp(row->keys[i], key) == 0)
			return json_array_get(row->json, i);
	return NULL;
}

const char *get_text(const struct get_row *row, const char *key)
{
	const char *text = json_string_value(get_value(row, key));

	return text ? text : "";
}

static json_int_t number_of(const struct get_row *row, const char *key)
{
	return json_integer_value(get_value(row, key));
}

static void port_cell(struct table *t, const struct get_row *row)
{
	json_int_t port = number_of(row, "port");

	if (port)
		table_printf(t, "%lld/%s", (long long)port, get_text(row, "protocol"));
	else
		table_add(t, "");
}

/* The service port of an endpoint: name and protocol, or the protocol alone. */
static void service_port_cell(struct table *t, const struct get_row *row)
{
	const char *name = get_text(row, "portName");

	table_printf(t, "%s%s%s", name, *name ? "/" : "", get_text(row, "protocol"));
}

static void endpoint_cell(struct table *t, const struct get_row *row)
{
	char text[ADDR_PORT_TEXT_LEN];
	struct addr addr;

	if (addr_parse(get_text(row, "address"), &addr) == 0)
		table_add(t, addr_port_format(&addr, (uint16_t)number_of(row, "port"),
					      text));
	else
		table_add(t, "");
}

/* As kubectl prints it: "5m". */
static void age_cell(struct table *t, const struct get_row *row)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	json_int_t created = number_of(row, "created");

	if (created)
		command_add_age(&text, clock_wall_us() / 1000000 - created);
	table_add(t, buf_string(&text));
}

static void affinity_cell(struct table *t, const struct get_row *row)
{
	long long seconds = number_of(row, "affinitySeconds");

	if (seconds)
		table_printf(t, "%llds", seconds);
	else
		table_add(t, "");
}

static void pools_cell(struct table *t, const struct get_row *row)
{
	table_add(t, command_pools(row->json));
}

static void health_port_cell(struct table *t, const struct get_row *row)
{
	json_int_t port = number_of(row, "healthCheckNodePort");

	if (port)
		table_printf(t, "%lld", (long long)port);
	else
		table_add(t, "");
}

/* The reason in one word, for scripts that split lines at blanks. */
static void state_cell(struct table *t, const struct get_row *row)
{
	static const struct {
		const char *start, *word;
	} states[] = {
		{"ready,", "unused"}, /* by policy or hints */
		{"ready", "ready"},	    {"terminating", "terminating"},
		{"not ready", "not-ready"}, {"removed", "removed"}, /* by get -w */
		{"down", "down"},				    /* by health checks */
	};
	const char *reason = get_text(row, "reason");

	for (size_t i = 0; i < N_ELEMENTS(states); i++)
		if (strncmp(reason, states[i].start, strlen(states[i].start)) == 0) {
			table_add(t, states[i].word);
			return;
		}
	table_add(t, "unknown");
}

static void rate_cell(struct table *t, const struct get_row *row)
{
	const json_t *rate = get_value(row, "rate");

	if (json_is_number(rate))
		table_printf(t, "%.1f/s", json_number_value(rate));
	else
		table_add(t, "");
}

static const struct get_column service_columns[] = {
	{.heading = "NAMESPACE", .key = "namespace"},
	{.heading = "NAME", .key = "name"},
	{.heading = "TYPE", .key = "type"},
	{.heading = "ADDRESS", .key = "address"},
	{.heading = "PORT", .cell = port_cell},
	{.heading = "POLICY", .key = "policy"},
	{.heading = "ENDPOINTS", .key = "endpoints"},
	{.heading = "STATE", .key = "state"},
	{.heading = "CONNS", .key = "connections"},
	{.heading = "AGE", .cell = age_cell},
	{.heading = "RATE", .cell = rate_cell, .is_wide = true},
	{.heading = "CURRENT", .key = "current", .is_wide = true},
	{.heading = "BYTESIN", .key = "bytesIn", .is_wide = true},
	{.heading = "BYTESOUT", .key = "bytesOut", .is_wide = true},
	{.heading = "REFUSED", .key = "refused", .is_wide = true},
	{.heading = "DROPPED", .key = "dropped", .is_wide = true},
	{.heading = "PORTNAME", .key = "portName", .is_wide = true},
	{.heading = "AFFINITY", .cell = affinity_cell, .is_wide = true},
	{.heading = "HEALTHPORT", .cell = health_port_cell, .is_wide = true},
	{.heading = "HELDBY", .key = "heldBy", .is_wide = true},
	{.heading = "WHY", .key = "why", .is_wide = true},
};

static const struct get_column endpoint_columns[] = {
	{.heading = "NAMESPACE", .key = "namespace"},
	{.heading = "NAME", .key = "name"},
	{.heading = "PORT", .cell = service_port_cell},
	{.heading = "ENDPOINT", .cell = endpoint_cell},
	{.heading = "NODE", .key = "node"},
	{.heading = "STATE", .cell = state_cell},
	{.heading = "CONNS", .key = "connections"},
	{.heading = "CURRENT", .key = "current", .is_wide = true},
	{.heading = "BYTESIN", .key = "bytesIn", .is_wide = true},
	{.heading = "BYTESOUT", .key = "bytesOut", .is_wide = true},
	{.heading = "FAMILY", .key = "family", .is_wide = true},
	{.heading = "POOLS", .cell = pools_cell, .is_wide = true},
	{.heading = "REASON", .key = "reason", .is_wide = true},
};

static const struct get_resource resources[] = {
	{{"services", "service", "svc", NULL},
	 CONTROL_SERVICES,
	 service_columns,
	 N_ELEMENTS(service_columns)},
	{{"endpoints", "endpoint", "ep", NULL},
	 CONTROL_ENDPOINTS,
	 endpoint_columns,
	 N_ELEMENTS(endpoint_columns)},
};

const struct get_resource *get_resource_find(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(resources); i++)
		for (size_t j = 0; resources[i].names[j]; j++)
			if (strcmp(name, resources[i].names[j]) == 0)
				return &resources[i];
	return NULL;
}

static void add_cell(struct table *t, const struct get_column *column,
		     const struct get_row *row)
{
	const json_t *value = column->key ? get_value(row, column->key) : NULL;

	if (column->cell)
		column->cell(t, row);
	else if (json_is_integer(value))
		table_printf(t, "%lld", (long long)json_integer_value(value));
	else
		table_add(t, json_string_value(value) ? json_string_value(value) : "");
}

void get_add_headings(struct table *t, const struct get_resource *r, bool is_wide,
		      bool with_headings)
{
	for (size_t i = 0; i < r->n_columns; i++) {
		if (r->columns[i].is_wide && !is_wide)
			continue;
		if (strcmp(r->columns[i].heading, "STATE") == 0)
			t->state_column = t->n_columns;
		if (with_headings)
			table_add(t, r->columns[i].heading);
		t->n_columns++;
	}
	t->has_headings = with_headings;
}

void get_add_row(struct table *t, const struct get_resource *r, bool is_wide,
		 const json_t *json)
{
	const struct get_row row = get_row_of(r, json);

	for (size_t i = 0; i < r->n_columns; i++)
		if (!r->columns[i].is_wide || is_wide)
			add_cell(t, &r->columns[i], &row);
}
