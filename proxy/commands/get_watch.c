/*
 * `sluice get -w`: the events of the daemon name the Services that have changed, and
 * their rows are asked for again.  So an idle cluster costs the daemon an empty answer
 * at each interval.
 */
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/control_client.h"
#include "proxy/commands/get.h"
#include "proxy/config/options.h"
#include "watchers/decode/json_text.h"

#define WATCH_INTERVAL_NS 250000000
#define MAX_REQUESTS	  16 /* of one Service each; more changes: one of all rows */

struct watch {
	const struct get *get;
	struct table table;
	struct control_request events;
	json_t *shown; /* the Services that were printed, "NAMESPACE/NAME" */
};

static int ask(const struct watch *w, const struct control_request *request, json_t **ret)
{
	return control_ask(w->get->options->config.control_socket, request, ret);
}

static char *label_of(const json_t *row)
{
	return xasprintf("%s/%s", json_text(row, "namespace"), json_text(row, "name"));
}

static void print_row(struct watch *w, const json_t *row, struct buf *out)
{
	_cleanup_(freep) char *label = label_of(row);
	_cleanup_(freep) char *json = NULL;

	(void)json_object_set_new(w->shown, label, json_true());
	switch (w->get->format) {
	case GET_TABLE:
	case GET_WIDE:
		get_add_row(&w->table, w->get->resource, w->get->format == GET_WIDE, row);
		break;
	case GET_NAME:
		buf_printf(out, "%s\n", label);
		break;
	case GET_JSON:
	case GET_YAML:
		json = json_dumps(row, JSON_COMPACT);
		buf_printf(out, "%s\n", json ? json : "{}");
		break;
	}
}

/* The rows of these Services; NULL: of all. */
static void add_rows(struct watch *w, json_t *rows, const json_t *services,
		     struct buf *out)
{
	const json_t *row;
	size_t i;

	get_sort(rows, w->get->resource, w->get->options->sort_by);
	json_array_foreach(rows, i, row)
	{
		_cleanup_(freep) char *label = label_of(row);

		if (!services || json_object_get(services, label))
			print_row(w, row, out);
	}
}

/* One that was printed, and has no rows any more. */
static void add_removed(struct watch *w, const char *label, struct buf *out)
{
	const char *slash = strchr(label, '/');
	json_auto_t *row = json_pack("{s:s%, s:s, s:s, s:s}", "namespace", label,
				     (size_t)(slash - label), "name", slash + 1, "state",
				     "removed", "reason", "removed");

	print_row(w, row, out);
	(void)json_object_del(w->shown, label);
}

/* The Services of the new events that are wanted, as the keys of an object. */
static int take_events(struct watch *w, json_t *ret_services)
{
	json_auto_t *result = NULL;
	const json_t *entry;
	bool is_first = !*w->events.since;
	size_t i;
	int err = ask(w, &w->events, &result);

	if (err != 0)
		return err;
	json_array_foreach(json_object_get(result, "entries"), i, entry)
	{
		_cleanup_(freep) char *label = label_of(entry);

		if (*json_text(entry, "namespace"))
			(void)json_object_set_new(ret_services, label, json_true());
	}
	if (!is_first && json_integer_value(json_object_get(result, "dropped")) != 0)
		command_error("changes came faster than they were read: some are not "
			      "shown");
	(void)snprintf(w->events.since, sizeof(w->events.since), "%lld",
		       (long long)json_integer_value(json_object_get(result, "last")));
	return 0;
}

static int show_one(struct watch *w, const char *label, struct buf *out)
{
	struct control_request request = w->get->request;
	const char *slash = strchr(label, '/');
	json_auto_t *rows = NULL;
	int err;

	(void)snprintf(request.ns, sizeof(request.ns), "%.*s", (int)(slash - label),
		       label);
	(void)snprintf(request.name, sizeof(request.name), "%s", slash + 1);
	err = ask(w, &request, &rows);
	if (err != 0)
		return err;
	if (json_array_size(rows) == 0 && json_object_get(w->shown, label))
		add_removed(w, label, out);
	add_rows(w, rows, NULL, out);
	return 0;
}

static int show_many(struct watch *w, json_t *services, struct buf *out)
{
	json_auto_t *rows = NULL;
	const json_t *row, *value;
	const char *label;
	size_t i;
	void *next;
	int err = ask(w, &w->get->request, &rows);

	if (err != 0)
		return err;
	add_rows(w, rows, services, out);
	json_array_foreach(rows, i, row)
	{
		_cleanup_(freep) char *found = label_of(row);

		(void)json_object_del(services, found);
	}
	json_object_foreach_safe(services, next, label,
				 value) if (json_object_get(w->shown, label))
		add_removed(w, label, out);
	return 0;
}

static int print(struct watch *w, struct buf *out)
{
	if (w->get->format == GET_TABLE || w->get->format == GET_WIDE)
		table_print(&w->table, out);
	return command_print(out);
}

static int step(struct watch *w)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	json_auto_t *services = json_object();
	const json_t *value;
	const char *label;
	void *next;
	int err = take_events(w, services);

	if (err == 0 && json_object_size(services) > MAX_REQUESTS)
		err = show_many(w, services, &out);
	else if (err == 0)
		json_object_foreach_safe(services, next, label, value) if (err == 0) err =
			show_one(w, label, &out);
	return err ? STATUS_FAILED : print(w, &out);
}

/* All rows, of a moment after the events that are skipped. */
static int start(struct watch *w)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	json_auto_t *services = json_object(), *rows = NULL;

	if (take_events(w, services) != 0 || ask(w, &w->get->request, &rows) != 0)
		return STATUS_FAILED;
	get_add_headings(&w->table, w->get->resource, w->get->format == GET_WIDE,
			 !w->get->options->no_headers);
	add_rows(w, rows, NULL, &out);
	return print(w, &out);
}

int get_watch(const struct get *get)
{
	const struct timespec interval = {.tv_nsec = WATCH_INTERVAL_NS};
	struct watch w = {
		.get = get,
		.table = {.is_coloured = table_may_colour()},
		.events = {.verb = CONTROL_EVENTS},
		.shown = json_object(),
	};
	int status;

	memcpy(w.events.ns, get->request.ns, sizeof(w.events.ns));
	memcpy(w.events.name, get->request.name, sizeof(w.events.name));
	status = start(&w);
	while (status == STATUS_OK) {
		(void)nanosleep(&interval, NULL);
		status = step(&w);
	}
	table_fini(&w.table);
	json_decref(w.shown);
	return status;
}
