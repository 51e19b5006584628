/*
 * A service is a set of short lines, such as "endpoint 10.244.1.1:8080".  Both sets are
 * sorted, and one pass finds the lines that only one of them has.
 */
#include "proxy/commands/plan_diff.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/config/value.h"
#include "watchers/decode/json_text.h"

static const char *const clients[] = {"pod", "node", "external"};

char *plan_diff_key(const json_t *service)
{
	const char *port = json_text(service, "portName");

	return xasprintf("%s/%s%s%s %s %s", json_text(service, "namespace"),
			 json_text(service, "name"), *port ? ":" : "", port,
			 json_text(service, "protocol"), json_text(service, "family"));
}

__attribute__((format(printf, 2, 3))) static void add(struct strings *lines,
						      const char *fmt, ...)
{
	struct buf line = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&line, fmt, ap);
	va_end(ap);
	strings_add(lines, buf_string(&line));
	buf_fini(&line);
}

static void add_number(struct strings *lines, const json_t *service, const char *key,
		       const char *fmt_name)
{
	json_int_t n = json_integer_value(json_object_get(service, key));

	if (n)
		add(lines, "%s %lld", fmt_name, (long long)n);
}

static void add_texts(struct strings *lines, const char *what, const json_t *texts)
{
	const json_t *text;
	size_t i;

	json_array_foreach(texts, i, text)
		add(lines, "%s %s", what, json_string_value(text));
}

static void add_decision(struct strings *lines, const char *place, const char *client,
			 const json_t *decision)
{
	const json_t *endpoints = json_object_get(decision, "endpoints");
	bool is_balance = strcmp(json_text(decision, "action"), "balance") == 0;

	if (is_balance)
		add(lines, "%s from %s: balance over %zu, %s", place, client,
		    json_array_size(endpoints),
		    json_is_true(json_object_get(decision, "masquerade"))
			    ? "masqueraded"
			    : "source kept");
	else
		add(lines, "%s from %s: %s", place, client,
		    json_text(decision, "action"));
	add_texts(lines, "endpoint", endpoints);
}

static void add_frontend(struct strings *lines, const json_t *f, bool with_endpoints)
{
	const json_t *from = json_object_get(f, "from");
	const char *address = json_text(f, "address");
	bool is_ipv6 = strchr(address, ':');
	_cleanup_(freep) char *place =
		xasprintf("%s %s%s%s:%lld", json_text(f, "kind"), is_ipv6 ? "[" : "",
			  address, is_ipv6 ? "]" : "",
			  (long long)json_integer_value(json_object_get(f, "port")));
	_cleanup_(freep) char *allowed = xasprintf("%s allows", place);

	add(lines, "%s", place);
	add_texts(lines, allowed, json_object_get(f, "allowedSources"));
	for (size_t i = 0; i < N_ELEMENTS(clients) && with_endpoints; i++)
		add_decision(lines, place, clients[i], json_object_get(from, clients[i]));
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_unique(struct strings *lines)
{
	size_t n = 0;

	if (lines->n)
		qsort(lines->items, lines->n, sizeof(*lines->items), compare);
	for (size_t i = 0; i < lines->n; i++) {
		if (n && strcmp(lines->items[n - 1], lines->items[i]) == 0)
			free(lines->items[i]);
		else
			lines->items[n++] = lines->items[i];
	}
	lines->n = n;
}

static struct strings describe(const json_t *service, bool with_endpoints)
{
	struct strings lines = {NULL, 0};
	_cleanup_(freep) char *options = NULL;
	const json_t *frontend;
	size_t i;

	json_array_foreach(json_object_get(service, "frontends"), i, frontend)
		add_frontend(&lines, frontend, with_endpoints);
	add_number(&lines, service, "affinitySeconds", "affinity seconds");
	add_number(&lines, service, "healthCheckNodePort", "health check node port");
	options = json_dumps(json_object_get(service, "options"), JSON_COMPACT);
	if (options)
		add(&lines, "options %s", options);
	sort_unique(&lines);
	return lines;
}

/* The lines that only one side has. */
static void add_differences(const struct strings *before, const struct strings *after,
			    const char *indent, struct buf *out)
{
	size_t b = 0, a = 0;

	while (b < before->n || a < after->n) {
		int order = b == before->n  ? 1
			    : a == after->n ? -1
					    : strcmp(before->items[b], after->items[a]);

		if (order < 0)
			buf_printf(out, "%s- %s\n", indent, before->items[b]);
		if (order > 0)
			buf_printf(out, "%s+ %s\n", indent, after->items[a]);
		b += order <= 0;
		a += order >= 0;
	}
}

bool plan_diff_service(const struct plan_diff_pair *pair, struct buf *out)
{
	_cleanup_(freep) char *key =
		plan_diff_key(pair->after ? pair->after : pair->before);
	struct strings before = describe(pair->before, !pair->keeps_endpoints);
	struct strings after = describe(pair->after, !pair->keeps_endpoints);
	_cleanup_(buf_fini) struct buf lines = BUF_INIT;
	bool differs;

	add_differences(&before, &after, "    ", &lines);
	strings_fini(&before);
	strings_fini(&after);
	differs = lines.len || !pair->before || !pair->after;
	if (differs)
		buf_printf(out, "%c %s\n%s",
			   !pair->before  ? '+'
			   : !pair->after ? '-'
					  : '~',
			   key, buf_string(&lines));
	return differs;
}
