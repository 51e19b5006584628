/*
 * The first repair is immediate; repeated ones are less and less frequent.
 */
#include "tests/test.h"

#include "proxy/engine/repair_pacer.h"

#define START UINT64_C(1000000000)

static void the_first_repair_is_immediate(void **state)
{
	struct repair_pacer p = {0};

	(void)state;
	assert_int_equal(repair_pacer_delay(&p, START), 0);
	repair_pacer_ran(&p, START);
	assert_int_equal(repair_pacer_delay(&p, START), 0);
}

static void repeated_repairs_wait_up_to_a_second(void **state)
{
	static const uint64_t waits_us[] = {0,	    10000,  20000,  40000,   80000,
					    160000, 320000, 640000, 1000000, 1000000};
	struct repair_pacer p = {0};
	uint64_t now = START;

	(void)state;
	for (size_t i = 0; i < sizeof(waits_us) / sizeof(waits_us[0]); i++) {
		repair_pacer_ran(&p, now);
		assert_int_equal(repair_pacer_delay(&p, now), waits_us[i]);
		assert_int_equal(repair_pacer_delay(&p, now + waits_us[i] / 2),
				 waits_us[i] - waits_us[i] / 2);
		now += waits_us[i];
		assert_int_equal(repair_pacer_delay(&p, now), 0);
	}
	/* quiet for a while: forgotten */
	now += 5000001;
	repair_pacer_ran(&p, now);
	assert_int_equal(repair_pacer_delay(&p, now), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_repair_is_immediate),
		cmocka_unit_test(repeated_repairs_wait_up_to_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
