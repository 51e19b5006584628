#include "core/log_limiter.h"

#include "tests/test.h"

#include "core/cleanup.h"

#define SEC 1000000ull

static void a_burst_is_logged_and_then_one_line_each_interval(void **state)
{
	struct log_limiter l = {.burst = 3, .interval_us = SEC};
	static const struct {
		uint64_t at_us;
		bool passes;
	} lines[] = {
		{100 * SEC, true},  {100 * SEC, true}, {100 * SEC, true},
		{100 * SEC, false}, {101 * SEC, true}, {101 * SEC, false},
		{103 * SEC, true},  {103 * SEC, true}, {103 * SEC, false},
		{900 * SEC, true},  {900 * SEC, true}, {900 * SEC, true},
		{900 * SEC, false},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(lines); i++)
		assert_int_equal(log_limiter_take(&l, 1, lines[i].at_us),
				 lines[i].passes);
}

static void suppressed_lines_are_counted_once(void **state)
{
	struct log_limiter l = {.burst = 1, .interval_us = SEC};

	(void)state;
	assert_true(log_limiter_take(&l, 5, SEC));
	assert_int_equal(log_limiter_suppressed(&l), 0);
	assert_false(log_limiter_take(&l, 5, SEC));
	assert_false(log_limiter_take(&l, 1, SEC));
	assert_int_equal(log_limiter_suppressed(&l), 6);
	assert_int_equal(log_limiter_suppressed(&l), 0);
}

static bool says(struct log_digest *d, const char *a, const char *b)
{
	if (a)
		log_digest_add(d, a);
	if (b)
		log_digest_add(d, b);
	return log_digest_is_new(d);
}

static void a_message_that_differs_from_the_last_one_is_logged(void **state)
{
	struct log_digest d = {0};

	(void)state;
	assert_false(says(&d, NULL, NULL));
	assert_true(says(&d, "x", "y"));
	assert_false(says(&d, "x", "y"));
	assert_true(says(&d, "y", "x"));
	assert_true(says(&d, "y", NULL));
	assert_true(says(&d, NULL, NULL));
	assert_false(says(&d, NULL, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_logged_and_then_one_line_each_interval),
		cmocka_unit_test(suppressed_lines_are_counted_once),
		cmocka_unit_test(a_message_that_differs_from_the_last_one_is_logged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
