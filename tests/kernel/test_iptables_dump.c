/*
 * `sluice dump --format iptables`, loaded by both kinds of iptables-restore and
 * ip6tables-restore, must do with traffic what the daemon's own rules do.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/probe.h"
#include "tests/kernel/scenario.h"
#include "tests/test.h"

#define BY_NETWORK "--cluster-cidr " WORLD_POD_CIDRS
#define N_REPEATS  12

static const char *const variants[] = {"legacy", "nft"};

/*
 * A client on the node needs a route to the service addresses, as real nodes
 * have; and ICMP errors must not be held back because there were many lately.
 */
static int setup(void **state)
{
	if (world_setup(state) != 0)
		return -1;
	world_must(*state, PLACE_NODE,
		   "ip route replace default via 192.168.0.1;"
		   " ip route replace ::/0 via fd00:192:168::1;"
		   " echo 0 >/proc/sys/net/ipv4/icmp_ratelimit;"
		   " echo 0 >/proc/sys/net/ipv6/icmp/ratelimit");
	return 0;
}

static void write_manifests(const char *path, const struct manifest_service *services,
			    size_t n)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	_cleanup_(fclosep) FILE *f = fopen(path, "we");

	manifest_add_node(&text);
	for (size_t i = 0; i < n; i++)
		manifest_add_service(&text, &services[i]);
	assert_non_null(f);
	assert_int_equal(fwrite(text.data, 1, text.len, f), text.len);
}

/* The services' rules and nothing else are in the node now. */
static void load(const struct world *w, const char *variant, const char *flags,
		 const struct scenario *s)
{
	_cleanup_(freep) char *manifests = xasprintf("%s/objects.yaml", w->dir);
	_cleanup_(freep) char *rules = xasprintf("%s/rules", w->dir);

	write_manifests(manifests, s->services, s->n_services);
	world_must(
		w, PLACE_NODE,
		"%s dump --format iptables --manifests %s --hostname-override %s %s >%s",
		SLUICE_PROGRAM, manifests, WORLD_NODE_NAME, flags, rules);
	world_must(w, PLACE_NODE, "iptables-%s-restore <%s", variant, rules);
	world_must(w, PLACE_NODE, "ip6tables-%s-restore <%s", variant, rules);
	world_must(w, PLACE_NODE, "conntrack -F 2>/dev/null");
}

static void unload(const struct world *w, const char *variant)
{
	world_must(
		w, PLACE_NODE,
		"for p in iptables ip6tables; do"
		" printf '*nat\\nCOMMIT\\n*filter\\nCOMMIT\\n' | $p-%s-restore || exit 1;"
		" done",
		variant);
}

static void check(const struct world *w, const char *flags, const struct scenario *s)
{
	for (size_t i = 0; i < N_ELEMENTS(variants); i++) {
		load(w, variants[i], flags, s);
		traffic_check(w, s->rows, s->n_rows);
		unload(w, variants[i]);
	}
}

static void cluster_ips_reach_their_endpoints_or_refuse(void **state)
{
	static const struct manifest_service services[] = {
		{.name = "svc1", .ip = "svc41", .ports = "p 80>80", .endpoints = "pod1R"},
		{.name = "svc2",
		 .ip = "svc42",
		 .ports = "a 80>80/TCP; b 443>8443/TCP; c 53>53/UDP",
		 .endpoints = "pod1R far1R pod2R"},
		{.name = "empty", .ip = "svc43", .ports = "p 80>80"},
		{.name = "local",
		 .ip = "svc44",
		 .ports = "p 80>80",
		 .endpoints = "pod1R far1R",
		 .policy = "iL"},
		{.name = "elsewhere",
		 .ip = "svc45",
		 .ports = "p 80>80",
		 .endpoints = "far1R",
		 .policy = "iL"},
	};
	static const struct traffic_row rows[] = {
		{"pod2", "svc41:80", "pod1:80", NULL},
		{"pod1", "svc41:80", "pod1:80 +m", NULL}, /* hairpin */
		{"node3", "svc41:80", "pod1:80 +m", NULL},
		{"client", "svc41:80", "pod1:80 +m", NULL},
		{"pod3", "svc42:80", "pod1:80 far1:80 pod2:80", "TCP"},
		{"pod1", "svc42:80", "pod1:80+m far1:80 pod2:80", "TCP"},
		{"pod3", "svc42:443", "pod1:8443 far1:8443 pod2:8443", "TCP"},
		{"pod3", "svc42:53", "pod1:53 far1:53 pod2:53", "UDP"},
		{"pod3", "svc42:80", "refused", "UDP"},
		{"client", "svc41:443", "refused", NULL},
		/* for UDP a refusal on the way out of the node fails immediately in sendmsg() */
		{"node3", "svc41:443", "refused", "TCP"},
		{"pod2", "svc43:80", "refused", NULL},
		{"node3", "svc43:80", "refused", "TCP"},
		{"client", "svc43:80", "refused", NULL},
		{"pod3", "svc44:80", "pod1:80", NULL},
		{"client", "svc44:80", "pod1:80 +m", NULL},
		{"pod3", "svc45:80", "silent", NULL},
		{"pod3", "svc50:80", "silent", NULL},
	};

	check(*state, BY_NETWORK, SCENARIO(services, rows));
}

static void source_ranges_guard_load_balancer_addresses(void **state)
{
	check(*state, BY_NETWORK, scenario_source_ranges);
}

static void policies_hold_when_pods_are_known_by_their_network(void **state)
{
	check(*state, BY_NETWORK, scenario_pods_known);
}

static void policies_hold_when_pods_are_known_by_their_interface(void **state)
{
	check(*state, "--detect-local-mode BridgeInterface --pod-bridge-interface pod3",
	      scenario_pods_known);
	check(*state,
	      "--detect-local-mode InterfaceNamePrefix --pod-interface-name-prefix pod",
	      scenario_pods_known);
}

static void policies_hold_when_pods_are_not_known(void **state)
{
	check(*state, "", scenario_pods_unknown);
}

static void policies_hold_with_masquerade_all(void **state)
{
	check(*state, BY_NETWORK " --masquerade-all", scenario_masquerade_all);
	check(*state, "--masquerade-all", scenario_masquerade_all_pods_unknown);
}

static struct answer ask(const struct world *w, int kind)
{
	struct target t =
		target_named("client", "vip90:80", kind & 1 ? IPPROTO_UDP : IPPROTO_TCP,
			     kind & 2 ? FAMILY_IPV6 : FAMILY_IPV4);
	struct answer a = probe(w, &t, PROBE_PATIENCE_MS);
	char text[ANSWER_TEXT_LEN];

	if (a.outcome != PROBE_ANSWERED)
		fail_msg("kind %d: %s", kind, answer_format(&a, text));
	return a;
}

static void a_client_with_affinity_reaches_the_same_endpoint(void **state)
{
	static const struct manifest_service sticky = {
		.name = "sticky",
		.type = "LoadBalancer",
		.ip = "svc90",
		.ports = "p 80>80",
		.vips = "vip90",
		.endpoints = "pod1R pod2R pod3R pod4R far1R far2R far3R far4R",
		.affinity_sec = 600,
	};

	for (size_t i = 0; i < N_ELEMENTS(variants); i++) {
		load(*state, variants[i], BY_NETWORK,
		     &(struct scenario){.services = &sticky, .n_services = 1});
		for (int kind = 0; kind < 4; kind++) {
			struct addr first = ask(*state, kind).backend;

			for (int n = 0; n < N_REPEATS; n++) {
				struct addr again = ask(*state, kind).backend;

				assert_true(addr_equal(&first, &again));
			}
		}
		unload(*state, variants[i]);
	}
}

/* Fails the rows that expect an endpoint: the results above came from the rules. */
static void without_iptables_rules_nothing_is_balanced(void **state)
{
	struct target t = target_named("pod2", "svc41:80", IPPROTO_TCP, FAMILY_IPV4);

	assert_int_not_equal(probe(*state, &t, 150).outcome, PROBE_ANSWERED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cluster_ips_reach_their_endpoints_or_refuse),
		cmocka_unit_test(source_ranges_guard_load_balancer_addresses),
		cmocka_unit_test(policies_hold_when_pods_are_known_by_their_network),
		cmocka_unit_test(policies_hold_when_pods_are_known_by_their_interface),
		cmocka_unit_test(policies_hold_when_pods_are_not_known),
		cmocka_unit_test(policies_hold_with_masquerade_all),
		cmocka_unit_test(a_client_with_affinity_reaches_the_same_endpoint),
		cmocka_unit_test(without_iptables_rules_nothing_is_balanced),
	};

	return cmocka_run_group_tests_name("iptables dump", tests, setup, world_teardown);
}
