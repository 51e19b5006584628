/*
 * The remaining rights of the running program: two capabilities, no new ones, and in
 * the release build the system calls of its filter.
 */
#include "tests/test.h"

#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/instance.h"

/* A field of /proc/PID/status as a number of that base. */
static uint64_t status_of(const struct instance *in, const char *field, int base)
{
	_cleanup_(freep) char *path = xasprintf("/proc/%d/status", (int)in->pid);
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	char line[256];
	size_t len = strlen(field);

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, field, len) && line[len] == ':')
			return strtoull(line + len + 1, NULL, base);
	fail_msg("%s has no field %s", path, field);
	return 0;
}

static void only_two_capabilities_are_kept(void **state)
{
	static const char *const sets[] = {"CapEff", "CapPrm"};
	const uint64_t kept = 1u << CAP_NET_ADMIN | 1u << CAP_NET_BIND_SERVICE;

	for (size_t i = 0; i < N_ELEMENTS(sets); i++)
		assert_int_equal(status_of(*state, sets[i], 16), kept);
	assert_int_equal(status_of(*state, "CapBnd", 16) & ~kept, 0);
	assert_int_equal(status_of(*state, "CapInh", 16), 0);
	assert_int_equal(status_of(*state, "CapAmb", 16), 0);
	assert_int_equal(status_of(*state, "NoNewPrivs", 10), 1);
}

static void the_release_program_runs_with_its_filter(void **state)
{
	/* 2: SECCOMP_MODE_FILTER; the sanitizers' own calls are not in the filter */
	assert_int_equal(status_of(*state, "Seccomp", 10), instance_is_release() ? 2 : 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_two_capabilities_are_kept),
		cmocka_unit_test(the_release_program_runs_with_its_filter),
	};

	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
