/*
 * `sluice get`: the daemon's rows as a table, or in other formats.
 */
#include <string.h>

#include "core/cleanup.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/control_client.h"
#include "proxy/commands/get.h"
#include "proxy/config/options.h"
#include "watchers/labels.h"
#include "watchers/plan/yaml_print.h"

static const char *const formats[] = {
	[GET_TABLE] = "",    [GET_WIDE] = "wide", [GET_JSON] = "json",
	[GET_YAML] = "yaml", [GET_NAME] = "name",
};

/* Each Service of the sorted rows one time: NAMESPACE/NAME. */
static void print_names(const struct get *get, const json_t *rows, struct buf *out)
{
	const char *ns = "", *name = "";

	for (size_t i = 0; i < json_array_size(rows); i++) {
		const struct get_row row =
			get_row_of(get->resource, json_array_get(rows, i));
		const char *before = ns, *name_before = name;

		ns = get_text(&row, "namespace");
		name = get_text(&row, "name");
		if (strcmp(ns, before) != 0 || strcmp(name, name_before) != 0)
			buf_printf(out, "%s/%s\n", ns, name);
	}
}

static void print_table(const struct get *get, const json_t *rows, struct buf *out)
{
	struct table t = {.is_coloured = table_may_colour()};
	bool is_wide = get->format == GET_WIDE;

	get_add_headings(&t, get->resource, is_wide, !get->options->no_headers);
	for (size_t i = 0; i < json_array_size(rows); i++)
		get_add_row(&t, get->resource, is_wide, json_array_get(rows, i));
	table_print(&t, out);
	table_fini(&t);
}

/* On stderr: standard output stays empty for scripts. */
static int print_none(const struct get *get)
{
	const struct control_request *request = &get->request;
	const char *what = get->resource->names[0];
	bool has_ns = *request->ns;

	if (*request->name) {
		command_error("%s \"%s\" not found%s%s: there is no such Service, or it "
			      "has no %s here",
			      what, request->name, has_ns ? " in namespace " : "",
			      request->ns,
			      request->verb == CONTROL_SERVICES ? "address" : "endpoint");
		return STATUS_FAILED;
	}
	(void)fprintf(stderr, "No %s%s%s%s.\n", what,
		      *request->selector ? " of Services with these labels" : "",
		      has_ns ? " in namespace " : "", request->ns);
	return STATUS_OK;
}

static int print(const struct get *get, json_t *rows)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	bool is_data = get->format == GET_JSON || get->format == GET_YAML;

	get_sort(rows, get->resource, get->options->sort_by);
	if (json_array_size(rows) == 0 && !is_data)
		return print_none(get);
	if (get->format == GET_JSON)
		command_add_json(rows, &text);
	else if (get->format == GET_YAML)
		yaml_print(rows, &text);
	else if (get->format == GET_NAME)
		print_names(get, rows, &text);
	else
		print_table(get, rows, &text);
	if (get->format == GET_WIDE && command_lacks_bytes(rows))
		command_error(COMMAND_NO_BYTES);
	return command_print(&text);
}

static int take_field(const struct options *options, const void *member,
		      const char *value, char *ret)
{
	if (strlen(value) >= CONTROL_FIELD_LEN)
		return command_wrong_value(options, member, value, "short enough");
	memcpy(ret, value, strlen(value) + 1);
	return STATUS_OK;
}

/* NAME or NAMESPACE/NAME */
static int read_name(struct get *get, const char *text)
{
	struct control_request *request = &get->request;
	const char *slash = strchr(text, '/');
	size_t ns_len = slash ? (size_t)(slash - text) : 0;

	if (strlen(text) >= CONTROL_FIELD_LEN || !*text ||
	    (slash && (!ns_len || !slash[1] || strchr(slash + 1, '/')))) {
		command_error("get: \"%s\" is not NAME or NAMESPACE/NAME", text);
		return STATUS_USAGE;
	}
	if (slash) {
		memcpy(request->ns, text, ns_len);
		request->ns[ns_len] = '\0';
	}
	memcpy(request->name, slash ? slash + 1 : text,
	       strlen(slash ? slash + 1 : text) + 1);
	return STATUS_OK;
}

static int read_options(struct get *get)
{
	const struct options *o = get->options;
	struct label_selector labels;
	int format = command_find_word(o->output, formats, N_ELEMENTS(formats));
	int status = STATUS_OK;

	get->resource = get_resource_find(o->arguments.items[0]);
	if (!get->resource) {
		command_error("get: \"%s\" is not services or endpoints",
			      o->arguments.items[0]);
		return STATUS_USAGE;
	}
	get->request.verb = get->resource->verb;
	if (format < 0)
		return command_wrong_value(o, &o->output, o->output,
					   "wide, json, yaml or name");
	get->format = (enum get_format)format;
	if (!get_can_sort(o->sort_by))
		return command_wrong_value(o, &o->sort_by, o->sort_by, get_sort_names);
	if (label_selector_parse(o->selector, &labels) != 0)
		return command_wrong_value(o, &o->selector, o->selector,
					   "KEY=VALUE or KEY!=VALUE, several by comma");
	if (!o->all_namespaces)
		status = take_field(o, &o->ns, o->ns, get->request.ns);
	if (status == STATUS_OK)
		status = take_field(o, &o->selector, o->selector, get->request.selector);
	if (status == STATUS_OK && o->arguments.n > 1)
		status = read_name(get, o->arguments.items[1]);
	return status;
}

int command_get(struct options *options, const struct parts *parts)
{
	struct get get = {.options = options};
	json_auto_t *rows = NULL;
	int status = read_options(&get);

	if (status != STATUS_OK)
		return status;
	if (options->watch)
		return get_watch(&get);
	if (get.format == GET_WIDE || get.format == GET_JSON || get.format == GET_YAML)
		memcpy(get.request.current, "yes", sizeof("yes"));
	else
		memcpy(get.request.brief, "yes", sizeof("yes"));
	if (control_ask(options->config.control_socket, &get.request, &rows) != 0)
		return STATUS_FAILED;
	return print(&get, rows);
}
