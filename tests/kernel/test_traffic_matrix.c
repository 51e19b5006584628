/*
 * Table B5 with each way to tell pods: who is masqueraded and balanced over what.
 */
#include <signal.h>

#include "tests/kernel/instance.h"
#include "tests/test.h"

static void check_with(struct instance *sluice, const char *const *args,
		       const struct scenario *s)
{
	(void)instance_end(sluice, SIGTERM);
	/* a flow of the test before, met by its ports again, would go on as it was */
	world_must(sluice->world, PLACE_NODE, "conntrack -F 2>/dev/null");
	instance_put(sluice, s->services, s->n_services);
	instance_start(sluice, args);
	traffic_check(sluice->world, s->rows, s->n_rows);
}

static void pods_are_told_by_their_network(void **state)
{
	check_with(*state, NULL, scenario_pods_told);
}

static void pods_are_told_by_the_prefix_of_their_interface(void **state)
{
	static const char *const args[] = {"--detect-local-mode", "InterfaceNamePrefix",
					   "--pod-interface-name-prefix", "pod", NULL};

	check_with(*state, args, scenario_pods_told);
}

static void pods_are_told_by_their_bridge(void **state)
{
	static const char *const args[] = {"--detect-local-mode", "BridgeInterface",
					   "--pod-bridge-interface", "pod3", NULL};

	check_with(*state, args, scenario_pods_told);
}

static void nobody_is_told_to_be_a_pod(void **state)
{
	static const char *const args[] = {NULL};

	check_with(*state, args, scenario_nobody_told);
}

static void everything_to_cluster_ips_is_masqueraded(void **state)
{
	static const char *const args[] = {"--cluster-cidr", WORLD_POD_CIDRS,
					   "--masquerade-all", NULL};

	check_with(*state, args, scenario_masquerade_all);
}

static void everything_is_masqueraded_and_nobody_is_a_pod(void **state)
{
	static const char *const args[] = {"--masquerade-all", NULL};

	check_with(*state, args, scenario_masquerade_all_nobody_told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pods_are_told_by_their_network),
		cmocka_unit_test(pods_are_told_by_the_prefix_of_their_interface),
		cmocka_unit_test(pods_are_told_by_their_bridge),
		cmocka_unit_test(nobody_is_told_to_be_a_pod),
		cmocka_unit_test(everything_to_cluster_ips_is_masqueraded),
		cmocka_unit_test(everything_is_masqueraded_and_nobody_is_a_pod),
	};

	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
