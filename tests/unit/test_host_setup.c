/*
 * The daemon's settings of its own process.
 */
#include "tests/test.h"

#include <sys/resource.h>

#include "proxy/host/host_setup.h"

static void the_soft_limit_of_open_files_is_raised(void **state)
{
	struct rlimit limit, before;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = (struct rlimit){.rlim_cur = 32, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	host_setup_descriptors();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(limit.rlim_max, before.rlim_max);
	assert_true(limit.rlim_cur == limit.rlim_max || limit.rlim_cur >= 65536);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_soft_limit_of_open_files_is_raised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
