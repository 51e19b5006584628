/*
 * Failures are retried later and later, with jitter, up to the limit.
 */
#include "tests/test.h"

#include "core/backoff.h"

#define MS  1000ull
#define SEC 1000000ull

static const struct backoff fresh = {.first_us = 50 * MS, .max_us = 30 * SEC};

static void a_success_ends_the_delay(void **state)
{
	struct backoff b = fresh;

	(void)state;
	assert_int_equal(backoff_delay(&b, 0, 0), 0);
	backoff_ran(&b, SEC, true);
	assert_true(backoff_delay(&b, SEC, 0) > 0);
	backoff_ran(&b, 2 * SEC, false);
	assert_int_equal(backoff_delay(&b, 2 * SEC, 0), 0);
}

static void failures_double_the_delay_up_to_the_limit(void **state)
{
	/* half of the wait, which is what the smallest random number gives */
	static const uint64_t delays_ms[] = {25,   50,	 100,  200,   400,   800,
					     1600, 3200, 6400, 12800, 15000, 15000};
	struct backoff b = fresh;

	(void)state;
	for (size_t i = 0; i < sizeof(delays_ms) / sizeof(delays_ms[0]); i++) {
		backoff_ran(&b, SEC, true);
		assert_int_equal(backoff_delay(&b, SEC, 0), delays_ms[i] * MS);
	}
	assert_int_equal(backoff_delay(&b, 6 * SEC, 0), 10 * SEC);
	assert_int_equal(backoff_delay(&b, 16 * SEC, 0), 0);
}

static void jitter_spreads_over_half_of_the_delay(void **state)
{
	struct backoff b = fresh;
	uint64_t low = UINT64_MAX, high = 0;

	(void)state;
	for (int i = 0; i < 20; i++)
		backoff_ran(&b, 0, true);
	for (uint64_t random = 0; random < 100 * SEC; random += 77777) {
		uint64_t delay = backoff_delay(&b, 0, random);

		low = delay < low ? delay : low;
		high = delay > high ? delay : high;
	}
	assert_in_range(low, 15 * SEC, 16 * SEC);
	assert_in_range(high, 29 * SEC, 30 * SEC);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_success_ends_the_delay),
		cmocka_unit_test(failures_double_the_delay_up_to_the_limit),
		cmocka_unit_test(jitter_spreads_over_half_of_the_delay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
