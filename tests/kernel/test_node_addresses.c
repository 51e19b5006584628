/*
 * Node ports at all addresses of the node: at each, loopback where the data plane can;
 * addresses that come and go while the daemon runs; and a Service that has one of these
 * addresses itself.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/kernel/instance.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

static const struct manifest_service node_port = {
	.name = "np",
	.type = "NodePort",
	.ip = "svc30",
	.ports = "p 80>80@3001",
	.endpoints = "pod1R",
};
static const struct manifest_service external = {
	.name = "external",
	.ip = "svc31",
	.ports = "p 3001>80",
	.external = "ext12",
	.endpoints = "pod2R",
};

static int setup(void **state)
{
	static const char *const args[] = {"--cluster-cidr", WORLD_POD_CIDRS,
					   "--nodeport-addresses", "all,localhost", NULL};

	(void)instance_setup(state);
	(void)instance_end(*state, SIGTERM);
	instance_start(*state, args);
	return 0;
}

/*
 * Gives ext12 to the node, or takes it away.  It must not become the source address of
 * what the node masquerades.
 */
static void change_address(const struct instance *sluice, const char *verb)
{
	char v4[ADDR_TEXT_LEN], v6[ADDR_TEXT_LEN];
	struct addr a4 = world_addr("ext12", FAMILY_IPV4);
	struct addr a6 = world_addr("ext12", FAMILY_IPV6);
	bool is_new = strcmp(verb, "add") == 0;

	world_must(sluice->world, PLACE_NODE,
		   "ip addr %s %s/32 dev lo %s && ip addr %s %s/128 dev lo %s", verb,
		   addr_format(&a4, v4), is_new ? "scope host" : "", verb,
		   addr_format(&a6, v6), is_new ? "preferred_lft 0" : "");
}

static bool is_answered_by(const struct instance *sluice, const struct target *t,
			   const char *name, int timeout_ms)
{
	struct addr expected = world_addr(name, t->family);
	struct answer a = probe(sluice->world, t, timeout_ms);

	return a.outcome == PROBE_ANSWERED && addr_equal(&a.backend, &expected);
}

/* Until pod1 answers at ext12's node port, in both families, or does no longer. */
static void wait_for_address(struct instance *sluice, bool is_served)
{
	uint64_t start_us = world_now_us();

	for (enum family family = 0; family < FAMILY_N; family++) {
		struct target t =
			target_named("client", "ext12:3001", IPPROTO_TCP, family);

		while (is_answered_by(sluice, &t, "pod1", 300) != is_served) {
			if (world_now_us() - start_us > WORLD_PATIENCE_US)
				instance_fail(sluice, "the node port at ext12 %s",
					      is_served ? "does not come"
							: "does not go");
			world_sleep_ms(20);
		}
	}
}

static bool has_flow(const struct instance *sluice)
{
	return world_run(sluice->world, PLACE_NODE,
			 "conntrack -L -p udp -d 192.168.99.12 2>/dev/null | "
			 "grep -q dport=3001") == 0;
}

static void an_address_that_comes_and_goes_is_followed(void **state)
{
	struct instance *sluice = *state;
	const struct manifest_service services[] = {node_port};
	static const struct traffic_row before[] = {
		{"client", "node:3001", "pod1:80 +m", NULL},
		{"client", "node3:3001", "pod1:80 +m", NULL},
		{"pod2", "node2:3001", "pod1:80 +m", NULL},
		{"node3", "node:3001", "pod1:80 +m", NULL},
		{"client", "ext50:3001", "ext50:3001", NULL},
	};
	static const struct traffic_row with_address[] = {
		{"client", "node:3001", "pod1:80 +m", NULL},
		{"client", "ext12:3001", "pod1:80 +m", NULL},
		{"pod2", "ext12:3001", "pod1:80 +m", NULL},
		{"node", "ext12:3001", "pod1:80 +m", NULL},
	};
	struct target flow =
		target_named("client", "ext12:3001", IPPROTO_UDP, FAMILY_IPV4);
	uint64_t start_us;

	instance_check(sluice, SCENARIO(services, before));
	change_address(sluice, "add");
	wait_for_address(sluice, true);
	traffic_check(sluice->world, with_address, N_ELEMENTS(with_address));

	/* a flow to it ends with it */
	assert_true(is_answered_by(sluice, &flow, "pod1", PROBE_PATIENCE_MS));
	assert_true(has_flow(sluice));
	change_address(sluice, "del");
	start_us = world_now_us();
	while (has_flow(sluice)) {
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			instance_fail(sluice, "a flow to an address that went stays");
		world_sleep_ms(20);
	}
	wait_for_address(sluice, false);
	traffic_check(sluice->world, before, N_ELEMENTS(before));
}

static void each_address_has_the_service_that_claimed_it_first(void **state)
{
	struct instance *sluice = *state;
	const struct manifest_service both[] = {external, node_port};
	static const struct traffic_row shared[] = {
		{"client", "ext12:3001", "pod2:80 +m", NULL},
		{"pod3", "ext12:3001", "pod2:80 +m", NULL},
		{"client", "node:3001", "pod1:80 +m", NULL},
		{"pod3", "node3:3001", "pod1:80 +m", NULL},
	};
	static const struct traffic_row alone[] = {
		{"client", "ext12:3001", "pod1:80 +m", NULL},
		{"pod3", "ext12:3001", "pod1:80 +m", NULL},
		{"client", "node:3001", "pod1:80 +m", NULL},
	};

	instance_put(sluice, &external, 1);
	change_address(sluice, "add");
	instance_check(sluice, SCENARIO(both, shared));
	instance_put(sluice, &node_port, 1);
	traffic_check(sluice->world, alone, N_ELEMENTS(alone));
	/* now the external address is the later claim, also after its address moved */
	instance_check(sluice, SCENARIO(both, alone));
	instance_put(sluice, &external, 1);
	change_address(sluice, "del");
	wait_for_address(sluice, false);
	instance_put(sluice, both, 2);
	change_address(sluice, "add");
	traffic_check(sluice->world, shared, N_ELEMENTS(shared));
	change_address(sluice, "del");
	instance_put(sluice, NULL, 0);
}

/* nftables leaves them to the node's own program; a pod's loopback is its own. */
static void loopback_has_the_node_ports_where_sockets_are_translated(void **state)
{
	static const char *const loopback[] = {"127.0.0.1", "::1"};
	struct instance *sluice = *state;

	instance_put(sluice, &node_port, 1);
	for (enum family family = 0; family < FAMILY_N; family++) {
		struct target node =
			target_named("node", "node:3001", IPPROTO_TCP, family);
		struct target pod =
			target_named("pod2", "node:3001", IPPROTO_TCP, family);

		assert_int_equal(addr_parse(loopback[family], &node.addr), 0);
		pod.addr = node.addr;
		assert_int_equal(is_answered_by(sluice, &node, "pod1",
						instance_is_ebpf() ? PROBE_PATIENCE_MS
								   : 300),
				 instance_is_ebpf());
		assert_false(is_answered_by(sluice, &pod, "pod1", 300));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_that_comes_and_goes_is_followed),
		cmocka_unit_test(each_address_has_the_service_that_claimed_it_first),
		cmocka_unit_test(
			loopback_has_the_node_ports_where_sockets_are_translated),
	};

	return cmocka_run_group_tests(tests, setup, instance_teardown);
}
