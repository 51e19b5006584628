/*
 * Rejections are logged once, counted as long as they last, and never flood the log.
 */
#include "tests/test.h"

#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "proxy/engine/rejections.h"
#include "tests/unit/capture.h"

DEFINE_CLEANUP(struct rejections *, rejections_free);

static void refuse(const struct rejections *r, const char *source, size_t number)
{
	char field[32];

	(void)snprintf(field, sizeof(field), "spec.x[%zu]", number);
	reject_call(rejections_reject(r), &(struct rejection){
						  .source = source,
						  .kind = "Service",
						  .ns = "default",
						  .name = "web",
						  .field = field,
						  .reason = "is odd",
					  });
}

/* Reads a file in which n fields, counted from first, are odd. */
static void read_file(const struct rejections *r, const char *path, size_t first,
		      size_t n)
{
	reject_begin(rejections_reject(r), "", "", path);
	for (size_t i = 0; i < n; i++)
		refuse(r, path, first + i);
	reject_end(rejections_reject(r));
}

static void read_object(const struct rejections *r, const char *kind, const char *name,
			size_t n)
{
	reject_begin(rejections_reject(r), kind, "default", name);
	for (size_t i = 0; i < n; i++)
		refuse(r, "API server", i);
	reject_end(rejections_reject(r));
}

static void a_rejection_that_repeats_is_logged_once(void **state)
{
	_cleanup_(rejections_freep) struct rejections *r = rejections_new(false);
	const char *text;

	(void)state;
	capture_start();
	for (int i = 0; i < 3; i++)
		read_file(r, "a.yaml", 0, 2);
	text = capture_end();
	assert_int_equal(capture_count(text, "\n"), 2);
	assert_non_null(
		strstr(text, "warn  a.yaml: Service default/web: spec.x[1]: is odd\n"));
	assert_int_equal(rejections_n(r), 2);
}

static void a_different_rejection_of_the_same_file_is_logged(void **state)
{
	_cleanup_(rejections_freep) struct rejections *r = rejections_new(false);
	const char *text;

	(void)state;
	read_file(r, "a.yaml", 0, 1);
	capture_start();
	read_file(r, "a.yaml", 1, 1);
	text = capture_end();
	assert_non_null(strstr(text, "spec.x[1]"));
	assert_int_equal(rejections_n(r), 1);
}

static void a_repair_is_logged_and_a_later_rejection_again(void **state)
{
	_cleanup_(rejections_freep) struct rejections *r = rejections_new(false);
	const char *text;

	(void)state;
	read_file(r, "a.yaml", 0, 3);
	read_file(r, "b.yaml", 0, 1);
	assert_int_equal(rejections_n(r), 4);
	capture_start();
	read_file(r, "a.yaml", 0, 0);
	read_file(r, "c.yaml", 0, 0);
	text = capture_end();
	assert_non_null(strstr(text, "info  a.yaml: repaired, nothing in it is ignored"));
	assert_int_equal(capture_count(text, "\n"), 1);
	assert_int_equal(rejections_n(r), 1);
	capture_start();
	reject_gone(rejections_reject(r), "", "", "b.yaml");
	assert_string_equal(capture_end(), "");
	assert_int_equal(rejections_n(r), 0);
	read_file(r, "b.yaml", 0, 1);
	capture_start();
	read_file(r, "a.yaml", 0, 3);
	assert_int_equal(capture_count(capture_end(), "is odd"), 3);
	assert_int_equal(rejections_n(r), 4);
}

static void a_file_with_50000_rejections_costs_11_lines(void **state)
{
	_cleanup_(rejections_freep) struct rejections *r = rejections_new(false);
	const char *text;

	(void)state;
	capture_start();
	read_file(r, "big.json", 0, 50000);
	text = capture_end();
	assert_int_equal(capture_count(text, "is odd"), REJECTIONS_THING_LINES);
	assert_int_equal(capture_count(text, "\n"), REJECTIONS_THING_LINES + 1);
	assert_non_null(
		strstr(text, "big.json: and 49990 more; sluice plan lists all\n"));
	assert_int_equal(rejections_n(r), 50000);
	/* one of the suppressed ones differs */
	capture_start();
	read_file(r, "big.json", 1, 50000);
	assert_int_equal(capture_count(capture_end(), "\n"), REJECTIONS_THING_LINES + 1);
}

static void rejections_of_5000_files_cost_about_100_lines(void **state)
{
	_cleanup_(rejections_freep) struct rejections *r = rejections_new(false);
	const char *text;
	char path[32], rest[64];
	size_t n;

	(void)state;
	capture_start();
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(path, sizeof(path), "%d.yaml", i);
		read_file(r, path, 0, 1);
	}
	rejections_flush(r);
	text = capture_end();
	n = capture_count(text, "is odd");
	/* a slow machine earns a line now and then */
	assert_in_range(n, REJECTIONS_BURST_LINES, 1000);
	(void)snprintf(rest, sizeof(rest), "and %zu more were rejected", 5000 - n);
	assert_non_null(strstr(text, rest));
	assert_int_equal(rejections_n(r), 5000);
	ev_sleep(0.7); /* enough for a line */
	capture_start();
	read_file(r, "another.yaml", 0, 1);
	assert_int_equal(capture_count(capture_end(), "another.yaml"), 1);
}

static void suppressed_lines_are_counted_within_a_second(void **state)
{
	struct rejections *r = rejections_new(false);
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

	(void)state;
	rejections_start(r, loop);
	capture_start();
	for (int i = 0; i < REJECTIONS_BURST_LINES + 7; i++)
		refuse(r, "nowhere", 0);
	ev_run(loop, 0); /* until its timer has run */
	assert_non_null(strstr(capture_end(), "and 7 more were rejected"));
	rejections_free(r);
	ev_loop_destroy(loop);
}

static void objects_missing_from_a_list_do_not_count(void **state)
{
	_cleanup_(rejections_freep) struct rejections *r = rejections_new(false);
	const struct reject *reject = rejections_reject(r);

	(void)state;
	read_object(r, "Service", "stays", 1);
	read_object(r, "Service", "goes", 2);
	read_object(r, "EndpointSlice", "other", 4);
	read_file(r, "a.yaml", 0, 8);
	reject_begin_all(reject, "Service");
	read_object(r, "Service", "stays", 1);
	assert_int_equal(rejections_n(r), 1 + 2 + 4 + 8);
	reject_end_all(reject, "Service");
	assert_int_equal(rejections_n(r), 1 + 4 + 8);
	/* one that was given up: what is not seen stays */
	reject_begin_all(reject, "Service");
	reject_begin_all(reject, "Service");
	read_object(r, "Service", "stays", 1);
	reject_end_all(reject, "Service");
	assert_int_equal(rejections_n(r), 1 + 4 + 8);
}

static void copies_are_kept_instead_of_the_log(void **state)
{
	_cleanup_(rejections_freep) struct rejections *r = rejections_new(true);
	const struct rejection *kept;
	size_t n;

	(void)state;
	capture_start();
	read_file(r, "a.yaml", 0, 20);
	assert_string_equal(capture_end(), ""); /* printed, so not logged too */
	kept = rejections_kept(r, &n);
	assert_int_equal(n, 20);
	assert_string_equal(kept[19].field, "spec.x[19]");
	assert_string_equal(kept[19].source, "a.yaml");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rejection_that_repeats_is_logged_once),
		cmocka_unit_test(a_different_rejection_of_the_same_file_is_logged),
		cmocka_unit_test(a_repair_is_logged_and_a_later_rejection_again),
		cmocka_unit_test(a_file_with_50000_rejections_costs_11_lines),
		cmocka_unit_test(rejections_of_5000_files_cost_about_100_lines),
		cmocka_unit_test(suppressed_lines_are_counted_within_a_second),
		cmocka_unit_test(objects_missing_from_a_list_do_not_count),
		cmocka_unit_test(copies_are_kept_instead_of_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
