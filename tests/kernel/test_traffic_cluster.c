/*
 * Traffic to cluster IPs: reachability, refusal, internalTrafficPolicy,
 * terminating endpoints (tables B1, B6, B7, B8), and addresses written sloppily.
 */
#include "core/cleanup.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/probe.h"
#include "tests/kernel/ruleset.h"
#include "tests/test.h"

static void cluster_ips_reach_their_endpoints(void **state)
{
	static const struct manifest_service services[] = {
		{.name = "svc1", .ip = "svc41", .ports = "p 80>80", .endpoints = "pod1R"},
		{.name = "svc2",
		 .ip = "svc42",
		 .ports = "a 80>80/TCP; b 443>8443/TCP; c 53>53/UDP; d 53>5353/TCP",
		 .endpoints = "pod1R far1R"},
	};
	static const struct traffic_row rows[] = {
		{"pod2", "svc41:80", "pod1:80", NULL},
		{"pod1", "svc41:80", "pod1:80 +m", NULL},
		{"far1", "svc41:80", "pod1:80", NULL},
		{"node3", "svc41:80", "pod1:80 +m", NULL},
		{"client", "svc41:80", "pod1:80 +m", NULL},
		{"pod2", "svc42:80", "pod1:80 far1:80", "TCP"},
		{"pod1", "svc42:80", "pod1:80+m far1:80", "TCP"},
		{"pod2", "svc42:443", "pod1:8443 far1:8443", "TCP"},
		{"pod2", "svc42:53", "pod1:53 far1:53", "UDP"},
		{"pod2", "svc42:53", "pod1:5353 far1:5353", "TCP"},
		{"pod2", "svc42:80", "refused", "UDP"},
		{"pod2", "svc42:443", "refused", "UDP"},
		{"pod2", "svc41:443", "refused", NULL},
		{"node3", "svc41:443", "refused", NULL},
		{"client", "svc41:443", "refused", NULL},
		{"pod2", "svc50:80", "silent ~refused", NULL},
		{"node3", "svc50:80", "silent ~refused", NULL},
		{"client", "svc50:80", "silent ~refused", NULL},
	};

	instance_check(*state, SCENARIO(services, rows));
}

/* Where the packet would go, by a reading of the rules; SCTP sockets are rare. */
static void walk_sctp(struct world *w, enum family family)
{
	const struct addr ends[] = {world_addr("pod1", family),
				    world_addr("far1", family)};
	struct packet p = {
		.saddr = world_addr("pod2", family),
		.daddr = world_addr("svc42", family),
		.proto = IPPROTO_SCTP,
		.dport = 53,
		.iif = "pod2",
	};
	struct ruleset *rs;

	world_enter(w, PLACE_NODE);
	rs = ruleset_read(family, "sluice");
	world_leave(w);
	for (p.choice = 0; p.choice < 2; p.choice++) {
		struct walk walk = ruleset_walk(rs, &p);

		assert_int_equal(walk.fate, FATE_SENT);
		assert_int_equal(walk.n_choices, 2);
		assert_int_equal(walk.dport, 8080);
		assert_false(walk.is_masqueraded);
		assert_true(addr_equal(&walk.daddr, &ends[0]) ||
			    addr_equal(&walk.daddr, &ends[1]));
	}
	p.dport = 54;
	assert_int_equal(ruleset_walk(rs, &p).fate, FATE_REFUSED);
	ruleset_free(rs);
}

static void sctp_is_balanced_like_tcp_and_udp(void **state)
{
	struct instance *sluice = *state;
	static const struct manifest_service service = {
		.name = "svc2",
		.ip = "svc42",
		.ports = "s 53>8080/SCTP",
		.endpoints = "pod1R far1R",
	};
	static const struct traffic_row rows[] = {
		{"pod2", "svc42:53", "pod1:8080 far1:8080", "SCTP"},
		{"pod1", "svc42:53", "pod1:8080+m far1:8080", "SCTP"},
		{"client", "svc42:53", "pod1:8080 far1:8080 +m", "SCTP"},
		{"pod2", "svc42:53", "refused", NULL},
	};
	bool has_sockets = probe_can_do_sctp();

	if (instance_is_userspace())
		skip(); /* which does not serve SCTP */

	instance_put(sluice, &service, 1);
	for (int family = 0; family < FAMILY_N; family++)
		walk_sctp(sluice->world, (enum family)family);
	if (!has_sockets)
		print_message("no SCTP sockets here: rules only\n");
	traffic_check(sluice->world, rows + (has_sockets ? 0 : 3), has_sockets ? 4 : 1);
}

static void without_endpoints_connections_are_refused_immediately(void **state)
{
	static const struct manifest_service services[] = {
		{.name = "empty",
		 .type = "LoadBalancer",
		 .ip = "svc43",
		 .ports = "p 80>80@3001",
		 .external = "ext43",
		 .vips = "vip4"},
		{.name = "no-slices",
		 .ip = "svc44",
		 .ports = "p 80>80",
		 .no_slices = true},
		{.name = "unready",
		 .ip = "svc45",
		 .ports = "p 80>80",
		 .endpoints = "pod1N far1X"},
	};
	static const char *const sources[] = {"pod2", "node3", "client"};
	static const char *const targets[] = {"svc43:80",  "ext43:80", "vip4:80",
					      "node:3001", "svc44:80", "svc45:80"};
	struct traffic_row rows[N_ELEMENTS(sources) * N_ELEMENTS(targets)];

	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		rows[i] = (struct traffic_row){sources[i % N_ELEMENTS(sources)],
					       targets[i / N_ELEMENTS(sources)],
					       "refused", NULL};
	instance_check(*state, SCENARIO(services, rows));
}

static void internal_policy_local_stays_on_the_node(void **state)
{
	static const struct manifest_service services[] = {
		{.name = "all",
		 .ip = "svc60",
		 .ports = "p 80>80",
		 .endpoints = "pod1R far1R"},
		{.name = "one",
		 .ip = "svc61",
		 .ports = "p 80>80",
		 .endpoints = "pod1R far1R",
		 .policy = "iL"},
		{.name = "two",
		 .ip = "svc62",
		 .ports = "p 80>80",
		 .endpoints = "pod1R pod2R far1R",
		 .policy = "iL"},
		{.name = "elsewhere",
		 .ip = "svc63",
		 .ports = "p 80>80",
		 .endpoints = "far1R",
		 .policy = "iL"},
		{.name = "nowhere", .ip = "svc64", .ports = "p 80>80", .policy = "iL"},
	};
	static const struct traffic_row rows[] = {
		{"pod3", "svc60:80", "pod1:80 far1:80", NULL},
		{"pod3", "svc61:80", "pod1:80", NULL},
		{"node3", "svc61:80", "pod1:80 +m", NULL},
		{"client", "svc61:80", "pod1:80 +m", NULL},
		{"pod3", "svc62:80", "pod1:80 pod2:80", NULL},
		{"pod3", "svc63:80", "silent", NULL},
		{"node3", "svc63:80", "silent", NULL},
		{"client", "svc63:80", "silent", NULL},
		{"pod3", "svc64:80", "refused", NULL},
		{"client", "svc64:80", "refused", NULL},
	};

	instance_check(*state, SCENARIO(services, rows));
}

#define LB(N, POLICIES, ENDPOINTS)                                                       \
	{                                                                                \
		.name = "t" #N, .type = "LoadBalancer", .ip = "svc" #N,                  \
		.ports = "p 80>80", .policy = POLICIES, .vips = "vip" #N,                \
		.endpoints = ENDPOINTS                                                   \
	}

static void terminating_endpoints_serve_when_no_others_do_with_policy_local(void **state)
{
	static const struct manifest_service services[] = {
		LB(71, "eL", "pod1R pod2R pod3T pod4D far5R"),
		LB(72, "eL", "pod2T pod3T pod4D far5R"),
		LB(73, "eL", "pod4D far5T"),
		LB(74, "eL", "pod4D far5D"),
	};
	static const struct traffic_row rows[] = {
		{"pod4", "svc71:80", "pod1:80 pod2:80 far5:80", NULL},
		{"client", "vip71:80", "pod1:80 pod2:80", NULL},
		{"pod4", "svc72:80", "far5:80", NULL},
		{"client", "vip72:80", "pod2:80 pod3:80", NULL},
		{"pod4", "svc73:80", "far5:80", NULL},
		{"client", "vip73:80", "silent", NULL},
		{"pod4", "svc74:80", "refused", NULL},
		{"client", "vip74:80", "refused", NULL},
	};

	instance_check(*state, SCENARIO(services, rows));
}

static void
terminating_endpoints_serve_when_no_others_do_with_policy_cluster(void **state)
{
	static const struct manifest_service services[] = {
		LB(81, NULL, "pod1R pod2T far5R"),
		LB(82, NULL, "pod2T pod3T pod4D far5T"),
		LB(83, NULL, "far5T"),
		LB(84, NULL, "pod4D"),
	};
	static const struct traffic_row rows[] = {
		{"pod4", "svc81:80", "pod1:80 far5:80", NULL},
		{"client", "vip81:80", "pod1:80 far5:80 +m", NULL},
		{"pod4", "svc82:80", "pod2:80 pod3:80 far5:80", NULL},
		{"client", "vip82:80", "pod2:80 pod3:80 far5:80 +m", NULL},
		{"pod4", "svc83:80", "far5:80", NULL},
		{"client", "vip83:80", "far5:80 +m", NULL},
		{"pod4", "svc84:80", "refused", NULL},
		{"client", "vip84:80", "refused", NULL},
	};

	instance_check(*state, SCENARIO(services, rows));
}

/* Leading zeros, blanks around networks, IPv6 not in its shortest form. */
static void addresses_with_leading_zeros_are_served(void **state)
{
	struct instance *sluice = *state;
	static const char yaml[] =
		"---\napiVersion: v1\nkind: Service\n"
		"metadata: { namespace: test, name: sloppy }\n"
		"spec:\n"
		"  type: LoadBalancer\n"
		"  ipFamilies: [IPv4, IPv6]\n"
		"  clusterIPs: ['172.030.000.041', 'fd00:0172:0030:0::0041']\n"
		"  externalIPs: ['192.168.099.011', 'fd00:0099:0:0:0:0:0:0011']\n"
		"  loadBalancerSourceRanges: [' 203.000.113.000/25', ' "
		"2001:db8:113::/64']\n"
		"  ports: [{ name: p, port: 80, protocol: TCP }]\n"
		"status:\n"
		"  loadBalancer:\n"
		"    ingress: [{ ip: 001.002.003.004 }, { ip: '2001:0db8:0001::0004' }]\n"
		"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		"metadata: { namespace: test, name: sloppy-4, labels: "
		"{ kubernetes.io/service-name: sloppy } }\n"
		"addressType: IPv4\n"
		"ports: [{ name: p, port: 80, protocol: TCP }]\n"
		"endpoints: [{ addresses: ['010.180.000.001'] }]\n"
		"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		"metadata: { namespace: test, name: sloppy-6, labels: "
		"{ kubernetes.io/service-name: sloppy } }\n"
		"addressType: IPv6\n"
		"ports: [{ name: p, port: 80, protocol: TCP }]\n"
		"endpoints: [{ addresses: ['fd00:0010:0180::0001'] }]\n";
	static const struct traffic_row rows[] = {
		{"pod2", "svc41:80", "pod1:80", "TCP"},
		{"client", "ext11:80", "pod1:80 +m", "TCP"},
		{"client", "vip4:80", "pod1:80 +m", "TCP"},
		{"blocked", "vip4:80", "silent", "TCP"},
	};

	instance_put_yaml(sluice, yaml);
	traffic_check(sluice->world, rows, N_ELEMENTS(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cluster_ips_reach_their_endpoints),
		cmocka_unit_test(sctp_is_balanced_like_tcp_and_udp),
		cmocka_unit_test(without_endpoints_connections_are_refused_immediately),
		cmocka_unit_test(internal_policy_local_stays_on_the_node),
		cmocka_unit_test(
			terminating_endpoints_serve_when_no_others_do_with_policy_local),
		cmocka_unit_test(
			terminating_endpoints_serve_when_no_others_do_with_policy_cluster),
		cmocka_unit_test(addresses_with_leading_zeros_are_served),
	};

	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
