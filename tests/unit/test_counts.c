/*
 * Sums of what sinks have counted: they never go back, whatever happens to the
 * counters of the sinks.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/state.h"
#include "proxy/engine/counts.h"
#include "proxy/engine/dataplane.h"
#include "tests/unit/capture.h"
#include "tests/unit/core_samples.h"
#include "tests/unit/counting_sink.h"

#define SEC 1000000ull

struct world {
	struct dataplane dataplane;
	struct counting_sink sink, second;
	struct counts *counts;
	struct service *web;
};

static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	counting_sink_init(&w->sink);
	counting_sink_init(&w->second);
	dataplane_add(&w->dataplane, &w->sink.sink);
	dataplane_add(&w->dataplane, &w->second.sink);
	w->counts = counts_new(&w->dataplane);
	w->web = sample_service("web", "", "10.96.0.1:80", "10.0.0.1:80 10.0.0.2:80");
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	counts_free(w->counts);
	service_unref(w->web);
	free(w);
	return 0;
}

static bool read_web(struct world *w)
{
	const struct change change = {.new = w->web};
	const struct changeset of = {.changes = &change, .n = 1};

	return counts_read(w->counts, &of, true);
}

static void measure_web(struct world *w, uint64_t now_us)
{
	const struct change change = {.new = w->web};
	const struct changeset of = {.changes = &change, .n = 1};

	assert_true(counts_measure(w->counts, &of, now_us));
	counts_end_round(w->counts, now_us);
}

static uint64_t of_frontend(const struct world *w)
{
	uint64_t n[COUNT_N];

	counts_frontend(w->counts, w->web, service_frontends(w->web), n);
	return n[COUNT_CONNECTIONS];
}

static void expect(struct world *w, uint64_t n)
{
	assert_true(read_web(w));
	assert_int_equal(counts_total(w->counts, w->web, COUNT_CONNECTIONS), n);
	assert_int_equal(of_frontend(w), n);
	assert_int_equal(counts_all(w->counts, COUNT_CONNECTIONS), n);
}

static uint64_t of_endpoint(const struct world *w, const char *addr)
{
	const struct addr a = sample_addr(addr);

	return counts_endpoint(w->counts, w->web, &a, 80);
}

static void the_first_reading_is_taken_over(void **state)
{
	struct world *w = *state;

	assert_false(counts_are_known(w->counts));
	expect(w, 0);
	assert_true(counts_are_known(w->counts));
	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 7);
	expect(w, 7);
	expect(w, 7);
	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 9);
	expect(w, 9);
}

static void a_counter_that_starts_again_is_added(void **state)
{
	struct world *w = *state;

	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 7);
	expect(w, 7);
	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 2);
	expect(w, 9);
	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 3);
	expect(w, 10);
}

/* One that was seen missing may come back with a larger value than it had. */
static void a_counter_that_was_gone_starts_at_zero(void **state)
{
	struct world *w = *state;

	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 2);
	expect(w, 2);
	counting_sink_clear(&w->sink);
	expect(w, 2);
	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 5);
	expect(w, 7);
}

/* They may already be larger than before. */
static void counters_of_another_epoch_start_at_zero(void **state)
{
	struct world *w = *state;

	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 2);
	counting_sink_set_endpoint(&w->sink, "web", 0, 2);
	expect(w, 2);
	w->sink.epoch++;
	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 5);
	measure_web(w, SEC);
	counting_sink_set_endpoint(&w->sink, "web", 0, 5);
	expect(w, 7);
	assert_int_equal(of_endpoint(w, "10.0.0.1"), 7);
}

/* The others of the same frontend are not counted twice then. */
static void each_counter_starts_again_by_itself(void **state)
{
	struct world *w = *state;

	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 100);
	counting_sink_set_other(&w->sink, "web", 10);
	counting_sink_set(&w->second, "web", COUNT_CONNECTIONS, 1000);
	expect(w, 1110);
	counting_sink_set_other(&w->sink, "web", 1);
	expect(w, 1111);
	counting_sink_clear(&w->sink);
	counting_sink_set_other(&w->sink, "web", 2); /* it continued */
	expect(w, 1112);
	counting_sink_set(&w->second, "web", COUNT_CONNECTIONS, 1001);
	expect(w, 1113);
}

static void a_failed_reading_changes_nothing(void **state)
{
	struct world *w = *state;

	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 7);
	expect(w, 7);
	counting_sink_clear(&w->sink);
	w->second.err = -EIO;
	capture_start();
	assert_false(read_web(w));
	assert_int_equal(capture_count(capture_end(), "cannot read connection counters"),
			 1);
	assert_false(counts_are_known(w->counts));
	w->second.err = 0;
	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 8);
	expect(w, 8);
}

static size_t n_lines(struct world *w, int err, unsigned n_readings)
{
	capture_start();
	w->second.err = err;
	while (n_readings--)
		(void)read_web(w);
	return capture_count(capture_end(), "cannot read connection counters: ");
}

/* A round reads a hundred services at a time. */
static void a_failure_that_lasts_is_logged_once(void **state)
{
	struct world *w = *state;

	assert_int_equal(n_lines(w, -EIO, 3), 1);
	assert_int_equal(n_lines(w, -EIO, 3), 0);
	assert_int_equal(n_lines(w, -EPERM, 3), 1);
	assert_int_equal(n_lines(w, 0, 3), 0);
	assert_int_equal(n_lines(w, -EPERM, 3), 1);
}

static void kinds_are_counted_apart(void **state)
{
	struct world *w = *state;

	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 1);
	counting_sink_set(&w->sink, "web", COUNT_NO_ENDPOINTS, 20);
	counting_sink_set(&w->sink, "web", COUNT_NO_LOCAL_ENDPOINTS, 300);
	counting_sink_set(&w->sink, "web", COUNT_SOURCE_RANGES, 4000);
	expect(w, 1);
	assert_int_equal(counts_total(w->counts, w->web, COUNT_NO_ENDPOINTS), 20);
	assert_int_equal(counts_total(w->counts, w->web, COUNT_NO_LOCAL_ENDPOINTS), 300);
	assert_int_equal(counts_total(w->counts, w->web, COUNT_SOURCE_RANGES), 4000);
	assert_int_equal(counts_all(w->counts, COUNT_SOURCE_RANGES), 4000);
}

static void replace_web(struct world *w, const char *frontends, const char *endpoints)
{
	service_unref(w->web);
	w->web = sample_service("web", "", frontends, endpoints);
}

static void endpoints_count_for_as_long_as_the_service_has_them(void **state)
{
	struct world *w = *state;

	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 7);
	counting_sink_set_endpoint(&w->sink, "web", 0, 3);
	counting_sink_set_endpoint(&w->sink, "web", 1, 4);
	expect(w, 7);
	assert_int_equal(of_endpoint(w, "10.0.0.1"), 3);
	counting_sink_clear(&w->sink);
	counting_sink_set_endpoint(&w->sink, "web", 1, 1);
	expect(w, 7);
	assert_int_equal(of_endpoint(w, "10.0.0.1"), 3);
	assert_int_equal(of_endpoint(w, "10.0.0.2"), 5);
	counting_sink_clear(&w->sink);
	replace_web(w, "10.96.0.1:80", "10.0.0.2:80");
	expect(w, 7);
	assert_int_equal(of_endpoint(w, "10.0.0.1"), 0);
	assert_int_equal(of_endpoint(w, "10.0.0.2"), 5);
}

/* A reading without endpoints says nothing about them. */
static void endpoints_that_are_not_read_stay(void **state)
{
	struct world *w = *state;

	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 3);
	counting_sink_set_endpoint(&w->sink, "web", 0, 3);
	expect(w, 3);
	measure_web(w, SEC);
	expect(w, 3);
	assert_int_equal(of_endpoint(w, "10.0.0.1"), 3);
}

static void endpoints_of_a_service_without_connections_are_not_read(void **state)
{
	struct world *w = *state;

	expect(w, 0);
	assert_int_equal(w->sink.n_endpoints_read, 0);
	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 1);
	counting_sink_set_endpoint(&w->sink, "web", 0, 1);
	expect(w, 1); /* in the reading that finds the first one, too */
	assert_int_equal(of_endpoint(w, "10.0.0.1"), 1);
	assert_int_equal(w->sink.n_endpoints_read, 1);
}

static void
connections_that_a_reading_without_endpoints_has_seen_are_lacking(void **state)
{
	struct world *w = *state;

	assert_false(counts_lack_endpoints(w->counts, w->web));
	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 7);
	measure_web(w, 1 * SEC);
	assert_true(counts_lack_endpoints(w->counts, w->web));
	measure_web(w, 2 * SEC);
	assert_true(counts_lack_endpoints(w->counts, w->web));
	assert_true(read_web(w));
	assert_false(counts_lack_endpoints(w->counts, w->web));
}

static void a_service_keeps_the_sum_of_a_removed_frontend(void **state)
{
	struct world *w = *state;

	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 7);
	expect(w, 7);
	counting_sink_clear(&w->sink);
	replace_web(w, "10.96.0.2:80", "10.0.0.1:80");
	assert_true(read_web(w));
	assert_int_equal(counts_total(w->counts, w->web, COUNT_CONNECTIONS), 7);
	assert_int_equal(of_frontend(w), 0);
}

static void a_removed_service_is_forgotten_but_in_the_sum(void **state)
{
	struct world *w = *state;

	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 7);
	measure_web(w, SEC);
	for (unsigned i = 2; i < 20; i++)
		counts_end_round(w->counts, i * SEC);
	assert_int_equal(counts_total(w->counts, w->web, COUNT_CONNECTIONS), 0);
	assert_int_equal(counts_all(w->counts, COUNT_CONNECTIONS), 7);
}

static void the_rate_is_that_between_two_measurements(void **state)
{
	struct world *w = *state;

	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 700); /* of before */
	measure_web(w, 10 * SEC);
	assert_true(counts_rate(w->counts, w->web) == 0);
	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 720);
	assert_true(read_web(w)); /* between them: does not matter */
	measure_web(w, 20 * SEC);
	assert_true(counts_rate(w->counts, w->web) == 2);
	measure_web(w, 30 * SEC);
	assert_true(counts_rate(w->counts, w->web) == 0);
}

static void the_first_connections_of_a_service_have_a_rate(void **state)
{
	struct world *w = *state;

	measure_web(w, 10 * SEC);
	counting_sink_set(&w->sink, "web", COUNT_CONNECTIONS, 50);
	measure_web(w, 20 * SEC);
	assert_true(counts_rate(w->counts, w->web) == 5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_reading_is_taken_over),
		TEST(a_counter_that_starts_again_is_added),
		TEST(a_counter_that_was_gone_starts_at_zero),
		TEST(counters_of_another_epoch_start_at_zero),
		TEST(each_counter_starts_again_by_itself),
		TEST(a_failed_reading_changes_nothing),
		TEST(a_failure_that_lasts_is_logged_once),
		TEST(kinds_are_counted_apart),
		TEST(endpoints_count_for_as_long_as_the_service_has_them),
		TEST(endpoints_of_a_service_without_connections_are_not_read),
		TEST(endpoints_that_are_not_read_stay),
		TEST(connections_that_a_reading_without_endpoints_has_seen_are_lacking),
		TEST(a_service_keeps_the_sum_of_a_removed_frontend),
		TEST(a_removed_service_is_forgotten_but_in_the_sum),
		TEST(the_rate_is_that_between_two_measurements),
		TEST(the_first_connections_of_a_service_have_a_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
