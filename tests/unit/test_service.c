/*
 * A service is one immutable value: sorted, counted, comparable.
 */
#include "tests/test.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/service.h"
#include "tests/unit/core_samples.h"

DEFINE_CLEANUP(struct service *, service_unref);
#define _service_ _cleanup_(service_unrefp) struct service

static void endpoints_are_sorted_by_address_and_port(void **state)
{
	static const char *const expected[] = {"10.0.0.9:80", "10.0.0.9:443",
					       "10.0.0.10:80", "[2001:db8::1]:80"};
	_service_ *s =
		sample_service("a", "", "",
			       "[2001:db8::1]:80 10.0.0.9:80 10.0.0.10:80 10.0.0.9:443");

	(void)state;
	assert_int_equal(s->n_endpoints, N_ELEMENTS(expected));
	for (size_t i = 0; i < N_ELEMENTS(expected); i++) {
		const struct endpoint *e = &service_endpoints(s)[i];
		char buf[ADDR_PORT_TEXT_LEN];

		assert_string_equal(addr_port_format(&e->addr, e->port, buf),
				    expected[i]);
	}
}

static void each_endpoint_is_found_by_address_and_port(void **state)
{
	struct endpoint endpoints[9] = {0};
	struct service *s;
	struct addr other;

	for (uint16_t i = 0; i < N_ELEMENTS(endpoints); i++) {
		endpoints[i].port = (uint16_t)(90 - i % 3);
		(void)addr_parse(i < 3 ? "10.0.0.9" : "10.0.0.2", &endpoints[i].addr);
		endpoints[i].flags = ENDPOINT_CLUSTER;
	}
	s = service_new(&(struct service_spec){
		.ns = "a",
		.name = "b",
		.port_name = "",
		.proto = IPPROTO_TCP,
		.endpoints = endpoints,
		.n_endpoints = N_ELEMENTS(endpoints),
	});
	assert_int_equal(s->n_endpoints, 6);
	for (uint32_t i = 0; i < s->n_endpoints; i++) {
		const struct endpoint *e = &service_endpoints(s)[i];

		assert_int_equal(service_find_endpoint(s, &e->addr, e->port), i);
	}
	(void)addr_parse("10.0.0.3", &other);
	assert_int_equal(service_find_endpoint(s, &other, 90), UINT32_MAX);
	(void)addr_parse("10.0.0.2", &other);
	assert_int_equal(service_find_endpoint(s, &other, 91), UINT32_MAX);
	service_unref(s);
}

static void a_repeated_endpoint_is_in_all_pools_that_it_was_in(void **state)
{
	_service_ *s = sample_service("a", "", "", "1.1.1.1:1 1.1.1.1:1* 1.1.1.1:2");

	(void)state;
	assert_int_equal(s->n_endpoints, 2);
	assert_int_equal(s->n_pool[POOL_CLUSTER], 2);
	assert_int_equal(s->n_pool[POOL_LOCAL], 1);
	assert_int_equal(service_endpoints(s)[0].flags,
			 ENDPOINT_CLUSTER | ENDPOINT_LOCAL | ENDPOINT_SERVING);
}

static void frontends_are_sorted_by_kind_address_and_port(void **state)
{
	const struct addr low = sample_addr("1.1.1.1"), high = sample_addr("1.1.1.2");
	const struct frontend given[] = {
		{.kind = FRONTEND_NODE_PORT, .addr = low, .port = 1},
		{.kind = FRONTEND_CLUSTER_IP, .addr = high, .port = 1},
		{.kind = FRONTEND_CLUSTER_IP, .addr = low, .port = 2},
		{.kind = FRONTEND_CLUSTER_IP, .addr = low, .port = 1},
		{.kind = FRONTEND_CLUSTER_IP, .addr = low, .port = 2},
	};
	static const size_t expected[] = {3, 2, 1, 0};
	_service_ *s = service_new(&(struct service_spec){.ns = "n",
							  .name = "a",
							  .port_name = "",
							  .proto = IPPROTO_UDP,
							  .frontends = given,
							  .n_frontends = 5});

	(void)state;
	assert_int_equal(s->n_frontends, N_ELEMENTS(expected));
	for (size_t i = 0; i < N_ELEMENTS(expected); i++)
		assert_int_equal(service_compare_frontend(&service_frontends(s)[i],
							  &given[expected[i]]),
				 0);
}

static struct service *build(const struct cidr *allowed, size_t n, uint32_t affinity_sec)
{
	return service_new(&(struct service_spec){.ns = "ns",
						  .name = "web",
						  .port_name = "http",
						  .family = FAMILY_IPV6,
						  .proto = IPPROTO_TCP,
						  .affinity_sec = affinity_sec,
						  .allowed = allowed,
						  .n_allowed = n});
}

static void equal_input_in_any_order_gives_equal_services(void **state)
{
	const struct cidr a = {sample_addr("10.0.0.0"), 8}, b = {sample_addr("::"), 0};
	_service_ *x = build((const struct cidr[]){a, b}, 2, 0);
	_service_ *y = build((const struct cidr[]){b, a, b}, 3, 0);
	_service_ *z = build((const struct cidr[]){b, a}, 2, 1);
	_service_ *e1 =
		sample_service("a", "p", "1.1.1.1:1 1.1.1.2:1", "2.2.2.2:1 2.2.2.2:2");
	_service_ *e2 =
		sample_service("a", "p", "1.1.1.2:1 1.1.1.1:1", "2.2.2.2:2 2.2.2.2:1");
	_service_ *e3 = sample_service("a", "p", "1.1.1.2:1 1.1.1.1:1", "2.2.2.2:2");

	(void)state;
	assert_true(service_equal(x, y));
	assert_int_equal(y->n_allowed, 2);
	assert_false(service_equal(x, z));
	assert_true(service_equal(e1, e2));
	assert_false(service_equal(e1, e3));
	assert_true(service_same_key(e1, e3));
}

static void names_and_labels_of_a_service_are_returned(void **state)
{
	_service_ *s = build(NULL, 0, 0);
	_service_ *unnamed = sample_service("a", "", "", "");
	char buf[64], small[8];

	(void)state;
	assert_string_equal(service_namespace(s), "ns");
	assert_string_equal(service_name(s), "web");
	assert_string_equal(service_port_name(s), "http");
	assert_string_equal(service_label(s, buf, sizeof(buf)), "ns/web:http");
	assert_string_equal(service_label(s, small, sizeof(small)), "ns/web:");
	assert_string_equal(service_label(unnamed, buf, sizeof(buf)), "default/a");
}

static void keys_are_ordered_by_namespace_name_port_protocol_family(void **state)
{
	static const struct {
		const char *ns, *name, *port_name;
		uint8_t proto;
		enum family family;
	} in_order[] = {
		{"a", "b", "", IPPROTO_TCP, FAMILY_IPV4},
		{"a", "b", "", IPPROTO_TCP, FAMILY_IPV6},
		{"a", "b", "", IPPROTO_UDP, FAMILY_IPV4},
		{"a", "b", "x", IPPROTO_SCTP, FAMILY_IPV4},
		{"a", "b", "x", IPPROTO_TCP, FAMILY_IPV4},
		{"a", "ba", "", IPPROTO_TCP, FAMILY_IPV4},
		{"ab", "a", "", IPPROTO_TCP, FAMILY_IPV4},
	};
	struct service *services[N_ELEMENTS(in_order)];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(in_order); i++)
		services[i] = service_new(
			&(struct service_spec){.ns = in_order[i].ns,
					       .name = in_order[i].name,
					       .port_name = in_order[i].port_name,
					       .proto = in_order[i].proto,
					       .family = in_order[i].family});
	for (size_t i = 0; i < N_ELEMENTS(in_order); i++)
		for (size_t k = 0; k < N_ELEMENTS(in_order); k++) {
			int order = service_compare_key(services[i], services[k]);

			assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
			assert_int_equal(service_same_key(services[i], services[k]),
					 i == k);
		}
	for (size_t i = 0; i < N_ELEMENTS(in_order); i++)
		service_unref(services[i]);
}

static void a_pool_is_used_if_a_frontend_balances_over_it(void **state)
{
	struct frontend f = {.from = {{.action = ACTION_DROP},
				      {.action = ACTION_DROP},
				      {.action = ACTION_BALANCE, .pool = POOL_LOCAL}}};
	struct service_spec spec = {.ns = "n",
				    .name = "a",
				    .port_name = "",
				    .proto = IPPROTO_TCP,
				    .frontends = &f,
				    .n_frontends = 1};
	_service_ *local = service_new(&spec);

	(void)state;
	f.from[CLIENT_EXTERNAL] = (struct decision){.action = ACTION_DROP};
	_service_ *none = service_new(&spec);

	assert_true(service_uses_pool(local, POOL_LOCAL));
	assert_false(service_uses_pool(local, POOL_CLUSTER));
	assert_false(service_uses_pool(none, POOL_LOCAL));
}

/* The signal that ends a process that builds a service with this frontend; 0: none. */
static int build_alone(const struct decision from[CLIENT_N], uint8_t kind)
{
	struct frontend f = {.kind = kind, .addr = sample_addr("1.1.1.1"), .port = 1};
	struct service_spec spec = {.ns = "n",
				    .name = "a",
				    .port_name = "",
				    .proto = IPPROTO_TCP,
				    .frontends = &f,
				    .n_frontends = 1};
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		(void)close(STDERR_FILENO);
		(void)signal(SIGABRT, SIG_DFL);
		memcpy(f.from, from, sizeof(f.from));
		service_unref(service_new(&spec));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void combinations_unknown_to_sinks_are_refused(void **state)
{
#define B(pool_, masquerade_)                                                            \
	{                                                                                \
		ACTION_BALANCE, POOL_##pool_, masquerade_                                \
	}
#define NOT(action_)                                                                     \
	{                                                                                \
		ACTION_##action_, 0, 0                                                   \
	}
	static const struct {
		struct decision from[CLIENT_N];
		uint8_t kind;
		bool is_known;
	} cases[] = {
		{{B(CLUSTER, 0), B(CLUSTER, 0), B(CLUSTER, 0)},
		 FRONTEND_CLUSTER_IP,
		 true},
		{{B(CLUSTER, 0), B(CLUSTER, 1), B(CLUSTER, 1)},
		 FRONTEND_CLUSTER_IP,
		 true},
		{{B(CLUSTER, 1), B(CLUSTER, 1), B(CLUSTER, 1)}, FRONTEND_NODE_PORT, true},
		{{B(CLUSTER, 0), B(CLUSTER, 1), B(LOCAL, 0)}, FRONTEND_NODE_PORT, true},
		{{B(LOCAL, 0), B(CLUSTER, 1), B(LOCAL, 0)}, FRONTEND_NODE_PORT, true},
		{{NOT(DROP), B(CLUSTER, 1), NOT(DROP)}, FRONTEND_NODE_PORT, true},
		{{NOT(REJECT), NOT(REJECT), NOT(REJECT)}, FRONTEND_NODE_PORT, true},
		/* masquerading */
		{{B(CLUSTER, 1), B(CLUSTER, 0), B(CLUSTER, 0)},
		 FRONTEND_CLUSTER_IP,
		 false},
		{{B(CLUSTER, 1), B(CLUSTER, 1), B(CLUSTER, 0)},
		 FRONTEND_CLUSTER_IP,
		 false},
		{{B(CLUSTER, 0), B(CLUSTER, 0), B(CLUSTER, 1)},
		 FRONTEND_CLUSTER_IP,
		 false},
		{{B(CLUSTER, 0), B(CLUSTER, 1), B(CLUSTER, 1)},
		 FRONTEND_NODE_PORT,
		 false},
		/* pools */
		{{B(LOCAL, 0), B(CLUSTER, 0), B(CLUSTER, 0)}, FRONTEND_CLUSTER_IP, false},
		{{B(CLUSTER, 0), NOT(DROP), B(LOCAL, 0)}, FRONTEND_NODE_PORT, false},
		/* of what is not balanced */
		{{NOT(DROP), NOT(DROP), {ACTION_DROP, POOL_LOCAL, 0}},
		 FRONTEND_NODE_PORT,
		 false},
		{{NOT(DROP), NOT(DROP), {ACTION_DROP, 0, 1}}, FRONTEND_NODE_PORT, false},
	};
#undef B
#undef NOT

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(build_alone(cases[i].from, cases[i].kind),
				 cases[i].is_known ? 0 : SIGABRT);
}

static void options_are_part_of_the_value_and_are_kept_with_other_frontends(void **state)
{
	struct service_spec spec = {.ns = "n",
				    .name = "a",
				    .port_name = "p",
				    .proto = IPPROTO_TCP,
				    .times = {.drain_ms = 7},
				    .health_path = "/ready"};
	_service_ *with = service_new(&spec);
	_service_ *copy = service_with_frontends(with, NULL, 0);

	(void)state;
	spec.health_path = NULL;
	_service_ *without_path = service_new(&spec);
	spec.times.drain_ms = 0;
	_service_ *plain = service_new(&spec);

	assert_true(service_equal(with, copy));
	assert_string_equal(service_health_path(copy), "/ready");
	assert_string_equal(service_health_path(plain), "");
	assert_false(service_equal(with, without_path));
	assert_false(service_equal(without_path, plain));
}

static void a_service_is_freed_with_its_last_reference(void **state)
{
	struct service *s = sample_service("a", "", "", ""), *again = service_ref(s);

	(void)state;
	assert_ptr_equal(s, again);
	service_unref(s);
	assert_string_equal(service_name(again), "a"); /* ASan: still there */
	service_unref(again);
	service_unref(NULL);
}

static void five_endpoints_fit_in_a_small_block(void **state)
{
	_service_ *s = sample_service(
		"service-12345", "http", "10.96.1.2:80",
		"10.1.1.1:8080 10.1.1.2:8080 10.1.1.3:8080 10.1.1.4:8080 10.1.1.5:8080");

	(void)state;
	assert_in_range(s->size_len, 150, 256);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoints_are_sorted_by_address_and_port),
		cmocka_unit_test(each_endpoint_is_found_by_address_and_port),
		cmocka_unit_test(a_repeated_endpoint_is_in_all_pools_that_it_was_in),
		cmocka_unit_test(frontends_are_sorted_by_kind_address_and_port),
		cmocka_unit_test(equal_input_in_any_order_gives_equal_services),
		cmocka_unit_test(names_and_labels_of_a_service_are_returned),
		cmocka_unit_test(keys_are_ordered_by_namespace_name_port_protocol_family),
		cmocka_unit_test(a_pool_is_used_if_a_frontend_balances_over_it),
		cmocka_unit_test(combinations_unknown_to_sinks_are_refused),
		cmocka_unit_test(
			options_are_part_of_the_value_and_are_kept_with_other_frontends),
		cmocka_unit_test(a_service_is_freed_with_its_last_reference),
		cmocka_unit_test(five_endpoints_fit_in_a_small_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
