/*
 * Table B5: who is masqueraded and balanced over what, for every source, kind
 * of address and policy, with and without a way to tell pods, and with
 * --masquerade-all.
 */
#include <signal.h>

#include "core/cleanup.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/traffic.h"
#include "tests/test.h"

#define BOTH	"pod1:80 far1:80"
#define BOTH_M	"pod1:80 far1:80 +m"
#define LOCAL	"pod1:80"
#define LOCAL_M "pod1:80 +m"

#define N_COLUMNS 6

/* svc1: policy Cluster.  svc2: external Local.  svc3: internal Local. */
static const struct manifest_service services[] = {
	{.name = "svc1",
	 .type = "LoadBalancer",
	 .ip = "svc51",
	 .ports = "p 80>80@3001",
	 .vips = "vip51",
	 .endpoints = "pod1R far1R"},
	{.name = "svc2",
	 .type = "LoadBalancer",
	 .ip = "svc52",
	 .ports = "p 80>80@3002",
	 .vips = "vip52",
	 .policy = "eL",
	 .endpoints = "pod1R far1R"},
	{.name = "svc3",
	 .type = "LoadBalancer",
	 .ip = "svc53",
	 .ports = "p 80>80@3003",
	 .vips = "vip53",
	 .policy = "iL",
	 .endpoints = "pod1R far1R"},
};

/* Each column's addresses behave alike. */
static const char *const columns[N_COLUMNS][2] = {
	{"svc51:80", NULL},	   {"vip51:80", "node:3001"}, {"svc52:80", NULL},
	{"vip52:80", "node:3002"}, {"svc53:80", NULL},	      {"vip53:80", "node:3003"},
};

static struct instance *sluice;

static int start(void **state)
{
	/* a flow of the test before, met by its ports again, would go on as it was */
	world_must(*state, PLACE_NODE, "conntrack -F 2>/dev/null");
	sluice = instance_new(*state);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	instance_free(sluice);
	return 0;
}

struct matrix_row {
	const char *from;
	const char *expect[N_COLUMNS];
};

static const struct matrix_row with_detector[] = {
	{"pod3", {BOTH, BOTH_M, BOTH, BOTH, LOCAL, BOTH_M}},
	{"node3", {BOTH_M, BOTH_M, BOTH_M, BOTH_M, LOCAL_M, BOTH_M}},
	{"client", {BOTH_M, BOTH_M, BOTH_M, LOCAL, LOCAL_M, BOTH_M}},
};

static const struct matrix_row without_detector[] = {
	{"pod3", {BOTH, BOTH_M, BOTH, LOCAL, LOCAL, BOTH_M}},
	{"node3", {BOTH, BOTH_M, BOTH, BOTH_M, LOCAL, BOTH_M}},
	{"client", {BOTH, BOTH_M, BOTH, LOCAL, LOCAL, BOTH_M}},
};

static const struct matrix_row masquerade_all[] = {
	{"pod3", {BOTH_M, BOTH_M, BOTH_M, BOTH, LOCAL_M, BOTH_M}},
	{"node3", {BOTH_M, BOTH_M, BOTH_M, BOTH_M, LOCAL_M, BOTH_M}},
	{"client", {BOTH_M, BOTH_M, BOTH_M, LOCAL, LOCAL_M, BOTH_M}},
};

static const struct matrix_row masquerade_all_without_detector[] = {
	{"pod3", {BOTH_M, BOTH_M, BOTH_M, LOCAL, LOCAL_M, BOTH_M}},
	{"node3", {BOTH_M, BOTH_M, BOTH_M, BOTH_M, LOCAL_M, BOTH_M}},
	{"client", {BOTH_M, BOTH_M, BOTH_M, LOCAL, LOCAL_M, BOTH_M}},
};

static void check_matrix(struct world *w, const char *const *args,
			 const struct matrix_row *matrix, size_t n)
{
	struct traffic_row rows[32];
	size_t n_rows = 0;

	for (size_t i = 0; i < n * N_COLUMNS * 2; i++) {
		const struct matrix_row *m = &matrix[i / 2 / N_COLUMNS];
		size_t column = i / 2 % N_COLUMNS;

		if (columns[column][i % 2])
			rows[n_rows++] =
				(struct traffic_row){m->from, columns[column][i % 2],
						     m->expect[column], NULL};
	}
	instance_put(sluice, services, N_ELEMENTS(services));
	instance_start(sluice, args);
	traffic_check(w, rows, n_rows);
	(void)instance_end(sluice, SIGTERM);
}

static void pods_are_told_by_their_network(void **state)
{
	check_matrix(*state, NULL, with_detector, N_ELEMENTS(with_detector));
}

static void pods_are_told_by_the_prefix_of_their_interface(void **state)
{
	static const char *const args[] = {"--detect-local-mode", "InterfaceNamePrefix",
					   "--pod-interface-name-prefix", "pod", NULL};

	check_matrix(*state, args, with_detector, N_ELEMENTS(with_detector));
}

static void pods_are_told_by_their_bridge(void **state)
{
	static const char *const args[] = {"--detect-local-mode", "BridgeInterface",
					   "--pod-bridge-interface", "pod3", NULL};

	check_matrix(*state, args, with_detector, N_ELEMENTS(with_detector));
}

static void nobody_is_told_to_be_a_pod(void **state)
{
	static const char *const args[] = {NULL};

	check_matrix(*state, args, without_detector, N_ELEMENTS(without_detector));
}

static void everything_to_cluster_ips_is_masqueraded(void **state)
{
	static const char *const args[] = {"--cluster-cidr", WORLD_POD_CIDRS,
					   "--masquerade-all", NULL};

	check_matrix(*state, args, masquerade_all, N_ELEMENTS(masquerade_all));
}

static void everything_is_masqueraded_and_nobody_is_a_pod(void **state)
{
	static const char *const args[] = {"--masquerade-all", NULL};

	check_matrix(*state, args, masquerade_all_without_detector,
		     N_ELEMENTS(masquerade_all_without_detector));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pods_are_told_by_their_network, start,
						stop),
		cmocka_unit_test_setup_teardown(
			pods_are_told_by_the_prefix_of_their_interface, start, stop),
		cmocka_unit_test_setup_teardown(pods_are_told_by_their_bridge, start,
						stop),
		cmocka_unit_test_setup_teardown(nobody_is_told_to_be_a_pod, start, stop),
		cmocka_unit_test_setup_teardown(everything_to_cluster_ips_is_masqueraded,
						start, stop),
		cmocka_unit_test_setup_teardown(
			everything_is_masqueraded_and_nobody_is_a_pod, start, stop),
	};

	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
