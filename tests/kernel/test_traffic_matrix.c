/*
 * Table B5 with each pod detector: masquerading and endpoints for each client.
 */
#include <signal.h>

#include "tests/kernel/instance.h"
#include "tests/test.h"

static void check_with(struct instance *sluice, const char *const *args,
		       const struct scenario *s)
{
	(void)instance_end(sluice, SIGTERM);
	/* a flow of the test before with equal ports would keep its translation */
	world_must(sluice->world, PLACE_NODE, "conntrack -F 2>/dev/null");
	instance_put(sluice, s->services, s->n_services);
	instance_start(sluice, args);
	traffic_check(sluice->world, s->rows, s->n_rows);
}

static void traffic_matches_the_plan_with_pods_known_by_network(void **state)
{
	check_with(*state, NULL, scenario_pods_known);
}

static void traffic_matches_the_plan_with_pods_known_by_interface_prefix(void **state)
{
	static const char *const args[] = {"--detect-local-mode", "InterfaceNamePrefix",
					   "--pod-interface-name-prefix", "pod", NULL};

	check_with(*state, args, scenario_pods_known_by_interface);
}

static void traffic_matches_the_plan_with_pods_known_by_bridge(void **state)
{
	static const char *const args[] = {"--detect-local-mode", "BridgeInterface",
					   "--pod-bridge-interface", "pod3", NULL};

	check_with(*state, args, scenario_pods_known_by_interface);
}

static void traffic_matches_the_plan_without_pod_detection(void **state)
{
	static const char *const args[] = {NULL};

	check_with(*state, args, scenario_pods_unknown);
}

static void traffic_matches_the_plan_with_masquerade_all(void **state)
{
	static const char *const args[] = {"--cluster-cidr", WORLD_POD_CIDRS,
					   "--masquerade-all", NULL};

	check_with(*state, args, scenario_masquerade_all);
}

static void
traffic_matches_the_plan_with_masquerade_all_and_without_pod_detection(void **state)
{
	static const char *const args[] = {"--masquerade-all", NULL};

	check_with(*state, args, scenario_masquerade_all_pods_unknown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traffic_matches_the_plan_with_pods_known_by_network),
		cmocka_unit_test(
			traffic_matches_the_plan_with_pods_known_by_interface_prefix),
		cmocka_unit_test(traffic_matches_the_plan_with_pods_known_by_bridge),
		cmocka_unit_test(traffic_matches_the_plan_without_pod_detection),
		cmocka_unit_test(traffic_matches_the_plan_with_masquerade_all),
		cmocka_unit_test(
			traffic_matches_the_plan_with_masquerade_all_and_without_pod_detection),
	};

	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
