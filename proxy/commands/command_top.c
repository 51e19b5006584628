/*
 * `sluice top`: the busiest service ports.  The daemon ranks all of them and answers with
 * as many as are shown; the rate is that between two readings here, and for a row that is
 * new the daemon's own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/mem.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/control_client.h"
#include "proxy/commands/plan_diff.h"
#include "proxy/commands/screen.h"
#include "proxy/commands/table.h"
#include "proxy/config/options.h"
#include "proxy/control/control.h"
#include "watchers/decode/json_text.h"

#define HEAD_ROWS 3 /* the title, an empty row, the headings */
#define ESCAPE	  27
#define BACKSPACE 127

static const struct {
	char key;
	const char *column;
} sorts[] = {
	{'r', "rate"},	  {'c', "connections"}, {'u', "current"}, {'f', "refused"},
	{'d', "dropped"}, {'e', "endpoints"},	{'n', "name"},	  {'b', "bytes"},
};

struct top {
	const struct options *options;
	struct control_request request;
	json_t *last; /* the connections of the last reading, by service */
	json_int_t last_us;
	json_t *result; /* of this reading */
	char *error;	/* of this reading, if it failed */
	bool is_typing; /* the filter */
};

static json_int_t number_of(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

/* The rate since the last reading, if the row was in it; else the daemon's. */
static double rate_of(const struct top *t, const json_t *row, const char *key)
{
	json_int_t now_us = number_of(t->result, "readUs");
	const json_t *before = json_object_get(t->last, key);
	json_int_t gain = number_of(row, "connections") - json_integer_value(before);

	if (!json_is_integer(before) || gain < 0 || now_us <= t->last_us)
		return json_number_value(json_object_get(row, "rate"));
	return (double)gain * 1e6 / (double)(now_us - t->last_us);
}

static void add_count(struct table *table, const json_t *row, const char *key)
{
	if (json_is_integer(json_object_get(row, key)))
		table_printf(table, "%lld", (long long)number_of(row, key));
	else
		table_add(table, "");
}

static void add_row(struct top *t, struct table *table, const json_t *row, json_t *next)
{
	const char *port = json_text(row, "portName");
	_cleanup_(freep) char *key = plan_diff_key(row);

	table_add(table, json_text(row, "namespace"));
	table_add(table, json_text(row, "name"));
	table_printf(table, "%s%s%s", port, *port ? "/" : "", json_text(row, "protocol"));
	table_add(table, json_text(row, "family"));
	table_printf(table, "%.1f/s", rate_of(t, row, key));
	add_count(table, row, "connections");
	add_count(table, row, "current");
	add_count(table, row, "bytesIn");
	add_count(table, row, "bytesOut");
	add_count(table, row, "refused");
	add_count(table, row, "dropped");
	add_count(table, row, "endpoints");
	(void)json_object_set(next, key, json_object_get(row, "connections"));
}

static void add_table(struct top *t, struct buf *out)
{
	static const char *const headings[] = {
		"NAMESPACE", "NAME",	"PORT",	    "FAMILY",  "RATE",	  "CONNS",
		"CURRENT",   "BYTESIN", "BYTESOUT", "REFUSED", "DROPPED", "ENDPOINTS",
	};
	struct table table = {.n_columns = N_ELEMENTS(headings), .has_headings = true};
	json_t *next = json_object();
	const json_t *row;
	size_t i;

	for (i = 0; i < N_ELEMENTS(headings); i++)
		table_add(&table, headings[i]);
	json_array_foreach(json_object_get(t->result, "rows"), i, row)
		add_row(t, &table, row, next);
	table_print(&table, out);
	table_fini(&table);
	json_decref(t->last);
	t->last = next;
	t->last_us = number_of(t->result, "readUs");
}

static int read_rows(struct top *t)
{
	json_t *result = NULL;

	if (control_try(t->options->config.control_socket, &t->request, &result,
			&t->error) != 0)
		return STATUS_FAILED;
	json_decref(t->result);
	t->result = result;
	return STATUS_OK;
}

static void pause_us(uint64_t us)
{
	struct timespec left = {
		.tv_sec = (time_t)(us / 1000000),
		.tv_nsec = (long)(us % 1000000) * 1000,
	};

	while (nanosleep(&left, &left) == -1 && errno == EINTR)
		continue;
}

static bool lacks_bytes(const struct top *t)
{
	return command_lacks_bytes(json_object_get(t->result, "rows"));
}

static bool is_last(const struct options *o, int32_t n_read)
{
	return o->once || (o->count > 0 && n_read >= o->count);
}

static int run_plain(struct top *t)
{
	int status = STATUS_OK;

	for (int32_t n = 1; status == STATUS_OK; n++) {
		_cleanup_(buf_fini) struct buf out = BUF_INIT;

		status = read_rows(t);
		if (status != STATUS_OK)
			break;
		if (n > 1)
			buf_add_char(&out, '\n');
		add_table(t, &out);
		status = command_print(&out);
		if (n == 1 && lacks_bytes(t))
			command_error(COMMAND_NO_BYTES);
		if (is_last(t->options, n))
			break;
		pause_us((uint64_t)t->options->interval_ns / 1000);
	}
	return status;
}

static void draw(struct top *t)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	const struct control_request *request = &t->request;

	buf_printf(&out, "%lld service ports, by %s",
		   (long long)number_of(t->result, "matching"), request->sort);
	if (*request->ns)
		buf_printf(&out, ", in %s", request->ns);
	if (t->is_typing || *request->filter)
		buf_printf(&out, ", with \"%s%s\"", request->filter,
			   t->is_typing ? "_" : "");
	buf_add_string(&out, "   q quit, r c u b f d e n sort, / filter\n");
	if (lacks_bytes(t))
		buf_add_string(&out, COMMAND_NO_BYTES);
	buf_add_char(&out, '\n');
	add_table(t, &out);
	screen_draw(buf_string(&out));
}

static void type(struct top *t, int key)
{
	size_t len = strlen(t->request.filter);

	if (key == '\n' || key == '\r')
		t->is_typing = false;
	else if (key == BACKSPACE || key == '\b')
		t->request.filter[len ? len - 1 : 0] = '\0';
	else if (key > ' ' && key < BACKSPACE && len + 1 < CONTROL_FIELD_LEN) {
		t->request.filter[len] = (char)key;
		t->request.filter[len + 1] = '\0';
	}
}

/* False: the end. */
static bool take_key(struct top *t, int key)
{
	if (key == SCREEN_END || (key == 'q' && !t->is_typing))
		return false;
	if (key == ESCAPE) {
		t->is_typing = false;
		t->request.filter[0] = '\0';
	} else if (t->is_typing) {
		type(t, key);
	} else if (key == '/') {
		t->is_typing = true;
	} else {
		for (size_t i = 0; i < N_ELEMENTS(sorts); i++)
			if (key == sorts[i].key)
				(void)snprintf(t->request.sort, sizeof(t->request.sort),
					       "%s", sorts[i].column);
	}
	return true;
}

/* Keys until the next reading is due. False: the end. */
static bool wait_for_keys(struct top *t, struct screen *screen)
{
	uint64_t due_us = clock_monotonic_us() + (uint64_t)t->options->interval_ns / 1000;
	int key;

	do {
		uint64_t now_us = clock_monotonic_us();

		key = screen_key(screen, due_us > now_us ? due_us - now_us : 0);
	} while (key == SCREEN_TIMEOUT && clock_monotonic_us() < due_us);
	return key == SCREEN_TIMEOUT || take_key(t, key);
}

static int run_screen(struct top *t, struct screen *screen)
{
	int status = STATUS_OK;
	size_t n_rows, n_columns;

	for (int32_t n = 1;; n++) {
		screen_size(&n_rows, &n_columns);
		(void)snprintf(t->request.limit, sizeof(t->request.limit), "%zu",
			       n_rows > HEAD_ROWS ? n_rows - HEAD_ROWS : 1);
		status = read_rows(t);
		if (status != STATUS_OK)
			break;
		draw(t);
		if (is_last(t->options, n) || !wait_for_keys(t, screen))
			break;
	}
	return status;
}

static int check(const struct options *o, struct top *t)
{
	const char *by = *o->sort_by ? o->sort_by : sorts[0].column;
	bool is_known = false;

	for (size_t i = 0; i < N_ELEMENTS(sorts); i++)
		is_known |= strcmp(by, sorts[i].column) == 0;
	if (!is_known)
		return command_wrong_value(o, &o->sort_by, by,
					   "rate, connections, current, bytes, refused, "
					   "dropped, endpoints or name");
	if (strlen(o->ns) >= CONTROL_FIELD_LEN)
		return command_wrong_value(o, &o->ns, o->ns, "short enough");
	if (o->interval_ns < 100000000) {
		command_error("%s: must be at least 100ms",
			      options_typed(o, &o->interval_ns));
		return STATUS_USAGE;
	}
	if (o->count < 0) {
		command_error("%s: must not be negative", options_typed(o, &o->count));
		return STATUS_USAGE;
	}
	(void)snprintf(t->request.sort, sizeof(t->request.sort), "%s", by);
	(void)snprintf(t->request.ns, sizeof(t->request.ns), "%s", o->ns);
	return STATUS_OK;
}

int command_top(struct options *options, const struct parts *parts)
{
	struct top t = {.options = options, .request = {.verb = CONTROL_TOP}};
	struct screen screen;
	int status = check(options, &t);

	if (status != STATUS_OK)
		return status;
	if (!options->once && screen_open(&screen) == 0) {
		status = run_screen(&t, &screen);
		screen_close(&screen);
	} else {
		status = run_plain(&t);
	}
	if (t.error) /* not on the screen that is gone */
		command_error("%s", t.error);
	free(t.error);
	json_decref(t.last);
	json_decref(t.result);
	return status;
}
