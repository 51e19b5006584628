/*
 * The first change runs at once, bursts are gathered, failures back off.
 */
#include "tests/test.h"

#include <errno.h>

#include "core/pacer.h"

#define MS  1000ull
#define SEC 1000000ull

static struct pacer fresh(uint64_t gap_us, uint64_t gather_us)
{
	struct pacer p;

	pacer_init(&p, gap_us, gather_us, 30 * SEC);
	return p;
}

static void the_first_change_runs_at_once(void **state)
{
	struct pacer p = fresh(SEC, 20 * MS);

	(void)state;
	assert_int_equal(pacer_delay(&p, 0, 0), 0);
	assert_int_equal(pacer_delay(&p, 5, 0), 0);
}

static void a_change_in_quiet_times_runs_at_once(void **state)
{
	struct pacer p = fresh(SEC, 20 * MS);

	(void)state;
	pacer_ran(&p, 10 * SEC, 0);
	assert_int_equal(pacer_delay(&p, 11 * SEC, 0), 0);
	assert_int_equal(pacer_delay(&p, 99 * SEC, 0), 0);
}

static void runs_keep_the_gap(void **state)
{
	struct pacer p = fresh(SEC, 20 * MS);

	(void)state;
	pacer_ran(&p, 10 * SEC, 0);
	assert_int_equal(pacer_delay(&p, 10 * SEC, 0), SEC);
	assert_int_equal(pacer_delay(&p, 10 * SEC + 300 * MS, 0), 700 * MS);
}

static void bursts_are_gathered_without_a_gap(void **state)
{
	struct pacer p = fresh(0, 20 * MS);

	(void)state;
	pacer_ran(&p, 10 * SEC, 0);
	assert_int_equal(pacer_delay(&p, 10 * SEC, 0), 20 * MS);
	/* Asking again does not make it later. */
	assert_int_equal(pacer_delay(&p, 10 * SEC + 15 * MS, 0), 5 * MS);
	assert_int_equal(pacer_delay(&p, 10 * SEC + 20 * MS, 0), 0);
}

static void success_is_not_retried(void **state)
{
	struct pacer p = fresh(0, 0);

	(void)state;
	assert_true(pacer_retry(&p, 0, 0) == UINT64_MAX);
	pacer_ran(&p, SEC, 0);
	assert_true(pacer_retry(&p, 2 * SEC, 0) == UINT64_MAX);
}

static void failures_back_off_up_to_the_limit(void **state)
{
	struct pacer p = fresh(0, 0);
	uint64_t before = 0, delay = 0;

	(void)state;
	for (int i = 0; i < 30; i++) {
		pacer_ran(&p, SEC, -EIO);
		delay = pacer_retry(&p, SEC, 0);
		assert_true(delay >= before);
		assert_in_range(delay, 1, 30 * SEC);
		assert_int_equal(pacer_delay(&p, SEC, 0), delay);
		before = delay;
	}
	assert_int_equal(delay, 15 * SEC); /* half of the limit is jitter */
	pacer_ran(&p, SEC, 0);
	assert_int_equal(pacer_delay(&p, SEC, 0), 0);
}

static void jitter_spreads_over_half_of_the_backoff(void **state)
{
	struct pacer p = fresh(0, 0);
	uint64_t low = UINT64_MAX, high = 0;

	(void)state;
	for (int i = 0; i < 20; i++)
		pacer_ran(&p, 0, -EIO);
	for (uint64_t random = 0; random < 100 * SEC; random += 77777) {
		uint64_t delay = pacer_retry(&p, 0, random);

		low = delay < low ? delay : low;
		high = delay > high ? delay : high;
	}
	assert_in_range(low, 15 * SEC, 16 * SEC);
	assert_in_range(high, 29 * SEC, 30 * SEC);
}

static void refused_services_do_not_hold_back_new_changes(void **state)
{
	struct pacer p = fresh(0, 20 * MS);

	(void)state;
	for (int i = 0; i < 20; i++)
		pacer_ran(&p, SEC, -EREMOTEIO);
	assert_int_equal(pacer_delay(&p, SEC, 0), 20 * MS);
	assert_int_equal(pacer_retry(&p, SEC, 0), 15 * SEC);
}

static void a_clock_that_stands_still_or_goes_back_is_no_trouble(void **state)
{
	struct pacer p = fresh(SEC, 0);

	(void)state;
	pacer_ran(&p, 10 * SEC, 0);
	assert_int_equal(pacer_delay(&p, 9 * SEC, 0), SEC);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_change_runs_at_once),
		cmocka_unit_test(a_change_in_quiet_times_runs_at_once),
		cmocka_unit_test(runs_keep_the_gap),
		cmocka_unit_test(bursts_are_gathered_without_a_gap),
		cmocka_unit_test(success_is_not_retried),
		cmocka_unit_test(failures_back_off_up_to_the_limit),
		cmocka_unit_test(jitter_spreads_over_half_of_the_backoff),
		cmocka_unit_test(refused_services_do_not_hold_back_new_changes),
		cmocka_unit_test(a_clock_that_stands_still_or_goes_back_is_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
