/*
 * A connection with random results of its system calls, in random order; also a
 * fuzzer (fuzz_relay_conn).
 */
#include <stdlib.h>

#include "tests/test.h"
#include "tests/unit/relay_script.h"

#define N_RUNS 3000
#define MAX    400

static void bytes_and_ends_survive_any_order_of_results(void **state)
{
	unsigned seed = 1;
	uint8_t script[MAX];

	for (int run = 0; run < N_RUNS; run++) {
		size_t len = (size_t)rand_r(&seed) % MAX;

		for (size_t i = 0; i < len; i++)
			script[i] = (uint8_t)(rand_r(&seed) >> 4);
		relay_script_run(script, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_and_ends_survive_any_order_of_results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
