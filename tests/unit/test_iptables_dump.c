/*
 * The iptables-restore file: names as kube-proxy has them, and the rules that
 * each decision comes to.  That the rules do what they say is shown with
 * traffic, in tests/kernel.
 */
#include "tests/test.h"

#include <netinet/in.h>
#include <stdio.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "rules/iptables/iptables_dump.h"
#include "rules/iptables/iptables_names.h"
#include "tests/short_service.h"

#define MASQ 0x4000

static const struct decision reject = {ACTION_REJECT, 0, 0};
static const struct decision drop = {ACTION_DROP, 0, 0};
static const struct decision to_cluster = {ACTION_BALANCE, POOL_CLUSTER, 0};
static const struct decision to_cluster_masked = {ACTION_BALANCE, POOL_CLUSTER, 1};
static const struct decision to_local = {ACTION_BALANCE, POOL_LOCAL, 0};

static struct environment environment(void)
{
	struct environment env = {
		.detector = POD_DETECTOR_CIDR,
		.has_pod_cidr = {true, false},
		.masquerade_mark = MASQ,
		.enabled = {true, true},
		.n_service_cidrs = 1,
	};

	assert_int_equal(cidr_parse("10.0.0.0/8", &env.pod_cidr[FAMILY_IPV4]), 0);
	assert_int_equal(cidr_parse("172.30.0.0/16", &env.service_cidrs[0]), 0);
	return env;
}

static struct frontend frontend(enum frontend_kind kind, const char *text,
				struct decision pod, struct decision node,
				struct decision external)
{
	struct frontend f = {.kind = (uint8_t)kind, .from = {pod, node, external}};

	assert_int_equal(addr_port_parse(text, &f.addr, &f.port), 0);
	return f;
}

static struct endpoint endpoint(const char *text, unsigned flags)
{
	struct endpoint e = {.flags = (uint16_t)(flags | ENDPOINT_SERVING)};

	assert_int_equal(addr_port_parse(text, &e.addr, &e.port), 0);
	return e;
}

/* ns1/svc1:p80 */
static struct service *service(const struct frontend *f, uint32_t affinity_sec)
{
	const struct endpoint endpoints[] = {
		endpoint("10.180.0.1:80", ENDPOINT_CLUSTER),
		endpoint("10.180.0.2:80", ENDPOINT_CLUSTER | ENDPOINT_LOCAL),
		endpoint("10.180.0.3:80", ENDPOINT_CLUSTER),
	};
	struct cidr allowed;
	struct service_spec spec = {
		.ns = "ns1",
		.name = "svc1",
		.port_name = "p80",
		.proto = IPPROTO_TCP,
		.affinity_sec = affinity_sec,
		.frontends = f,
		.n_frontends = 1,
		.endpoints = endpoints,
		.n_endpoints = N_ELEMENTS(endpoints),
		.allowed = &allowed,
		.n_allowed = f->is_limited,
	};

	assert_int_equal(cidr_parse("203.0.113.0/25", &allowed), 0);
	return service_new(&spec);
}

static void dump_with(const struct environment *env, const struct service *s,
		      struct buf *out)
{
	struct change change = {NULL, s};
	struct changeset full = {.full = true, .env = env, .changes = &change, .n = 1};

	iptables_dump(&full, out);
}

static void dump(const struct frontend *f, uint32_t affinity_sec, struct buf *out)
{
	_cleanup_(short_service_unrefp) struct service *s = service(f, affinity_sec);
	struct environment env = environment();

	dump_with(&env, s, out);
}

/* Where a line stands that holds all of these, blanks between; 0: nowhere. */
static size_t line_with(const struct buf *out, const char *a, const char *b,
			const char *c)
{
	const char *text = buf_string(out);
	size_t number = 1;
	char line[1024];

	for (; *text; number++) {
		size_t len = strcspn(text, "\n");

		(void)snprintf(line, sizeof(line), "%.*s", (int)len, text);
		if (strstr(line, a) && strstr(line, b) && strstr(line, c))
			return number;
		text += len + (text[len] == '\n');
	}
	return 0;
}

#define assert_line(out, a, b, c)                                                        \
	do {                                                                             \
		if (!line_with(out, a, b, c))                                            \
			fail_msg("no line with %s, %s, %s in:\n%s", a, b, c,             \
				 buf_string(out));                                       \
	} while (0)

#define assert_no_line(out, a, b, c) assert_int_equal(line_with(out, a, b, c), 0)

static void chains_have_kube_proxys_names(void **state)
{
	struct frontend f = frontend(FRONTEND_CLUSTER_IP, "172.30.0.41:80", to_cluster,
				     to_cluster, to_cluster);
	_cleanup_(short_service_unrefp) struct service *s = service(&f, 0);

	(void)state;
	assert_string_equal(iptables_chain_name(IPTABLES_SVC, s, "").name,
			    "KUBE-SVC-XPGD46QRK7WJZT7O");
	assert_string_equal(iptables_chain_name(IPTABLES_EXT, s, "").name,
			    "KUBE-EXT-XPGD46QRK7WJZT7O");
	assert_string_equal(iptables_endpoint_chain(s, service_endpoints(s)).name,
			    "KUBE-SEP-SXIVWICOYRO3J4NJ");
}

static void a_cluster_ip_divides_its_pool_into_equal_shares(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct frontend f = frontend(FRONTEND_CLUSTER_IP, "172.30.0.41:80", to_cluster,
				     to_cluster_masked, to_cluster_masked);

	(void)state;
	dump(&f, 0, &out);
	assert_line(&out, "-4 -A KUBE-SERVICES",
		    "-d 172.30.0.41 -p tcp -m tcp --dport 80",
		    "-j KUBE-SVC-XPGD46QRK7WJZT7O");
	assert_line(&out, "-A KUBE-SVC-XPGD46QRK7WJZT7O", "--probability 0.3333333333",
		    "-j");
	assert_line(&out, "-A KUBE-SVC-XPGD46QRK7WJZT7O", "--probability 0.5000000000",
		    "-j");
	assert_line(&out, "-A KUBE-SEP-SXIVWICOYRO3J4NJ", "-p tcp -m tcp",
		    "-j DNAT --to-destination 10.180.0.1:80");
	assert_line(&out, "-A KUBE-SEP-SXIVWICOYRO3J4NJ", "-s 10.180.0.1",
		    "-j KUBE-MARK-MASQ");
	/* clients that are not pods are masqueraded, before an endpoint is picked */
	assert_in_range(line_with(&out, "-A KUBE-SVC-XPGD46QRK7WJZT7O", "! -s 10.0.0.0/8",
				  "-j KUBE-MARK-MASQ"),
			1,
			line_with(&out, "-A KUBE-SVC-XPGD46QRK7WJZT7O", "--probability",
				  "-j KUBE-SEP-SXIVWICOYRO3J4NJ") -
				1);
	assert_no_line(&out, "KUBE-EXT-", "", "");
	assert_no_line(&out, "KUBE-SVL-", "", "");
	assert_no_line(&out, "-m recent", "", "");
}

static void a_single_endpoint_has_no_probability(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct decision local = to_local;
	struct frontend f =
		frontend(FRONTEND_CLUSTER_IP, "172.30.0.41:80", local, local, local);

	(void)state;
	dump(&f, 0, &out);
	assert_line(&out, "-A KUBE-SERVICES", "-d 172.30.0.41",
		    "-j KUBE-SVL-XPGD46QRK7WJZT7O");
	assert_no_line(&out, "--probability", "", "");
	assert_no_line(&out, "10.180.0.1:80", "", "");
	assert_no_line(&out, "KUBE-SVC-", "", "");
}

static void external_policy_local_distinguishes_the_sources(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct frontend f = frontend(FRONTEND_NODE_PORT, "192.168.0.2:3001", to_cluster,
				     to_cluster_masked, to_local);

	(void)state;
	dump(&f, 0, &out);
	assert_line(&out, "-A KUBE-NODEPORTS",
		    "-d 192.168.0.2 -p tcp -m tcp --dport 3001",
		    "-j KUBE-EXT-XPGD46QRK7WJZT7O");
	assert_line(&out, "-A KUBE-EXT-XPGD46QRK7WJZT7O", "-s 10.0.0.0/8",
		    "-j KUBE-SVC-XPGD46QRK7WJZT7O");
	assert_line(&out, "-A KUBE-EXT-XPGD46QRK7WJZT7O", "--src-type LOCAL",
		    "-j KUBE-MARK-MASQ");
	assert_line(&out, "-A KUBE-EXT-XPGD46QRK7WJZT7O", "--src-type LOCAL",
		    "-j KUBE-SVC-XPGD46QRK7WJZT7O");
	assert_line(&out, "-A KUBE-EXT-XPGD46QRK7WJZT7O", "external traffic\"",
		    "-j KUBE-SVL-XPGD46QRK7WJZT7O");
	assert_no_line(&out, "external traffic", "", "KUBE-MARK-MASQ");
}

static void
a_node_port_everywhere_is_one_rule_that_each_node_address_leads_to(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct frontend f = frontend(FRONTEND_NODE_PORT, "0.0.0.0:3001", to_cluster,
				     to_cluster_masked, drop);
	_cleanup_(short_service_unrefp) struct service *s = service(&f, 0);
	struct environment env = environment();
	struct addr nodes[2];

	(void)state;
	assert_int_equal(addr_parse("192.168.0.2", &nodes[0]), 0);
	assert_int_equal(addr_parse("192.168.0.3", &nodes[1]), 0);
	env.node_addresses[FAMILY_IPV4] = nodes;
	env.n_node_addresses[FAMILY_IPV4] = N_ELEMENTS(nodes);
	dump_with(&env, s, &out);
	assert_line(&out, "-4 -A KUBE-NODEPORTS",
		    "node port\" -p tcp -m tcp --dport 3001",
		    "-j KUBE-EXT-XPGD46QRK7WJZT7O");
	assert_line(&out, "-4 -A KUBE-SERVICES", "-d 192.168.0.2", "-j KUBE-NODEPORTS");
	assert_line(&out, "-4 -A KUBE-SERVICES", "-d 192.168.0.3", "-j KUBE-NODEPORTS");
	assert_line(&out, "-6 -A KUBE-SERVICES", "--dst-type LOCAL", "-j KUBE-NODEPORTS");
	assert_no_line(&out, "-4 -A KUBE-SERVICES", "--dst-type LOCAL", "");
	assert_line(&out, "-4 -A KUBE-NODEPORTS", "has no local endpoints", "-j DROP");
	assert_line(&out, "-4 -A KUBE-EXTERNAL-SERVICES", "-d 192.168.0.3",
		    "-j KUBE-NODEPORTS");
	assert_no_line(&out, "-d 0.0.0.0", "", "");
}

static void without_endpoints_tcp_is_reset_and_the_rest_gets_icmp(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct frontend f =
		frontend(FRONTEND_CLUSTER_IP, "172.30.0.41:80", reject, reject, reject);

	(void)state;
	dump(&f, 0, &out);
	assert_line(&out, "-A KUBE-SERVICES", "has no endpoints",
		    "-j REJECT --reject-with tcp-reset");
	assert_no_line(&out, "-j KUBE-SVC-", "", "");
	f = frontend(FRONTEND_EXTERNAL_IP, "192.168.99.11:80", to_cluster,
		     to_cluster_masked, drop);
	buf_clear(&out);
	dump(&f, 0, &out);
	assert_line(&out, "-A KUBE-EXTERNAL-SERVICES", "has no local endpoints",
		    "-j DROP");
	assert_line(&out, "-A KUBE-EXT-", "-s 10.0.0.0/8", "-j KUBE-SVC-");
	assert_no_line(&out, "KUBE-SVL-", "", "");
}

static void unused_ports_are_refused_and_unused_addresses_dropped(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct frontend f = frontend(FRONTEND_CLUSTER_IP, "172.30.0.41:80", to_cluster,
				     to_cluster, to_cluster);

	(void)state;
	dump(&f, 0, &out);
	assert_line(&out, "-A KUBE-CLUSTER-IPS", "-d 172.30.0.41 -p tcp", "tcp-reset");
	assert_line(&out, "-A KUBE-CLUSTER-IPS", "-d 172.30.0.41 -j REJECT", "");
	assert_line(&out, "-A KUBE-CLUSTER-IPS", "-d 172.30.0.0/16", "-j DROP");
}

static void affinity_rules_check_the_recent_list_before_they_choose(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct frontend f = frontend(FRONTEND_CLUSTER_IP, "172.30.0.41:80", to_cluster,
				     to_cluster, to_cluster);

	(void)state;
	dump(&f, 10800, &out);
	assert_line(&out, "-A KUBE-SVC-",
		    "-m recent --name KUBE-SEP-SXIVWICOYRO3J4NJ --rcheck --seconds 10800 "
		    "--reap",
		    "-j KUBE-SEP-SXIVWICOYRO3J4NJ");
	assert_line(&out, "-A KUBE-SEP-SXIVWICOYRO3J4NJ",
		    "-m recent --name KUBE-SEP-SXIVWICOYRO3J4NJ --set", "-j DNAT");
	assert_true(line_with(&out, "10.180.0.3", "--rcheck", "") <
		    line_with(&out, "10.180.0.1", "--probability", ""));
}

static void only_allowed_sources_reach_a_limited_frontend(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct decision masked = to_cluster_masked;
	struct frontend f =
		frontend(FRONTEND_LOAD_BALANCER, "1.2.3.4:80", masked, masked, masked);

	(void)state;
	f.is_limited = 1;
	dump(&f, 0, &out);
	assert_line(&out, "-A KUBE-SERVICES", "-d 1.2.3.4",
		    "-j KUBE-FW-XPGD46QRK7WJZT7O");
	assert_line(&out, "-A KUBE-FW-XPGD46QRK7WJZT7O", "-s 203.0.113.0/25",
		    "-j KUBE-EXT-XPGD46QRK7WJZT7O");
	assert_line(&out, "-A KUBE-PROXY-FIREWALL", "-d 1.2.3.4", "-j DROP");
	assert_no_line(&out, "-A KUBE-PROXY-FIREWALL", "REJECT", "");

	f = frontend(FRONTEND_LOAD_BALANCER, "1.2.3.4:80", reject, reject, reject);
	f.is_limited = 1;
	buf_clear(&out);
	dump(&f, 0, &out);
	assert_in_range(
		line_with(&out, "-A KUBE-PROXY-FIREWALL", "-s 203.0.113.0/25", "REJECT"),
		1, line_with(&out, "-A KUBE-PROXY-FIREWALL", "1.2.3.4", "-j DROP") - 1);
}

static const struct {
	enum pod_detector detector;
	const char *ifname, *expect; /* NULL: without a detector */
} detector_cases[] = {
	{POD_DETECTOR_CIDR, "", "! -s 10.0.0.0/8 -j KUBE-MARK-MASQ"},
	{POD_DETECTOR_BRIDGE, "cni0", "! -i cni0 -j KUBE-MARK-MASQ"},
	{POD_DETECTOR_PREFIX, "veth", "! -i veth+ -j KUBE-MARK-MASQ"},
};

static void pods_are_recognised_by_any_detector(void **state)
{
	struct frontend f = frontend(FRONTEND_CLUSTER_IP, "172.30.0.41:80", to_cluster,
				     to_cluster_masked, to_cluster_masked);
	_cleanup_(short_service_unrefp) struct service *s = service(&f, 0);

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(detector_cases); i++) {
		_cleanup_(buf_fini) struct buf out = BUF_INIT;
		struct environment env = environment();

		env.detector = detector_cases[i].detector;
		(void)snprintf(env.ifname, sizeof(env.ifname), "%s",
			       detector_cases[i].ifname);
		dump_with(&env, s, &out);
		assert_line(&out, "-A KUBE-SVC-", detector_cases[i].expect, "");
	}
}

static void the_masquerade_mark_is_configurable(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct environment env = environment();

	(void)state;
	env.masquerade_mark = 0x8;
	iptables_dump(&(struct changeset){.full = true, .env = &env}, &out);
	assert_line(&out, "-A KUBE-MARK-MASQ", "--or-mark 0x8", "");
	assert_line(&out, "-A KUBE-POSTROUTING", "! --mark 0x8/0x8", "-j RETURN");
	assert_line(&out, "-A KUBE-POSTROUTING", "--xor-mark 0x8", "");
}

static void a_disabled_family_has_no_rules(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	_cleanup_(short_service_unrefp) struct service *s =
		short_service("web", IPPROTO_TCP, "[fd00::1]:80", "[fd00:1::1]:80");
	struct environment env = environment();

	(void)state;
	dump_with(&env, s, &out);
	assert_line(&out, "-6 -A KUBE-SEP-", "-j DNAT --to-destination [fd00:1::1]:80",
		    "");
	buf_clear(&out);
	env.enabled[FAMILY_IPV6] = false;
	dump_with(&env, s, &out);
	assert_no_line(&out, "fd00", "", "");
}

/* Chains of a Service have the same names in both families. */
static void no_chain_is_declared_twice(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	_cleanup_(short_service_unrefp) struct service *a =
		short_service("web", IPPROTO_TCP, "10.96.0.1:80", "10.0.0.1:80");
	_cleanup_(short_service_unrefp) struct service *b =
		short_service("web", IPPROTO_TCP, "[fd00::1]:80", "[fd00:1::1]:80");
	const struct change changes[] = {{NULL, a}, {NULL, b}};
	struct environment env = environment();
	const char *first;

	(void)state;
	iptables_dump(&(struct changeset){.full = true,
					  .env = &env,
					  .changes = changes,
					  .n = 2},
		      &out);
	first = strstr(buf_string(&out), "\n:KUBE-SVC-");
	assert_non_null(first);
	assert_null(strstr(first + 1, "\n:KUBE-SVC-"));
	assert_line(&out, "-4 -A KUBE-SVC-", "", "");
	assert_line(&out, "-6 -A KUBE-SVC-", "", "");
}

/* Names are checked before they come here; a file of rules must not depend on it. */
static void names_are_sanitized_in_comments(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	_cleanup_(short_service_unrefp) struct service *s =
		short_service("x\n-A INPUT -j DROP\"", IPPROTO_UDP, "10.96.0.1:53",
			      "10.0.0.1:53");
	struct environment env = environment();

	(void)state;
	dump_with(&env, s, &out);
	assert_line(&out, "\"test/x?-A INPUT -j DROP?", "KUBE-SERVICES", "");
	assert_null(strstr(buf_string(&out), "\n-A INPUT -j DROP"));
}

static void the_order_of_the_services_does_not_matter(void **state)
{
	_cleanup_(short_service_unrefp) struct service *a =
		short_service("a", IPPROTO_TCP, "10.96.0.1:80", "10.0.0.1:80");
	_cleanup_(short_service_unrefp) struct service *b =
		short_service("b", IPPROTO_TCP, "10.96.0.2:80", "10.0.0.1:80");
	const struct change orders[][2] = {{{NULL, a}, {NULL, b}},
					   {{NULL, b}, {NULL, a}}};
	struct environment env = environment();
	struct buf out[2] = {BUF_INIT, BUF_INIT};

	(void)state;
	for (size_t i = 0; i < 2; i++)
		iptables_dump(&(struct changeset){.full = true,
						  .env = &env,
						  .changes = orders[i],
						  .n = 2},
			      &out[i]);
	assert_string_equal(buf_string(&out[0]), buf_string(&out[1]));
	buf_fini(&out[0]);
	buf_fini(&out[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_have_kube_proxys_names),
		cmocka_unit_test(a_cluster_ip_divides_its_pool_into_equal_shares),
		cmocka_unit_test(a_single_endpoint_has_no_probability),
		cmocka_unit_test(external_policy_local_distinguishes_the_sources),
		cmocka_unit_test(
			a_node_port_everywhere_is_one_rule_that_each_node_address_leads_to),
		cmocka_unit_test(without_endpoints_tcp_is_reset_and_the_rest_gets_icmp),
		cmocka_unit_test(unused_ports_are_refused_and_unused_addresses_dropped),
		cmocka_unit_test(affinity_rules_check_the_recent_list_before_they_choose),
		cmocka_unit_test(only_allowed_sources_reach_a_limited_frontend),
		cmocka_unit_test(pods_are_recognised_by_any_detector),
		cmocka_unit_test(the_masquerade_mark_is_configurable),
		cmocka_unit_test(a_disabled_family_has_no_rules),
		cmocka_unit_test(no_chain_is_declared_twice),
		cmocka_unit_test(names_are_sanitized_in_comments),
		cmocka_unit_test(the_order_of_the_services_does_not_matter),
	};

	return cmocka_run_group_tests_name("iptables dump", tests, NULL, NULL);
}
