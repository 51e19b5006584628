/*
 * The journal of changes: each row is a service before and after, and what is
 * written about it, as deltas and as full change sets.
 */
#include "tests/test.h"

#include <string.h>

#include "core/buf.h"
#include "core/changeset.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "core/sink.h"
#include "core/state.h"
#include "proxy/engine/journal.h"
#include "proxy/engine/sink_state.h"
#include "tests/unit/capture.h"
#include "tests/unit/core_samples.h"
#include "tests/unit/object_text.h"
#include "watchers/causes.h"
#include "watchers/checks/checker.h"
#include "watchers/cluster.h"
#include "watchers/decode/json_text.h"

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
	struct causes causes = {.is_on = false};
	struct sink *sink = journal_new(&causes);

	apply(sink, true, NULL, old);
	apply(sink, full, old, new);
	expect_entries(sink, "", 1, row->expected);
	expect_entries(sink, "default", 0, row->expected);
	expect_entries(sink, "other", 0, "");
	sink_close(sink);
	causes_fini(&causes);
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
	struct causes causes = {.is_on = false};
	const struct sink_repair repair = {"nft (pid 7)", "2 rules", 1200};
	struct sink *sink = journal_new(&causes);
	json_t *page, *entries;

	(void)state;
	for (size_t i = 0; i < JOURNAL_LEN + 10; i++)
		journal_add_repair(sink, &repair);
	page = journal_json(sink, "", "", 3);
	entries = json_object_get(page, "entries");
	assert_int_equal(number(page, "dropped"), 7);
	assert_int_equal(number(page, "last"), JOURNAL_LEN + 10);
	assert_int_equal(json_array_size(entries), JOURNAL_LEN);
	assert_int_equal(number(json_array_get(entries, 0), "number"), 11);
	assert_string_equal(json_text(json_array_get(entries, 0), "detail"),
			    "changed by nft (pid 7), restored 2 rules in 1.2 ms");
	assert_true(json_real_value(json_object_get(json_array_get(entries, 0),
						    "tookMs")) == 1.2);
	json_decref(page);
	page = journal_json(sink, "", "", UINT64_MAX);
	assert_int_equal(json_array_size(json_object_get(page, "entries")), 0);
	json_decref(page);
	sink_close(sink);
	causes_fini(&causes);
}

static void a_change_of_health_names_the_service(void **state)
{
	struct causes causes = {.is_on = false};
	struct sink *sink = journal_new(&causes);
	struct service *web =
		sample_service("web", "http", "10.96.0.1:80", "10.0.0.1:80");
	const struct checker_endpoint down = {
		.ns = "default",
		.name = "web",
		.addr = sample_addr("10.0.0.1"),
		.port = 80,
		.is_down = true,
		.why = "refused",
		.n_in_row = 3,
	};
	json_t *page;

	(void)state;
	journal_add_health(sink, &down, web);
	journal_add_health(sink, &down, NULL);
	page = journal_json(sink, "default", "web", 0);
	assert_int_equal(json_array_size(json_object_get(page, "entries")), 1);
	assert_string_equal(json_text(json_array_get(json_object_get(page, "entries"), 0),
				      "detail"),
			    "10.0.0.1:80: refused, after 3 checks");
	json_decref(page);
	service_unref(web);
	sink_close(sink);
	causes_fini(&causes);
}

static const char slice_1[] =
	"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-x, "
	"labels: {kubernetes.io/service-name: web}, annotations: "
	"{endpoints.kubernetes.io/last-change-trigger-time: \"2100-01-01T00:00:00Z\"}}\n"
	"addressType: IPv4\nports: [{name: http, port: 1}]\nendpoints: [{addresses: "
	"[10.1.0.1]}]";
static const char slice_2[] =
	"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-x, "
	"labels: {kubernetes.io/service-name: web}}\n"
	"addressType: IPv4\nports: [{name: http, port: 1}]\nendpoints: [{addresses: "
	"[10.1.0.2]}]";
static const char service_1[] =
	"apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: "
	"10.0.0.1, ports: [{name: http, port: 80}]}";
static const char node_1[] =
	"apiVersion: v1\nkind: Node\nmetadata: {name: node-0}\nstatus: {addresses: "
	"[{type: InternalIP, address: 192.0.2.1}]}";

static const struct cause_row {
	const char *objects[3]; /* put before the change */
	const char *version, *file;
	const char *text;
} cause_rows[] = {
	{{slice_1}, "12", NULL, "EndpointSlice default/web-x, resourceVersion 12"},
	{{slice_1, slice_2}, NULL, "/a.yaml", "EndpointSlice default/web-x, /a.yaml"},
	{{service_1, slice_1},
	 "12",
	 NULL,
	 "EndpointSlice default/web-x and 1 more, resourceVersion 12"},
	{{service_1, slice_1, slice_2},
	 NULL,
	 NULL,
	 "EndpointSlice default/web-x and 1 more"},
	{{node_1}, "7", NULL, "Node node-0, resourceVersion 7"},
	/* a file's name may have any bytes */
	{{slice_1}, NULL, "/\xe4.yaml", "EndpointSlice default/web-x, /\ufffd.yaml"},
	{{NULL}, NULL, NULL, NULL},
};

/* The cause of the last entry; NULL: none. */
static void expect_cause(const struct sink *sink, const char *text)
{
	json_auto_t *page = journal_json(sink, "", "", 1);
	const json_t *entry = json_array_get(json_object_get(page, "entries"), 0);
	const json_t *cause = json_object_get(entry, "cause");

	assert_true(json_number_value(json_object_get(entry, "tookMs")) >= 0);
	assert_true(json_number_value(json_object_get(entry, "tookMs")) < 60000);
	if (text)
		assert_string_equal(json_string_value(json_object_get(cause, "text")),
				    text);
	else
		assert_true(json_is_null(cause));
}

static void play_cause(const struct cause_row *row, const struct service *old,
		       const struct service *new)
{
	struct cluster *cluster = cluster_new("node-0");
	struct causes *causes = cluster_causes(cluster);
	struct sink *sink = journal_new(causes);

	apply(sink, true, NULL, old);
	causes_set_origin(causes, row->version, row->file);
	for (size_t i = 0; i < N_ELEMENTS(row->objects) && row->objects[i]; i++)
		(void)cluster_put(cluster, object_text_first(row->objects[i]));
	apply(sink, false, old, new);
	expect_cause(sink, row->text);
	sink_close(sink);
	cluster_free(cluster);
}

static void each_entry_names_its_cause(void **state)
{
	struct service *old = make("10.0.0.1:80", "10.1.0.1:1");
	struct service *new = make("10.0.0.1:80", "10.1.0.2:1");

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cause_rows); i++)
		play_cause(&cause_rows[i], old, new);
	service_unref(old);
	service_unref(new);
}

static void a_change_without_own_cause_comes_from_another_claim(void **state)
{
	struct service *old = make("10.0.0.1:80", "10.1.0.1:1");
	struct service *new = make("10.0.0.2:80", "10.1.0.1:1");
	struct causes causes = {.is_on = false};
	struct sink *sink = journal_new(&causes);

	(void)state;
	apply(sink, true, NULL, old);
	causes_note(&causes, "default", "other",
		    &(struct cause){.kind = "Service", .ns = "default", .name = "other"});
	apply(sink, false, old, new);
	expect_cause(sink, "another claim of the same place");
	causes_clear(&causes);
	assert_null(causes_find(&causes, "default", "other"));
	sink_close(sink);
	causes_fini(&causes);
	service_unref(old);
	service_unref(new);
}

/* It waits for the kernel since the first one. */
static void a_claim_that_waits_names_the_holder(void **state)
{
	struct service *holder = make("10.0.0.1:80", "");
	struct service *waiting = sample_service("other", "http", "10.0.0.1:80", "");
	const struct state_conflict conflict = {
		.frontend = service_frontends(waiting)[0],
		.holder = holder,
		.waiting = waiting,
	};
	struct causes causes = {.is_on = false};
	struct sink *sink = journal_new(&causes);

	(void)state;
	journal_add_claim(sink, &conflict);
	expect_entries(sink, "default", 0,
		       "ClaimWaits 10.0.0.1:80 is held by default/web:http;");
	sink_close(sink);
	causes_fini(&causes);
	service_unref(holder);
	service_unref(waiting);
}

static bool is_named(const void *data, const struct service *s)
{
	const char *const *name = data;

	return strcmp(*name, service_name(s)) == 0;
}

/* The kernel holds nothing of it: it was not added, and neither were its endpoints. */
static void a_refused_service_has_no_other_changes_until_it_is_served_again(void **state)
{
	struct service *first = make("10.0.0.1:80", "10.1.0.1:1");
	struct service *second = make("10.0.0.1:80", "10.1.0.1:1 10.1.0.2:1");
	struct causes causes = {.is_on = false};
	struct sink *sink = journal_new(&causes);
	const char *refused = "web";

	(void)state;
	journal_leave_out(sink, is_named, &refused);
	apply(sink, true, NULL, NULL);
	journal_add_refused(sink, "nftables", first, "add x: File exists");
	apply(sink, false, NULL, first);
	apply(sink, false, first, second);
	expect_entries(sink, "default", 0, "Refused nftables: add x: File exists;");
	refused = "";
	capture_start();
	journal_add_refused(sink, "nftables", second, NULL);
	assert_non_null(strstr(capture_end(),
			       "service default/web:http TCP IPv4: is served again: "
			       "nftables: 1 frontends, 2 endpoints\n"));
	apply(sink, false, second, first);
	journal_add_refused(sink, "other", first, "");
	apply(sink, false, first, NULL);
	expect_entries(sink, "default", 2,
		       "ServedAgain nftables: 1 frontends, 2 endpoints;"
		       "EndpointsRemoved 10.1.0.2:1;Refused other;"
		       "ServiceRemoved 1 frontends, 1 endpoints;");
	sink_close(sink);
	causes_fini(&causes);
	service_unref(first);
	service_unref(second);
}

/* -v 1 */
static void all_changes_are_logged_when_asked_for(void **state)
{
	struct service *old = make("10.0.0.1:80", "10.1.0.1:1");
	struct service *new = make("10.0.0.1:80", "10.1.0.1:1 10.1.0.2:1");
	struct causes causes = {.is_on = false};
	struct sink *sink = journal_new(&causes);

	(void)state;
	apply(sink, true, NULL, old);
	capture_start();
	apply(sink, false, old, new);
	assert_string_equal(capture_end(), "");
	journal_log_all(sink);
	capture_start();
	apply(sink, false, new, old);
	assert_non_null(strstr(capture_end(), "service default/web:http TCP IPv4: "
					      "EndpointsRemoved: 10.1.0.2:1\n"));
	sink_close(sink);
	causes_fini(&causes);
	service_unref(old);
	service_unref(new);
}

static void the_time_runs_from_the_first_change(void **state)
{
	struct causes causes = {.is_on = false};
	const struct cause first = {.kind = "Service",
				    .ns = "a",
				    .name = "b",
				    .since_us = 1000};
	const struct cause second = {.kind = "EndpointSlice",
				     .ns = "a",
				     .name = "c",
				     .since_us = 2000};

	(void)state;
	causes_start(&causes);
	causes_note(&causes, "a", "b", &first);
	causes_note(&causes, "a", "b", &second);
	assert_int_equal(causes_find(&causes, "a", "b")->since_us, 1000);
	assert_string_equal(causes_find(&causes, "a", "b")->kind, "EndpointSlice");
	for (size_t i = 0; i < CAUSES_MAX; i++) {
		_cleanup_(freep) char *name = xasprintf("x%zu", i);

		causes_note(&causes, "a", name, &first);
	}
	assert_null(causes_find(&causes, "a", "others"));
	causes_fini(&causes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_change_has_its_entry),
		cmocka_unit_test(a_full_change_set_writes_only_the_differences),
		cmocka_unit_test(the_oldest_entries_are_dropped_and_counted),
		cmocka_unit_test(a_change_of_health_names_the_service),
		cmocka_unit_test(each_entry_names_its_cause),
		cmocka_unit_test(a_change_without_own_cause_comes_from_another_claim),
		cmocka_unit_test(the_time_runs_from_the_first_change),
		cmocka_unit_test(a_claim_that_waits_names_the_holder),
		cmocka_unit_test(
			a_refused_service_has_no_other_changes_until_it_is_served_again),
		cmocka_unit_test(all_changes_are_logged_when_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
