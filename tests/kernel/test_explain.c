/*
 * The output of `sluice explain` about a connection equals the rows of a scenario
 * expect of it, with which the kernel's traffic is compared elsewhere; and `get`
 * counts the connections that there were.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/http_get.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"
#include "watchers/decode/json_text.h"

static json_t *ask(struct instance *sluice, const char *command)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	json_error_t error;
	json_t *json;

	if (instance_command(sluice, command, &out))
		instance_fail(sluice, "%s: %s", command, buf_string(&out));
	json = json_loads(buf_string(&out), 0, &error);
	if (!json)
		instance_fail(sluice, "%s: %s: %s", command, error.text,
			      buf_string(&out));
	return json;
}

static json_t *explain(struct instance *sluice, const struct target *t)
{
	char from[ADDR_TEXT_LEN], to[ADDR_PORT_TEXT_LEN];
	struct addr source = world_addr(t->from, t->family);
	_cleanup_(freep) char *command =
		xasprintf("explain %s/%s --from %s -o json",
			  addr_port_format(&t->addr, t->port, to), proto_name(t->proto),
			  addr_format(&source, from));

	return ask(sluice, command);
}

/* "pod1:80 far1:80", in that order, of the endpoints in the pool. */
static void add_pool(struct buf *out, const json_t *endpoints, const char *pool,
		     enum family family)
{
	static const char *const names[] = {"pod1", "far1"};
	const char *flag = strcmp(pool, "local") == 0 ? "inLocalPool" : "inClusterPool";

	for (size_t n = 0; n < N_ELEMENTS(names); n++)
		for (size_t i = 0; i < json_array_size(endpoints); i++) {
			const json_t *e = json_array_get(endpoints, i);
			struct addr a = world_addr(names[n], family);
			char text[ADDR_PORT_TEXT_LEN];

			if (json_is_true(json_object_get(e, flag)) &&
			    strcmp(json_text(e, "endpoint"),
				   addr_port_format(&a, 80, text)) == 0)
				buf_printf(out, "%s%s:80", out->len ? " " : "", names[n]);
		}
}

/* In the words of a scenario's row. */
static void add_expectation(struct buf *out, const json_t *result, enum family family)
{
	const json_t *sources = json_object_get(result, "sources");
	const json_t *source = json_array_get(sources, 0);
	const char *action = json_text(source, "action");

	assert_int_equal(json_array_size(sources), 1);
	if (strcmp(action, "balance") != 0) {
		buf_add_string(out, strcmp(action, "drop") == 0 ? "silent" : "refused");
		return;
	}
	add_pool(out, json_object_get(result, "endpoints"), json_text(source, "pool"),
		 family);
	if (json_is_true(json_object_get(source, "masquerade")))
		buf_add_string(out, " +m");
}

/*
 * Connections that the eBPF programs decide are not masqueraded; the end of a row
 * about userspace mode is not explained.
 */
static bool is_as_expected(const struct traffic_row *row, const char *explained,
			   bool by_ebpf)
{
	const char *end = by_ebpf ? strstr(row->expect, " +m") : NULL;
	size_t len;

	end = end ? end : strstr(row->expect, " ~");
	len = end ? (size_t)(end - row->expect) : strlen(row->expect);
	return strlen(explained) == len && strncmp(explained, row->expect, len) == 0;
}

static bool is_by_ebpf(const json_t *result)
{
	const json_t *source = json_array_get(json_object_get(result, "sources"), 0);
	const char *name = json_text(source, "decidedBy");

	return name && strcmp(name, "ebpf") == 0;
}

static void check(struct instance *sluice, const struct scenario *s)
{
	size_t n_by_ebpf = 0;

	instance_put(sluice, s->services, s->n_services);
	for (size_t i = 0; i < s->n_rows; i++) { /* by turns: each is a process */
		const struct traffic_row *row = &s->rows[i];
		enum family family = (enum family)(i % FAMILY_N);
		struct target t = target_named(row->from, row->to, IPPROTO_TCP, family);
		_cleanup_(buf_fini) struct buf explained = BUF_INIT;
		json_t *result = explain(sluice, &t);
		bool by_ebpf;

		add_expectation(&explained, result, family);
		by_ebpf = is_by_ebpf(result);
		n_by_ebpf += by_ebpf;
		json_decref(result);
		if (!is_as_expected(row, buf_string(&explained), by_ebpf))
			fail_msg("%s -> %s, %s: %s, but '%s' is expected", row->from,
				 row->to, family_name(family), buf_string(&explained),
				 row->expect);
	}
	assert_int_equal(n_by_ebpf > 0, instance_is_ebpf());
}

static void explain_names_the_policy_that_packets_meet(void **state)
{
	check(*state, scenario_pods_known);
}

static void explain_names_the_source_ranges_that_packets_meet(void **state)
{
	check(*state, scenario_source_ranges);
}

static const struct {
	const char *to, *action, *why;
} unmatched[] = {
	{"svc20:81", "reject", "it is the cluster IP of test/limited"},
	{"svc99:80", "drop", "no Service has this address of a ServiceCIDR"},
	{"ext20:81", "untouched", "it is an address of test/limited"},
	{"ext50:80", "untouched", "it is not an address of a Service"},
	{"node2:3001", "untouched", "it is a node port of test/limited"},
	{"node:3002", "untouched", "it is not an address of a Service"},
};

static void explain_says_why_no_frontend_matches(void **state)
{
	struct instance *sluice = *state;

	instance_put(sluice, scenario_source_ranges->services,
		     scenario_source_ranges->n_services);
	for (size_t i = 0; i < N_ELEMENTS(unmatched); i++) {
		struct target t =
			target_named("client", unmatched[i].to, IPPROTO_TCP, FAMILY_IPV4);
		json_t *result = explain(sluice, &t);

		assert_string_equal(json_text(result, "action"), unmatched[i].action);
		assert_non_null(strstr(json_text(result, "why"), unmatched[i].why));
		json_decref(result);
	}
}

static void explain_names_an_address_with_ip_mode_proxy(void **state)
{
	static const struct manifest_service proxied = {.name = "proxied",
							.type = "LoadBalancer",
							.ip = "svc32",
							.vips = "vip32",
							.ip_mode = "Proxy",
							.ports = "p 80>80",
							.endpoints = "far1R"};
	struct target t = target_named("client", "vip32:80", IPPROTO_TCP, FAMILY_IPV4);
	struct instance *sluice = *state;
	json_t *result;

	instance_put(sluice, &proxied, 1);
	result = explain(sluice, &t);
	assert_string_equal(json_text(result, "action"), "untouched");
	assert_non_null(
		strstr(json_text(result, "why"), "test/proxied with ipMode Proxy"));
	json_decref(result);
}

/* The text output. */
static void a_single_endpoint_is_explained_in_the_singular(void **state)
{
	static const struct manifest_service single = {.name = "single",
						       .ip = "svc33",
						       .ports = "p 80>80",
						       .endpoints = "far1R"};
	struct target t = target_named("client", "svc33:80", IPPROTO_TCP, FAMILY_IPV4);
	char to[ADDR_PORT_TEXT_LEN];
	_cleanup_(freep) char *command =
		xasprintf("explain %s", addr_port_format(&t.addr, t.port, to));
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct instance *sluice = *state;

	instance_put(sluice, &single, 1);
	assert_int_equal(instance_command(sluice, command, &out), 0);
	assert_non_null(strstr(buf_string(&out), "balance over 1 endpoint of"));
}

/* In all rows of this Service, family and protocol TCP. */
static long long connections(struct instance *sluice, const char *command,
			     enum family family)
{
	json_t *rows = ask(sluice, command);
	long long n = 0;

	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		struct addr a;

		if (strcmp(json_text(row, "name"), "counted") == 0 &&
		    strcmp(json_text(row, "protocol"), "TCP") == 0 &&
		    addr_parse(json_text(row, "address"), &a) == 0 &&
		    addr_family(&a) == family)
			n += json_integer_value(json_object_get(row, "connections"));
	}
	json_decref(rows);
	return n;
}

static void ask_often(struct instance *sluice, const struct target *t, int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(probe(sluice->world, t, PROBE_PATIENCE_MS).outcome,
				 PROBE_ANSWERED);
}

/* Of all Services. */
static long long metric(const struct instance *sluice)
{
	static const char name[] = "\nsluice_connections_total ";
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	const char *at;

	assert_int_equal(http_get(sluice->world, 10249, "/metrics", &body), 200);
	at = strstr(buf_string(&body), name);
	assert_non_null(at);
	return atoll(at + strlen(name));
}

static void connections_are_counted_for_services_and_endpoints(void **state)
{
	static const struct manifest_service counted = {.name = "counted",
							.ip = "svc31",
							.ports = "p 80>80",
							.endpoints = "pod1R pod2R far1R"};
	static const int n_asked[FAMILY_N] = {7, 3};
	struct instance *sluice = *state;
	long long before;

	instance_put(sluice, &counted, 1);
	before = metric(sluice);
	for (enum family f = 0; f < FAMILY_N; f++) {
		struct target t = target_named("pod3", "svc31:80", IPPROTO_TCP, f);

		ask_often(sluice, &t, n_asked[f]);
		t.procs = sluice->world->opted_out; /* in eBPF mode: by nftables */
		ask_often(sluice, &t, 2 * n_asked[f]);
	}
	for (enum family f = 0; f < FAMILY_N; f++) {
		assert_int_equal(connections(sluice, "get services -n test -o json", f),
				 3 * n_asked[f]);
		assert_int_equal(connections(sluice, "get endpoints -n test -o json", f),
				 3 * n_asked[f]);
	}
	assert_int_equal(metric(sluice) - before, 3 * (n_asked[0] + n_asked[1]));
}

static void explain_notes_which_sockets_are_left_to_nftables(void **state)
{
	static const struct manifest_service services[] = {
		{.name = "a",
		 .ip = "svc34",
		 .ports = "p 80>80/UDP",
		 .endpoints = "pod1R far1R"},
		{.name = "b",
		 .ip = "svc35",
		 .ports = "p 80>80/UDP",
		 .endpoints = "pod1R"},
		{.name = "c",
		 .ip = "svc36",
		 .external = "far1",
		 .ports = "p 80>80/UDP",
		 .endpoints = "pod2R"},
	};
	static const char *const notes[] = {
		"nftables decides for sockets of the cgroup ",
		"nftables decides when endpoint 10.180.2.1:80 is chosen: ",
		"endpoint 10.180.0.1:80 is one of test/b, too: ",
	};
	struct target t = target_named("pod3", "svc34:80", IPPROTO_UDP, FAMILY_IPV4);
	char to[ADDR_PORT_TEXT_LEN];
	_cleanup_(freep) char *command = NULL;
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct instance *sluice = *state;

	if (!instance_is_ebpf()) /* nftables decides for all of them */
		skip();
	command = xasprintf("explain %s/UDP", addr_port_format(&t.addr, t.port, to));
	instance_put(sluice, services, N_ELEMENTS(services));
	assert_int_equal(instance_command(sluice, command, &out), 0);
	for (size_t i = 0; i < N_ELEMENTS(notes); i++)
		if (!strstr(buf_string(&out), notes[i]))
			fail_msg("%s: not in\n%s", notes[i], buf_string(&out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(explain_names_the_policy_that_packets_meet),
		cmocka_unit_test(explain_names_the_source_ranges_that_packets_meet),
		cmocka_unit_test(explain_says_why_no_frontend_matches),
		cmocka_unit_test(explain_names_an_address_with_ip_mode_proxy),
		cmocka_unit_test(a_single_endpoint_is_explained_in_the_singular),
		cmocka_unit_test(connections_are_counted_for_services_and_endpoints),
		cmocka_unit_test(explain_notes_which_sockets_are_left_to_nftables),
	};

	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
