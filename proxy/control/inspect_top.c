/*
 * `top`: the service ports with the largest values.  They are ranked by the sums and
 * rates that the daemon keeps; only the counters of those that are shown are read from
 * the kernel.
 */
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/control/inspect_parts.h"
#include "proxy/engine/counts.h"
#include "proxy/engine/last_census.h"

#define TOP_DEFAULT 20
#define TOP_MAX	    500

struct ranked {
	const struct service *service;
	double value; /* larger ones are first; equal ones in key order */
};

struct top;
typedef double value_fn(const struct top *t, const struct service *s);

struct top { /* the best so far, the first one first */
	const struct inspect *in;
	const struct control_request *request;
	const struct current *current; /* NULL: not known */
	value_fn *value_of;
	struct ranked *items;
	size_t n, max, n_matching;
};

static double total(const struct top *t, const struct service *s,
		    enum sink_count_kind kind)
{
	return t->in->counts ? (double)counts_total(t->in->counts, s, kind) : 0;
}

static double rate(const struct top *t, const struct service *s)
{
	return t->in->counts ? counts_rate(t->in->counts, s) : 0;
}

static double connections(const struct top *t, const struct service *s)
{
	return total(t, s, COUNT_CONNECTIONS);
}

static double current(const struct top *t, const struct service *s)
{
	return t->current ? (double)current_of(t->current, s).n : 0;
}

static double bytes(const struct top *t, const struct service *s)
{
	struct sink_flows flows = {0};

	if (t->current)
		flows = current_of(t->current, s);
	return (double)(flows.n_bytes[0] + flows.n_bytes[1]);
}

static double refused(const struct top *t, const struct service *s)
{
	return total(t, s, COUNT_NO_ENDPOINTS);
}

static double dropped(const struct top *t, const struct service *s)
{
	return total(t, s, COUNT_NO_LOCAL_ENDPOINTS) + total(t, s, COUNT_SOURCE_RANGES);
}

static uint32_t n_usable(const struct service *s)
{
	uint32_t all = s->n_pool[POOL_CLUSTER], local = s->n_pool[POOL_LOCAL];

	return all > local ? all : local;
}

static double endpoints(const struct top *t, const struct service *s)
{
	return n_usable(s);
}

static double name(const struct top *t, const struct service *s)
{
	return 0; /* all are equal */
}

static const struct {
	const char *name;
	value_fn *value_of;
} columns[] = {
	{"rate", rate},		  {"connections", connections},
	{"current", current},	  {"bytes", bytes},
	{"refused", refused},	  {"dropped", dropped},
	{"endpoints", endpoints}, {"name", name},
};

static bool is_before(const struct ranked *a, const struct ranked *b)
{
	if (a->value > b->value || a->value < b->value)
		return a->value > b->value;
	return service_compare_key(a->service, b->service) < 0;
}

static bool is_wanted(const struct top *t, const struct service *s)
{
	char label[512];

	if (*t->request->ns && strcmp(t->request->ns, service_namespace(s)) != 0)
		return false;
	return !*t->request->filter ||
	       strstr(service_label(s, label, sizeof(label)), t->request->filter);
}

static void consider(struct top *t, const struct service *s)
{
	const struct ranked item = {s, t->value_of(t, s)};
	size_t at = t->n;

	if (at == t->max && !is_before(&item, &t->items[at - 1]))
		return;
	if (at == t->max)
		at--;
	else
		t->n++;
	for (; at > 0 && is_before(&item, &t->items[at - 1]); at--)
		t->items[at] = t->items[at - 1];
	t->items[at] = item;
}

static json_t *count_json(bool is_known, double value)
{
	return is_known ? json_integer((json_int_t)value) : json_null();
}

static json_t *row(const struct top *t, const struct service *s)
{
	bool has_counts = t->in->counts && counts_are_known(t->in->counts);
	bool has_bytes = t->current && t->current->has_bytes;
	struct sink_flows flows = {0};
	json_t *json = inspect_service_key(s);

	if (t->current)
		flows = current_of(t->current, s);
	(void)json_object_update_new(
		json,
		json_pack("{s:i, s:f, s:o, s:o, s:o, s:o, s:o, s:o}", "endpoints",
			  (int)n_usable(s), "rate", rate(t, s), "connections",
			  count_json(has_counts, connections(t, s)), "current",
			  count_json(t->current, (double)flows.n), "bytesIn",
			  count_json(has_bytes, (double)flows.n_bytes[0]), "bytesOut",
			  count_json(has_bytes, (double)flows.n_bytes[1]), "refused",
			  count_json(has_counts, refused(t, s)), "dropped",
			  count_json(has_counts, dropped(t, s))));
	return json;
}

static json_t *rows(const struct top *t)
{
	_cleanup_(freep) const struct service **shown = xcalloc(t->n + 1, sizeof(*shown));
	json_t *list = json_array();

	for (size_t i = 0; i < t->n; i++)
		shown[i] = t->items[i].service;
	(void)inspect_counts_read(t->in, shown, t->n, false); /* else the last sums */
	for (size_t i = 0; i < t->n; i++)
		(void)json_array_append_new(list, row(t, shown[i]));
	return list;
}

static size_t limit_of(const struct control_request *request)
{
	unsigned long n = strtoul(request->limit, NULL, 10);

	return n == 0 ? TOP_DEFAULT : n > TOP_MAX ? TOP_MAX : n;
}

/* NULL: not a column. */
static value_fn *value_of(const char *column)
{
	for (size_t i = 0; i < N_ELEMENTS(columns); i++)
		if (strcmp(column, columns[i].name) == 0)
			return columns[i].value_of;
	return NULL;
}

static const char *column_of(const struct control_request *request)
{
	return *request->sort ? request->sort : columns[0].name;
}

static json_t *make(const struct inspect *in, const struct control_request *request)
{
	struct top t = {
		.in = in,
		.request = request,
		.max = limit_of(request),
		.value_of = value_of(column_of(request)),
	};
	_cleanup_(freep) struct ranked *items = t.items = xcalloc(t.max, sizeof(*items));
	const struct service *s;

	if (in->last_census)
		t.current = last_census_read(in->last_census, clock_monotonic_us());
	for (size_t i = 0; (s = state_next(in->state, &i));)
		if (is_wanted(&t, s)) {
			t.n_matching++;
			consider(&t, s);
		}
	return json_pack("{s:I, s:o, s:I}", "matching", (json_int_t)t.n_matching, "rows",
			 rows(&t), "readUs", (json_int_t)clock_monotonic_us());
}

struct top_answer {
	struct control_answer answer;
	const struct inspect *in;
	struct control_request request;
};

/* For the first count: without it the first answer would lack the connections. */
static bool top_is_waiting(struct control_answer *answer)
{
	const struct inspect *in = container_of(answer, struct top_answer, answer)->in;

	return in->last_census &&
	       last_census_is_pending(in->last_census, clock_monotonic_us());
}

static bool top_write(struct control_answer *answer, struct buf *out)
{
	const struct top_answer *a = container_of(answer, struct top_answer, answer);
	json_auto_t *json = make(a->in, &a->request);
	_cleanup_(freep) char *text = json_dumps(json, JSON_COMPACT);

	buf_add_string(out, text ? text : "null");
	return false;
}

static void top_free(struct control_answer *answer)
{
	free(container_of(answer, struct top_answer, answer));
}

struct control_answer *inspect_top(const struct inspect *in,
				   const struct control_request *request,
				   char **ret_error)
{
	static const struct control_answer_ops ops = {
		.write = top_write,
		.free = top_free,
		.is_waiting = top_is_waiting,
	};
	struct top_answer *a;

	if (!value_of(column_of(request))) {
		*ret_error =
			xasprintf("\"%s\" is not a column of top", column_of(request));
		return NULL;
	}
	a = xcalloc(1, sizeof(*a));
	*a = (struct top_answer){.answer.ops = &ops, .in = in, .request = *request};
	return &a->answer;
}
