/*
 * The first change runs immediately, bursts are gathered.
 */
#include "tests/test.h"

#include "core/pacer.h"

#define MS  1000ull
#define SEC 1000000ull

static void the_first_change_runs_immediately(void **state)
{
	struct pacer p = {.gap_us = SEC};

	(void)state;
	assert_int_equal(pacer_delay(&p, 0), 0);
	assert_int_equal(pacer_delay(&p, 5), 0);
}

static void a_change_after_a_pause_runs_immediately(void **state)
{
	struct pacer p = {.gap_us = SEC};

	(void)state;
	pacer_ran(&p, 10 * SEC);
	assert_int_equal(pacer_delay(&p, 11 * SEC), 0);
	assert_int_equal(pacer_delay(&p, 99 * SEC), 0);
}

static void runs_keep_the_minimum_gap(void **state)
{
	struct pacer p = {.gap_us = SEC};

	(void)state;
	pacer_ran(&p, 10 * SEC);
	assert_int_equal(pacer_delay(&p, 10 * SEC), SEC);
	/* another request does not make it later */
	assert_int_equal(pacer_delay(&p, 10 * SEC + 300 * MS), 700 * MS);
}

static void a_clock_that_goes_back_does_not_shorten_the_gap(void **state)
{
	struct pacer p = {.gap_us = SEC};

	(void)state;
	pacer_ran(&p, 10 * SEC);
	assert_int_equal(pacer_delay(&p, 9 * SEC), SEC);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_change_runs_immediately),
		cmocka_unit_test(a_change_after_a_pause_runs_immediately),
		cmocka_unit_test(runs_keep_the_minimum_gap),
		cmocka_unit_test(a_clock_that_goes_back_does_not_shorten_the_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
