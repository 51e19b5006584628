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
	double value; /* larger ones are first; equal ones in the order of their names */
};

struct top { /* the best so far, the first one first */
	const struct inspect *in;
	const struct control_request *request;
	const struct current *current; /* NULL: not known */
	double (*value_of)(const struct top *t, const struct service *s);
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
	return t->current ? (double)current_of(t->current, s) : 0;
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
	double (*value_of)(const struct top *t, const struct service *s);
} columns[] = {
	{"rate", rate},	      {"connections", connections}, {"current", current},
	{"refused", refused}, {"dropped", dropped},	    {"endpoints", endpoints},
	{"name", name},
};

static bool is_before(const struct ranked *a, const struct ranked *b)
{
	char x[512], y[512];

	if (a->value > b->value || a->value < b->value)
		return a->value > b->value;
	return strcmp(service_label(a->service, x, sizeof(x)),
		      service_label(b->service, y, sizeof(y))) < 0;
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
	json_t *json = inspect_service_key(s);

	(void)json_object_update_new(
		json, json_pack("{s:i, s:f, s:o, s:o, s:o, s:o}", "endpoints",
				(int)n_usable(s), "rate", rate(t, s), "connections",
				count_json(has_counts, connections(t, s)), "current",
				count_json(t->current, current(t, s)), "refused",
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

json_t *inspect_top(const struct inspect *in, const struct control_request *request,
		    char **ret_error)
{
	_cleanup_(freep) struct ranked *items = NULL;
	struct top t = {.in = in, .request = request, .max = limit_of(request)};
	const char *by = *request->sort ? request->sort : columns[0].name;
	const struct service *s;

	for (size_t i = 0; i < N_ELEMENTS(columns); i++)
		if (strcmp(by, columns[i].name) == 0)
			t.value_of = columns[i].value_of;
	if (!t.value_of) {
		*ret_error = xasprintf("\"%s\" is not a column of top", by);
		return NULL;
	}
	if (in->last_census)
		t.current = last_census_read(in->last_census, clock_monotonic_us());
	t.items = items = xcalloc(t.max, sizeof(*items));
	for (size_t i = 0; (s = state_next(in->state, &i));)
		if (is_wanted(&t, s)) {
			t.n_matching++;
			consider(&t, s);
		}
	return json_pack("{s:I, s:o, s:I}", "matching", (json_int_t)t.n_matching, "rows",
			 rows(&t), "readUs", (json_int_t)clock_monotonic_us());
}
