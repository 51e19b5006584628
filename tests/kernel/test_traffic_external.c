/*
 * Traffic to load balancer addresses, external IPs and node ports (tables
 * B2, B3, B4): source ranges, chosen node addresses, externalTrafficPolicy.
 */
#include <signal.h>

#include "core/cleanup.h"
#include "tests/kernel/instance.h"
#include "tests/test.h"

static void source_ranges_guard_load_balancer_addresses_only(void **state)
{
	struct instance *sluice = *state;
	/* a cloud may put the address on the node itself: then that is what a client there comes from */
	/* source ranges are left to nftables: they need the packet's source address */
	static const struct traffic_row own_vip = {"vip4", "vip4:80", "pod1:80 +M", NULL};

	instance_check(sluice, scenario_source_ranges);

	world_must(sluice->world, PLACE_NODE,
		   "ip addr add 1.2.3.4/32 dev spare0; "
		   "ip addr add 2001:db8:1::4/128 dev spare0 nodad");
	traffic_check(sluice->world, &own_vip, 1);
	world_must(sluice->world, PLACE_NODE,
		   "ip addr del 1.2.3.4/32 dev spare0; "
		   "ip addr del 2001:db8:1::4/128 dev spare0");
}

static void source_ranges_hold_without_endpoints_and_when_they_change(void **state)
{
	struct manifest_service service[] = {{
		.name = "limited",
		.type = "LoadBalancer",
		.ip = "svc20",
		.ports = "p 80>80",
		.vips = "vip4",
		.ranges = "203.0.113.0/25, '2001:db8:113::/64'",
	}};
	static const struct traffic_row empty[] = {
		{"client", "vip4:80", "refused ~reset", NULL},
		{"blocked", "vip4:80", "silent", NULL},
	};
	static const struct traffic_row opened[] = {
		{"client", "vip4:80", "pod1:80 +m", NULL},
		{"blocked", "vip4:80", "pod1:80 +m", NULL},
	};
	static const struct traffic_row moved[] = {
		{"client", "vip4:80", "silent", NULL},
		{"blocked", "vip4:80", "pod1:80 +m", NULL},
	};

	instance_check(*state, SCENARIO(service, empty));
	service->endpoints = "pod1R";
	service->ranges = "203.0.113.0/25, 0.0.0.0/0, '2001:db8:113::/64', '::/0'";
	instance_check(*state, SCENARIO(service, opened));
	service->ranges = "203.0.113.128/25, '2001:db8:113:8::/64'";
	instance_check(*state, SCENARIO(service, moved));
}

static void ip_mode_proxy_is_not_programmed(void **state)
{
	static const struct manifest_service services[] = {
		{.name = "proxy",
		 .type = "LoadBalancer",
		 .ip = "svc21",
		 .ports = "p 80>80",
		 .vips = "vip9",
		 .ip_mode = "Proxy",
		 .endpoints = "pod1R"},
		{.name = "vip",
		 .type = "LoadBalancer",
		 .ip = "svc22",
		 .ports = "p 80>80",
		 .vips = "vip10",
		 .ip_mode = "VIP",
		 .endpoints = "pod1R"},
	};
	static const struct traffic_row rows[] = {
		{"client", "vip9:80", "vip9:80", NULL},
		{"client", "vip10:80", "pod1:80 +m", NULL},
	};

	instance_check(*state, SCENARIO(services, rows));
}

static const struct manifest_service node_port_service[] = {{
	.name = "np",
	.type = "NodePort",
	.ip = "svc30",
	.ports = "p 80>80/TCP@3001",
	.endpoints = "pod1R",
}};

static void node_ports_are_on_the_primary_addresses(void **state)
{
	static const struct traffic_row rows[] = {
		{"pod2", "svc30:80", "pod1:80", "TCP"},
		{"client", "node:3001", "pod1:80 +m", "TCP"},
		{"node3", "node:3001", "pod1:80 +m", "TCP"},
		{"pod2", "node:3001", "pod1:80 +m", "TCP"},
		{"client", "node2:3001", "node2:3001 ~refused", NULL},
		{"client", "node:3001", "node:3001 ~refused", "UDP"},
		{"client", "ext50:3001", "ext50:3001", NULL},
	};

	instance_check(*state, SCENARIO(node_port_service, rows));
}

static void node_ports_are_on_the_chosen_networks(void **state)
{
	struct instance *sluice = *state;
	static const char *const args[] = {
		"--cluster-cidr",
		WORLD_POD_CIDRS,
		"--nodeport-addresses",
		"192.168.0.0/24,192.168.1.0/24,fd00:192:168::/64,fd00:192:168:1::/64",
		NULL,
	};
	static const struct traffic_row rows[] = {
		{"client", "node:3001", "pod1:80 +m", "TCP"},
		{"client", "node2:3001", "pod1:80 +m", "TCP"},
		{"node3", "node2:3001", "pod1:80 +m", "TCP"},
		{"client", "node3:3001", "node3:3001 ~refused", "TCP"},
		{"client", "node2:3001", "node2:3001 ~refused", "UDP"},
	};

	(void)instance_end(sluice, SIGTERM);
	instance_start(sluice, args);
	instance_check(sluice, SCENARIO(node_port_service, rows));
	(void)instance_end(sluice, SIGTERM);
	instance_start(sluice, NULL);
}

static void external_policy_decides_the_endpoint_and_the_source_address(void **state)
{
	struct manifest_service service[] = {{
		.name = "lb",
		.type = "LoadBalancer",
		.ip = "svc40",
		.ports = "p 80>80@3001",
		.external = "ext11",
		.vips = "vip4",
		.policy = "eL",
		.endpoints = "far1R pod2R",
	}};
	static const struct traffic_row local[] = {
		{"pod3", "svc40:80", "far1:80 pod2:80", NULL},
		{"pod3", "ext11:80", "far1:80 pod2:80", NULL},
		{"pod3", "vip4:80", "far1:80 pod2:80", NULL},
		{"pod3", "node:3001", "far1:80 pod2:80", NULL},
		{"client", "ext11:80", "pod2:80", NULL},
		{"client", "vip4:80", "pod2:80", NULL},
		{"client", "node:3001", "pod2:80", NULL},
	};
	static const struct traffic_row cluster[] = {
		{"pod3", "svc40:80", "far1:80 pod2:80", NULL},
		{"pod3", "ext11:80", "far1:80 pod2:80 +m", NULL},
		{"pod3", "vip4:80", "far1:80 pod2:80 +m", NULL},
		{"pod3", "node:3001", "far1:80 pod2:80 +m", NULL},
		{"client", "ext11:80", "far1:80 pod2:80 +m", NULL},
		{"client", "vip4:80", "far1:80 pod2:80 +m", NULL},
		{"client", "node:3001", "far1:80 pod2:80 +m", NULL},
	};

	instance_check(*state, SCENARIO(service, local));
	service->policy = NULL;
	instance_check(*state, SCENARIO(service, cluster));
}

static void external_policy_local_without_local_endpoints_drops_packets(void **state)
{
	static const struct manifest_service service[] = {{
		.name = "lb",
		.type = "LoadBalancer",
		.ip = "svc40",
		.ports = "p 80>80@3001",
		.external = "ext11",
		.vips = "vip4",
		.policy = "eL",
		.endpoints = "far1R",
	}};
	static const struct traffic_row rows[] = {
		{"client", "ext11:80", "silent", NULL},
		{"client", "vip4:80", "silent", NULL},
		{"client", "node:3001", "silent", NULL},
		/* those inside are not held to it */
		{"pod3", "ext11:80", "far1:80", NULL},
		{"pod3", "vip4:80", "far1:80", NULL},
		{"pod3", "node:3001", "far1:80", NULL},
		{"node3", "vip4:80", "far1:80 +m", NULL},
		{"node3", "node:3001", "far1:80 +m", NULL},
		{"client", "svc40:80", "far1:80 +m", NULL},
	};

	instance_check(*state, SCENARIO(service, rows));
}

static void a_pod_reaches_itself_by_all_its_service_addresses(void **state)
{
	static const struct manifest_service services[] = {
		{.name = "self",
		 .type = "LoadBalancer",
		 .ip = "svc40",
		 .ports = "p 80>8080@3001",
		 .external = "ext11",
		 .vips = "vip4",
		 .endpoints = "pod1R"},
		{.name = "self-local",
		 .type = "LoadBalancer",
		 .ip = "svc46",
		 .ports = "p 80>8080@3002",
		 .external = "ext12",
		 .vips = "vip6",
		 .policy = "iL eL",
		 .endpoints = "pod1R"},
	};
	static const struct traffic_row rows[] = {
		{"pod1", "svc40:80", "pod1:8080 +m", NULL},
		{"pod1", "ext11:80", "pod1:8080 +m", NULL},
		{"pod1", "vip4:80", "pod1:8080 +m", NULL},
		{"pod1", "node:3001", "pod1:8080 +m", NULL},
		{"pod1", "svc46:80", "pod1:8080 +m", NULL},
		{"pod1", "ext12:80", "pod1:8080 +m", NULL},
		{"pod1", "vip6:80", "pod1:8080 +m", NULL},
		{"pod1", "node:3002", "pod1:8080 +m", NULL},
	};

	instance_check(*state, SCENARIO(services, rows));
}

/* Its packets are not translated by us, so they keep their source. */
static void the_mark_of_another_program_masquerades_nothing(void **state)
{
	static const struct manifest_service services[] = {
		{.name = "web", .ip = "svc41", .ports = "p 80>80", .endpoints = "far1R"},
	};
	static const struct traffic_row rows[] = {
		{"pod1", "far2:80", "far2:80", NULL},
		{"client", "pod1:80", "pod1:80", NULL},
		{"client", "svc41:80", "far1:80 +m", NULL},
	};
	struct instance *sluice = *state;

	world_must(sluice->world, PLACE_NODE,
		   "nft 'table inet others { chain c { type filter hook prerouting "
		   "priority -150; meta mark set meta mark | 0x4000; }; }'");
	instance_check(sluice, SCENARIO(services, rows));
	world_must(sluice->world, PLACE_NODE, "nft delete table inet others");
}

static const struct manifest_service with_all_addresses[] = {
	{.name = "web",
	 .type = "LoadBalancer",
	 .ip = "svc41",
	 .ports = "p 80>80@3001",
	 .external = "ext11",
	 .vips = "vip4",
	 .endpoints = "pod1R"},
};

static void with_cluster_ip_on_host(const struct world *w, const char *verb)
{
	for (enum family family = 0; family < FAMILY_N; family++) {
		struct addr a = world_addr("svc41", family);
		char text[ADDR_TEXT_LEN];

		world_must(w, PLACE_NODE, "ip addr %s %s/%d dev spare0 %s", verb,
			   addr_format(&a, text), family == FAMILY_IPV4 ? 32 : 128,
			   *verb == 'a' && family == FAMILY_IPV6 ? "nodad" : "");
	}
}

/*
 * The node's default route leads back to the client, which would get these packets until
 * their TTL ends. A program of the node listens on port 3001 of all addresses.
 */
static void other_ports_of_service_addresses_are_refused(void **state)
{
	static const struct traffic_row rows[] = {
		{"client", "vip4:81", "refused", NULL},
		{"client", "ext11:81", "refused", NULL},
		{"client", "svc41:81", "refused", NULL},
	};
	static const struct traffic_row on_host[] = {
		{"client", "svc41:3001", "refused", NULL},
		{"pod2", "svc41:3001", "refused", NULL},
		{"pod2", "svc41:80", "pod1:80", NULL},
	};
	struct instance *sluice = *state;

	if (instance_is_userspace())
		skip(); /* its addresses are those of the node: docs/SEMANTICS.md */
	instance_check(sluice, SCENARIO(with_all_addresses, rows));
	with_cluster_ip_on_host(sluice->world, "add");
	traffic_check(sluice->world, on_host, N_ELEMENTS(on_host));
	with_cluster_ip_on_host(sluice->world, "del");
}

/* As CNI's portmap: whichever of the two was registered first. */
static void a_service_comes_before_a_host_port(void **state)
{
	static const struct traffic_row rows[] = {
		{"client", "node:3001", "pod1:80 +m", "TCP IPv4"},
	};
	static const char host_port[] =
		"nft 'table ip others { chain c { type nat hook prerouting priority "
		"-100; fib daddr type local tcp dport 3001 dnat to 10.180.0.2:80; }; }'";
	struct instance *sluice = *state;

	if (instance_is_userspace())
		skip(); /* its listeners come after all of netfilter */
	(void)instance_end(sluice, SIGTERM);
	world_must(sluice->world, PLACE_NODE, "nft flush ruleset; %s", host_port);
	instance_start(sluice, NULL);
	instance_check(sluice, SCENARIO(with_all_addresses, rows));
	world_must(sluice->world, PLACE_NODE, "nft delete table ip others; %s",
		   host_port);
	traffic_check(sluice->world, rows, N_ELEMENTS(rows));
	world_must(sluice->world, PLACE_NODE, "nft delete table ip others");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_mark_of_another_program_masquerades_nothing),
		cmocka_unit_test(source_ranges_guard_load_balancer_addresses_only),
		cmocka_unit_test(
			source_ranges_hold_without_endpoints_and_when_they_change),
		cmocka_unit_test(ip_mode_proxy_is_not_programmed),
		cmocka_unit_test(node_ports_are_on_the_primary_addresses),
		cmocka_unit_test(node_ports_are_on_the_chosen_networks),
		cmocka_unit_test(
			external_policy_decides_the_endpoint_and_the_source_address),
		cmocka_unit_test(
			external_policy_local_without_local_endpoints_drops_packets),
		cmocka_unit_test(a_pod_reaches_itself_by_all_its_service_addresses),
		cmocka_unit_test(other_ports_of_service_addresses_are_refused),
		cmocka_unit_test(a_service_comes_before_a_host_port),
	};

	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
