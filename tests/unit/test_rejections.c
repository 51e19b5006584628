/*
 * What was refused is told once, counted for as long as it is wrong, and never
 * floods the log.
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

static void what_is_still_wrong_is_told_once(void **state)
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

static void what_is_wrong_in_another_way_is_told(void **state)
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

static void what_was_mended_is_told_when_it_comes_back(void **state)
{
	_cleanup_(rejections_freep) struct rejections *r = rejections_new(false);

	(void)state;
	read_file(r, "a.yaml", 0, 3);
	read_file(r, "b.yaml", 0, 1);
	assert_int_equal(rejections_n(r), 4);
	read_file(r, "a.yaml", 0, 0);
	assert_int_equal(rejections_n(r), 1);
	capture_start();
	read_file(r, "a.yaml", 0, 3);
	assert_int_equal(capture_count(capture_end(), "is odd"), 3);
	assert_int_equal(rejections_n(r), 4);
}

static void a_file_full_of_it_is_a_few_lines(void **state)
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
	/* one of those that were not named differs */
	capture_start();
	read_file(r, "big.json", 1, 50000);
	assert_int_equal(capture_count(capture_end(), "\n"), REJECTIONS_THING_LINES + 1);
}

static void many_files_are_told_within_bounds(void **state)
{
	_cleanup_(rejections_freep) struct rejections *r = rejections_new(false);
	const char *text;
	char path[32];

	(void)state;
	capture_start();
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(path, sizeof(path), "%d.yaml", i);
		read_file(r, path, 0, 1);
	}
	rejections_flush(r);
	text = capture_end();
	assert_int_equal(capture_count(text, "is odd"), REJECTIONS_ROUND_LINES);
	assert_non_null(strstr(text, "and 4900 more were rejected; sluice plan lists "
				     "all\n"));
	assert_int_equal(rejections_n(r), 5000);
	/* another round */
	capture_start();
	read_file(r, "another.yaml", 0, 1);
	assert_int_equal(capture_count(capture_end(), "another.yaml"), 1);
}

static void what_no_round_named_is_counted_within_a_second(void **state)
{
	struct rejections *r = rejections_new(false);
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

	(void)state;
	rejections_start(r, loop);
	capture_start();
	for (int i = 0; i < REJECTIONS_ROUND_LINES + 7; i++)
		refuse(r, "nowhere", 0);
	ev_run(loop, 0); /* until its timer has run */
	assert_non_null(strstr(capture_end(), "and 7 more were rejected"));
	rejections_free(r);
	ev_loop_destroy(loop);
}

static void objects_that_a_list_no_longer_has_do_not_count(void **state)
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

static void copies_are_kept_for_those_who_print_them(void **state)
{
	_cleanup_(rejections_freep) struct rejections *r = rejections_new(true);
	const struct plan_rejected *kept;
	size_t n;

	(void)state;
	capture_start();
	read_file(r, "a.yaml", 0, 20);
	(void)capture_end();
	kept = rejections_kept(r, &n);
	assert_int_equal(n, 20);
	assert_string_equal(kept[19].field, "spec.x[19]");
	assert_string_equal(kept[19].source, "a.yaml");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_still_wrong_is_told_once),
		cmocka_unit_test(what_is_wrong_in_another_way_is_told),
		cmocka_unit_test(what_was_mended_is_told_when_it_comes_back),
		cmocka_unit_test(a_file_full_of_it_is_a_few_lines),
		cmocka_unit_test(many_files_are_told_within_bounds),
		cmocka_unit_test(what_no_round_named_is_counted_within_a_second),
		cmocka_unit_test(objects_that_a_list_no_longer_has_do_not_count),
		cmocka_unit_test(copies_are_kept_for_those_who_print_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
