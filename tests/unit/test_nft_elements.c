/*
 * The elements of a service, one by one.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/service.h"
#include "rules/nft/nft_elements.h"

enum { NONE, ALL, OUTSIDE, NODE }; /* who is masqueraded */

struct decided {
	uint8_t kind;
	uint8_t inside, outside; /* enum action */
	uint8_t inside_pool, outside_pool;
	int masquerade;
	bool is_limited;
};

static const struct endpoint v4_endpoints[] = {
	{.port = 8080, .flags = ENDPOINT_CLUSTER | ENDPOINT_SERVING},
	{.port = 8080, .flags = ENDPOINT_CLUSTER | ENDPOINT_LOCAL | ENDPOINT_HERE},
	{.port = 8080, .flags = ENDPOINT_SERVING | ENDPOINT_HERE}, /* in no pool */
};

static struct addr address(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

static struct frontend make_frontend(const struct decided *d, const char *at)
{
	struct frontend f = {
		.addr = address(at),
		.port = 80,
		.kind = d->kind,
		.is_limited = d->is_limited,
	};

	for (unsigned i = 0; i < CLIENT_N; i++) {
		bool is_outside = i == CLIENT_EXTERNAL;
		uint8_t action = is_outside ? d->outside : d->inside;

		f.from[i].action = action;
		if (action != ACTION_BALANCE)
			continue;
		f.from[i].pool = is_outside ? d->outside_pool : d->inside_pool;
		f.from[i].masquerade = d->masquerade == ALL ||
				       (d->masquerade == NODE && i == CLIENT_NODE) ||
				       (d->masquerade == OUTSIDE && i != CLIENT_POD);
	}
	return f;
}

struct options {
	bool is_loopback, is_ipv6, no_endpoints, no_detector, masquerade_all;
	uint32_t affinity_sec;
	const char *allowed[4];
};

static struct service *make_service(const struct decided *d, const struct options *o)
{
	const struct frontend frontend = make_frontend(d, o->is_loopback ? "127.0.0.1"
							  : o->is_ipv6	 ? "fd00::1"
									 : "10.96.0.1");
	struct endpoint endpoints[N_ELEMENTS(v4_endpoints)];
	struct cidr allowed[4];
	struct service_spec spec = {
		.ns = "default",
		.name = "web",
		.port_name = "http",
		.family = o->is_ipv6 ? FAMILY_IPV6 : FAMILY_IPV4,
		.proto = IPPROTO_TCP,
		.affinity_sec = o->affinity_sec,
		.frontends = &frontend,
		.n_frontends = 1,
		.endpoints = endpoints,
		.n_endpoints = o->no_endpoints ? 0 : N_ELEMENTS(endpoints),
		.allowed = allowed,
	};

	for (size_t i = 0; i < N_ELEMENTS(endpoints); i++) {
		char text[32];

		(void)snprintf(text, sizeof(text),
			       o->is_ipv6 ? "fd01::%zu" : "10.2.0.%zu", i + 1);
		endpoints[i] = v4_endpoints[i];
		endpoints[i].addr = address(text);
	}
	while (spec.n_allowed < N_ELEMENTS(allowed) && o->allowed[spec.n_allowed]) {
		assert_int_equal(cidr_parse(o->allowed[spec.n_allowed],
					    &allowed[spec.n_allowed]),
				 0);
		spec.n_allowed++;
	}
	return service_new(&spec);
}

static void print(void *data, const struct nft_element *e)
{
	struct buf *out = data;

	buf_printf(out, "%s { ", nft_set_info(e->set)->name);
	nft_element_print(e, out);
	buf_add_string(out, " }\n");
}

static struct nft_numbers numbers;

static void expect(const struct decided *d, const struct options *o, const char *expected)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct service *s = make_service(d, o);
	const struct environment env = {
		.detector = o->no_detector ? POD_DETECTOR_NONE : POD_DETECTOR_CIDR,
		.has_pod_cidr = {true, true},
		.masquerade_all = o->masquerade_all,
	};

	nft_numbers_init(&numbers);
	nft_elements_each(s, &env, &numbers, print, &out);
	nft_numbers_fini(&numbers);
	service_unref(s);
	assert_string_equal(buf_string(&out), expected);
}

static const struct decided cluster_ip = {
	.kind = FRONTEND_CLUSTER_IP,
	.masquerade = OUTSIDE,
};
static const struct decided policy_local = {
	.kind = FRONTEND_LOAD_BALANCER,
	.outside_pool = POOL_LOCAL,
	.masquerade = NODE,
};
static const struct options plain = {0};

static void a_masqueraded_cluster_ip_is_found_by_its_address(void **state)
{
	(void)state;
	expect(&cluster_ip, &plain,
	       "frontends { 10.96.0.1 . tcp . 80 : goto pick-2 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 0 : 10.2.0.1 . 8080 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 1 : 10.2.0.2 . 8080 }\n"
	       "cluster-ips { 10.96.0.1 }\n"
	       "hairpin { 10.2.0.2 . 10.2.0.2 }\n");
}

static void a_loopback_address_is_left_to_other_sinks(void **state)
{
	(void)state;
	expect(&(struct decided){.kind = FRONTEND_NODE_PORT},
	       &(struct options){.is_loopback = true},
	       "hairpin { 10.2.0.2 . 10.2.0.2 }\n");
}

static void an_ipv6_cluster_ip_has_the_same_elements(void **state)
{
	(void)state;
	expect(&cluster_ip, &(struct options){.is_ipv6 = true},
	       "frontends { fd00::1 . tcp . 80 : goto pick-2 }\n"
	       "endpoints { fd00::1 . tcp . 80 . 0 : fd01::1 . 8080 }\n"
	       "endpoints { fd00::1 . tcp . 80 . 1 : fd01::2 . 8080 }\n"
	       "cluster-ips { fd00::1 }\n"
	       "hairpin { fd01::2 . fd01::2 }\n");
}

static void a_masqueraded_external_address_has_an_element(void **state)
{
	const struct decided d = {.kind = FRONTEND_EXTERNAL_IP, .masquerade = ALL};

	(void)state;
	expect(&d, &plain,
	       "frontends { 10.96.0.1 . tcp . 80 : goto pick-2 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 0 : 10.2.0.1 . 8080 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 1 : 10.2.0.2 . 8080 }\n"
	       "masquerade-always { 10.96.0.1 . tcp . 80 }\n"
	       "external-addresses { 10.96.0.1 }\n"
	       "hairpin { 10.2.0.2 . 10.2.0.2 }\n");
}

static void policy_local_has_elements_for_inside_and_outside(void **state)
{
	(void)state;
	expect(&policy_local, &plain,
	       "frontends { 10.96.0.1 . tcp . 80 : goto pick-local-1 }\n"
	       "internal-frontends { 10.96.0.1 . tcp . 80 : goto pick-2 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 0 : 10.2.0.1 . 8080 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 1 : 10.2.0.2 . 8080 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 65536 : 10.2.0.2 . 8080 }\n"
	       "masquerade-from-node { 10.96.0.1 . tcp . 80 }\n"
	       "external-addresses { 10.96.0.1 }\n"
	       "hairpin { 10.2.0.2 . 10.2.0.2 }\n");
}

static void policy_local_without_local_endpoints_drops_outside_packets(void **state)
{
	struct decided d = policy_local;

	(void)state;
	d.outside = ACTION_DROP;
	expect(&d, &plain,
	       "internal-frontends { 10.96.0.1 . tcp . 80 : goto pick-2 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 0 : 10.2.0.1 . 8080 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 1 : 10.2.0.2 . 8080 }\n"
	       "masquerade-from-node { 10.96.0.1 . tcp . 80 }\n"
	       "external-addresses { 10.96.0.1 }\n"
	       "no-endpoints { 10.96.0.1 . tcp . 80 : drop }\n"
	       "hairpin { 10.2.0.2 . 10.2.0.2 }\n");
}

static void a_frontend_for_outside_clients_only_passes_inside_packets(void **state)
{
	const struct decided d = {
		.kind = FRONTEND_EXTERNAL_IP,
		.inside = ACTION_REJECT,
		.masquerade = NONE,
	};

	(void)state;
	expect(&d, &plain,
	       "frontends { 10.96.0.1 . tcp . 80 : goto pick-2 }\n"
	       "internal-frontends { 10.96.0.1 . tcp . 80 : accept }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 0 : 10.2.0.1 . 8080 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 1 : 10.2.0.2 . 8080 }\n"
	       "external-addresses { 10.96.0.1 }\n"
	       "no-endpoints { 10.96.0.1 . tcp . 80 : goto refuse }\n"
	       "hairpin { 10.2.0.2 . 10.2.0.2 }\n");
}

static void a_refused_frontend_has_no_endpoints(void **state)
{
	const struct decided refused = {.inside = ACTION_REJECT,
					.outside = ACTION_REJECT};
	const struct decided dropped = {.inside = ACTION_DROP, .outside = ACTION_DROP};

	(void)state;
	expect(&refused, &(struct options){.no_endpoints = true},
	       "cluster-ips { 10.96.0.1 }\n"
	       "no-endpoints { 10.96.0.1 . tcp . 80 : goto refuse }\n");
	expect(&dropped, &(struct options){.no_endpoints = true},
	       "cluster-ips { 10.96.0.1 }\n"
	       "no-endpoints { 10.96.0.1 . tcp . 80 : drop }\n");
}

static void balancing_over_an_empty_pool_refuses(void **state)
{
	(void)state;
	expect(&cluster_ip, &(struct options){.no_endpoints = true},
	       "cluster-ips { 10.96.0.1 }\n"
	       "no-endpoints { 10.96.0.1 . tcp . 80 : goto refuse }\n");
}

static void masquerading_without_a_rule_needs_an_element(void **state)
{
	const struct decided d = {.kind = FRONTEND_CLUSTER_IP, .masquerade = ALL};

	(void)state;
	/* the rule for all cluster addresses does it */
	expect(&d, &(struct options){.no_detector = true, .masquerade_all = true},
	       "frontends { 10.96.0.1 . tcp . 80 : goto pick-2 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 0 : 10.2.0.1 . 8080 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 1 : 10.2.0.2 . 8080 }\n"
	       "cluster-ips { 10.96.0.1 }\n"
	       "hairpin { 10.2.0.2 . 10.2.0.2 }\n");
	/* there is none */
	expect(&d, &(struct options){.no_detector = true},
	       "frontends { 10.96.0.1 . tcp . 80 : goto pick-2 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 0 : 10.2.0.1 . 8080 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 1 : 10.2.0.2 . 8080 }\n"
	       "masquerade-always { 10.96.0.1 . tcp . 80 }\n"
	       "cluster-ips { 10.96.0.1 }\n"
	       "hairpin { 10.2.0.2 . 10.2.0.2 }\n");
}

static void affinity_uses_its_own_chains(void **state)
{
	(void)state;
	expect(&policy_local, &(struct options){.affinity_sec = 60},
	       "frontends { 10.96.0.1 . tcp . 80 : goto affinity-local-1 }\n"
	       "internal-frontends { 10.96.0.1 . tcp . 80 : goto affinity-2 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 0 : 10.2.0.1 . 8080 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 1 : 10.2.0.2 . 8080 }\n"
	       "endpoints { 10.96.0.1 . tcp . 80 . 65536 : 10.2.0.2 . 8080 }\n"
	       "masquerade-from-node { 10.96.0.1 . tcp . 80 }\n"
	       "external-addresses { 10.96.0.1 }\n"
	       "hairpin { 10.2.0.2 . 10.2.0.2 }\n"
	       "affinity-services { 10.96.0.1 . tcp . 80 : 670b:0 }\n"
	       "affinity-timeouts { 670b:0 : goto affinity-learn-60s }\n"
	       "affinity-numbers { 670b:0 . 10.2.0.1 . 8080 : 670b:1 }\n"
	       "affinity-numbers { 670b:0 . 10.2.0.2 . 8080 : 670b:2 }\n"
	       "affinity-endpoints { 670b:1 : 10.2.0.1 . 8080 }\n"
	       "affinity-endpoints { 670b:2 : 10.2.0.2 . 8080 }\n"
	       "affinity-local-endpoints { 670b:2 : 10.2.0.2 . 8080 }\n");
}

/* As many as a Service may have. */
static void affinity_timeouts_need_few_chains(void **state)
{
	static const uint32_t exact[] = {1,   59,   60,	  120,	 300,
					 600, 1800, 3600, 10800, 86400};
	uint32_t last = 0, n_distinct = 0;

	(void)state;
	for (uint32_t sec = 1; sec <= 86400; sec++) {
		uint32_t rounded = nft_affinity_timeout(sec);

		assert_in_range(rounded, sec, sec + sec / 12);
		n_distinct += rounded != last;
		last = rounded;
	}
	assert_in_range(n_distinct, 1, 600);
	for (size_t i = 0; i < N_ELEMENTS(exact); i++)
		assert_int_equal(nft_affinity_timeout(exact[i]), exact[i]);
}

static void source_ranges_inside_others_are_left_out(void **state)
{
	struct decided d = {.is_limited = true,
			    .inside = ACTION_DROP,
			    .outside = ACTION_DROP,
			    .kind = FRONTEND_LOAD_BALANCER};
	const struct options o = {
		.no_endpoints = true,
		.allowed = {"10.1.0.0/16", "10.0.0.0/8", "10.255.255.255/32",
			    "11.0.0.1/32"},
	};

	(void)state;
	expect(&d, &o,
	       "external-addresses { 10.96.0.1 }\n"
	       "no-endpoints { 10.96.0.1 . tcp . 80 : drop }\n"
	       "source-limited { 10.96.0.1 . tcp . 80 }\n"
	       "source-ranges { 10.96.0.1 . tcp . 80 . 10.0.0.0/8 }\n"
	       "source-ranges { 10.96.0.1 . tcp . 80 . 11.0.0.1 }\n"
	       "source-drops { 10.96.0.1 . tcp . 80 : drop }\n");
}

static void a_limited_frontend_without_ranges_admits_no_client(void **state)
{
	struct decided d = {.is_limited = true,
			    .inside = ACTION_DROP,
			    .outside = ACTION_DROP,
			    .kind = FRONTEND_LOAD_BALANCER};

	(void)state;
	expect(&d, &(struct options){.no_endpoints = true},
	       "external-addresses { 10.96.0.1 }\n"
	       "no-endpoints { 10.96.0.1 . tcp . 80 : drop }\n"
	       "source-limited { 10.96.0.1 . tcp . 80 }\n"
	       "source-drops { 10.96.0.1 . tcp . 80 : drop }\n");
}

/* On a node with three addresses; packets from the last one cannot be translated. */
static void a_node_port_at_all_node_addresses_comes_once(void **state)
{
	const struct decided d = {.kind = FRONTEND_NODE_PORT, .masquerade = ALL};
	const struct addr addresses[] = {address("192.0.2.1"), address("192.0.2.2"),
					 address("127.0.0.1")};
	const struct environment env = {
		.enabled = {true, true},
		.node_addresses = {addresses},
		.n_node_addresses = {N_ELEMENTS(addresses)},
	};
	const struct endpoint endpoint = {address("10.2.0.1"), 8080, ENDPOINT_CLUSTER};
	const struct frontend frontends[] = {make_frontend(&cluster_ip, "10.96.0.1"),
					     make_frontend(&d, "0.0.0.0")};
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct service *s = service_new(&(struct service_spec){
		.ns = "default",
		.name = "web",
		.port_name = "http",
		.proto = IPPROTO_TCP,
		.frontends = frontends,
		.n_frontends = N_ELEMENTS(frontends),
		.endpoints = &endpoint,
		.n_endpoints = 1,
	});

	(void)state;
	nft_numbers_init(&numbers);
	nft_elements_each_of_node(&env, print, &out);
	nft_elements_each(s, &env, &numbers, print, &out);
	nft_numbers_fini(&numbers);
	service_unref(s);
	assert_string_equal(buf_string(&out),
			    "node-addresses { 192.0.2.1 }\n"
			    "node-addresses { 192.0.2.2 }\n"
			    "frontends { 10.96.0.1 . tcp . 80 : goto pick-1 }\n"
			    "frontends { 0.0.0.0 . tcp . 80 : goto pick-1 }\n"
			    "endpoints { 10.96.0.1 . tcp . 80 . 0 : 10.2.0.1 . 8080 }\n"
			    "endpoints { 0.0.0.0 . tcp . 80 . 0 : 10.2.0.1 . 8080 }\n"
			    "masquerade-always { 10.96.0.1 . tcp . 80 }\n"
			    "masquerade-always { 0.0.0.0 . tcp . 80 }\n"
			    "cluster-ips { 10.96.0.1 }\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_masqueraded_cluster_ip_is_found_by_its_address),
		cmocka_unit_test(a_loopback_address_is_left_to_other_sinks),
		cmocka_unit_test(an_ipv6_cluster_ip_has_the_same_elements),
		cmocka_unit_test(a_masqueraded_external_address_has_an_element),
		cmocka_unit_test(policy_local_has_elements_for_inside_and_outside),
		cmocka_unit_test(
			policy_local_without_local_endpoints_drops_outside_packets),
		cmocka_unit_test(
			a_frontend_for_outside_clients_only_passes_inside_packets),
		cmocka_unit_test(a_refused_frontend_has_no_endpoints),
		cmocka_unit_test(balancing_over_an_empty_pool_refuses),
		cmocka_unit_test(masquerading_without_a_rule_needs_an_element),
		cmocka_unit_test(affinity_uses_its_own_chains),
		cmocka_unit_test(affinity_timeouts_need_few_chains),
		cmocka_unit_test(source_ranges_inside_others_are_left_out),
		cmocka_unit_test(a_limited_frontend_without_ranges_admits_no_client),
		cmocka_unit_test(a_node_port_at_all_node_addresses_comes_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
