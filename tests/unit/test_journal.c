/*
 * The journal of changes: each row is a service before and after, and what is
 * written about it, as deltas and as full change sets.
 */
#include "tests/test.h"

#include <string.h>

#include "core/buf.h"
#include "core/changeset.h"
#include "core/cleanup.h"
#include "core/sink.h"
#include "proxy/engine/journal.h"
#include "tests/unit/core_samples.h"

static const struct row {
	const char *frontends, *endpoints; /* NULL: no service */
	const char *new_frontends, *new_endpoints;
	const char *expected;
} rows[] = {
	{"10.0.0.1:80", "10.1.0.1:1", "10.0.0.1:80", "10.1.0.1:1", ""},
	{NULL, NULL, "10.0.0.1:80", "10.1.0.1:1 10.1.0.2:1",
	 "ServiceAdded 1 frontends, 2 endpoints;"},
	{"10.0.0.1:80", "10.1.0.1:1", NULL, NULL,
	 "ServiceRemoved 1 frontends, 1 endpoints;"},
	{"10.0.0.1:80", "10.1.0.1:1", "10.0.0.1:80", "10.1.0.1:1 10.1.0.2:1",
	 "EndpointsAdded 10.1.0.2:1;"},
	{"10.0.0.1:80", "10.1.0.1:1 10.1.0.2:1", "10.0.0.1:80", "10.1.0.2:1",
	 "EndpointsRemoved 10.1.0.1:1;"},
	{"10.0.0.1:80", "10.1.0.1:1", "10.0.0.1:80", "",
	 "EndpointsRemoved 10.1.0.1:1;NoEndpoints ;"},
	{"10.0.0.1:80", "", "10.0.0.1:80", "10.1.0.1:1",
	 "EndpointsAdded 10.1.0.1:1;HasEndpoints ;"},
	{"10.0.0.1:80", "10.1.0.1:1", "10.0.0.1:81 10.0.0.2:80", "10.1.0.1:1",
	 "FrontendsAdded 10.0.0.1:81 10.0.0.2:80;FrontendsRemoved 10.0.0.1:80;"},
	{"10.0.0.1:80", "10.1.0.1:1", "10.0.0.1:80",
	 "10.1.0.1:1 10.1.0.1:2 10.1.0.1:3 10.1.0.1:4 10.1.0.1:5 10.1.0.1:6 10.1.0.1:7 "
	 "10.1.0.1:8",
	 "EndpointsAdded 10.1.0.1:2 10.1.0.1:3 10.1.0.1:4 10.1.0.1:5 10.1.0.1:6 and 2 "
	 "more;"},
};

static struct service *make(const char *frontends, const char *endpoints)
{
	return frontends ? sample_service("web", "http", frontends, endpoints) : NULL;
}

static void apply(struct sink *sink, bool full, const struct service *old,
		  const struct service *new)
{
	struct change change = {full ? NULL : old, new};
	struct changeset cs = {
		.full = full,
		.changes = &change,
		.n = full ? new != NULL : old || new,
	};

	assert_int_equal(sink_apply(sink, &cs), 0);
}

/* "What detail;What detail;" of all entries after a number. */
static void expect_entries(const struct sink *sink, const char *ns, uint64_t since,
			   const char *expected)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	json_auto_t *page = journal_json(sink, ns, "", since);
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(page, "entries"), i, entry)
		buf_printf(&text, "%s %s;",
			   json_string_value(json_object_get(entry, "what")),
			   json_string_value(json_object_get(entry, "detail")));
	assert_string_equal(buf_string(&text), expected);
}

static void play(const struct row *row, bool full)
{
	struct service *old = make(row->frontends, row->endpoints);
	struct service *new = make(row->new_frontends, row->new_endpoints);
	struct sink *sink = journal_new();

	apply(sink, true, NULL, old);
	apply(sink, full, old, new);
	expect_entries(sink, "", 1, row->expected);
	expect_entries(sink, "default", 0, row->expected);
	expect_entries(sink, "other", 0, "");
	sink_close(sink);
	service_unref(old);
	service_unref(new);
}

static void each_change_has_its_entry(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		play(&rows[i], false);
}

static void a_full_change_set_writes_only_the_differences(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		play(&rows[i], true);
}

static long long number(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

static void the_oldest_entries_are_dropped_and_counted(void **state)
{
	struct sink *sink = journal_new();
	json_t *page, *entries;

	(void)state;
	for (size_t i = 0; i < JOURNAL_LEN + 10; i++)
		journal_add_repair(sink, "nft (pid 7)", 1000);
	page = journal_json(sink, "", "", 3);
	entries = json_object_get(page, "entries");
	assert_int_equal(number(page, "dropped"), 7);
	assert_int_equal(number(page, "last"), JOURNAL_LEN + 10);
	assert_int_equal(json_array_size(entries), JOURNAL_LEN);
	assert_int_equal(number(json_array_get(entries, 0), "number"), 11);
	json_decref(page);
	page = journal_json(sink, "", "", UINT64_MAX);
	assert_int_equal(json_array_size(json_object_get(page, "entries")), 0);
	json_decref(page);
	sink_close(sink);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_change_has_its_entry),
		cmocka_unit_test(a_full_change_set_writes_only_the_differences),
		cmocka_unit_test(the_oldest_entries_are_dropped_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
