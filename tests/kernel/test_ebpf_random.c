/*
 * Random changes: after each the maps must lead where the services say, and a
 * daemon that starts over them must find nothing to correct.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "bpf/ebpf_diff.h"
#include "bpf/ebpf_kernel.h"
#include "bpf/ebpf_table.h"
#include "core/cleanup.h"
#include "core/state.h"
#include "tests/kernel/ebpf_stage.h"
#include "tests/test.h"

#define N_NAMES	    40
#define N_ADDRESSES 60
#define N_ROUNDS    400
#define MAX_ENDS    30
#define MAX_NODES   8

static struct ebpf_stage *stage;
static struct addr nodes[FAMILY_N][MAX_NODES];
static struct environment env = {
	.node_addresses =
		{[FAMILY_IPV4] = nodes[FAMILY_IPV4], [FAMILY_IPV6] = nodes[FAMILY_IPV6]},
};
static enum family family; /* of the addresses that are made */

static uint32_t below(uint32_t n)
{
	return (uint32_t)random() % n;
}

static struct addr make_addr(unsigned a, unsigned b)
{
	const uint8_t four[4] = {10, (uint8_t)a, (uint8_t)(b >> 8), (uint8_t)b};
	const uint8_t six[16] = {
		0xfd, [7] = (uint8_t)a, [14] = (uint8_t)(b >> 8), [15] = (uint8_t)b};

	return addr_from_bytes(family, family == FAMILY_IPV4 ? four : six);
}

/* For all classes of clients, or for those outside alone. */
static void random_decisions(struct frontend *f)
{
	bool is_outside = f->kind != FRONTEND_CLUSTER_IP && below(3) == 0;
	enum action action = ACTION_BALANCE;

	if (below(8) == 0)
		action = ACTION_REJECT;
	else if (below(8) == 0)
		action = ACTION_DROP;
	for (unsigned c = is_outside ? CLIENT_EXTERNAL : 0; c < CLIENT_N; c++) {
		f->from[c].action = action;
		if (action == ACTION_BALANCE && below(3) == 0 && c == CLIENT_EXTERNAL)
			f->from[c].pool = POOL_LOCAL;
	}
}

static size_t random_frontends(struct frontend *ret)
{
	static const uint8_t kinds[] = {FRONTEND_EXTERNAL_IP, FRONTEND_LOAD_BALANCER,
					FRONTEND_NODE_PORT};
	size_t n = 1 + below(3);

	for (size_t i = 0; i < n; i++) {
		ret[i] = (struct frontend){
			.addr = make_addr(96, below(N_ADDRESSES)),
			.port = (uint16_t)(80 + i), /* unique within the service */
			.kind = i == 0 ? FRONTEND_CLUSTER_IP
				       : kinds[below(N_ELEMENTS(kinds))],
		};
		if (i == 2 && below(2)) {
			ret[i].kind = FRONTEND_NODE_PORT;
			ret[i].addr = addr_unspecified(family);
			ret[i].port = (uint16_t)(80 + below(10));
		}
		ret[i].is_limited = ret[i].kind == FRONTEND_LOAD_BALANCER && below(2);
		random_decisions(&ret[i]);
	}
	return n;
}

static size_t random_endpoints(struct endpoint *ret)
{
	size_t n = 0, first = below(20);

	for (size_t i = first; i < first + MAX_ENDS && n < MAX_ENDS; i++) {
		if (below(2))
			continue;
		ret[n] = (struct endpoint){.addr = make_addr(244, (unsigned)i),
					   .port = 8080};
		ret[n].flags = ENDPOINT_SERVING;
		if (below(4))
			ret[n].flags |= ENDPOINT_CLUSTER;
		if (below(3) == 0)
			ret[n].flags |= ENDPOINT_LOCAL;
		n++;
	}
	return n;
}

static void change_one(struct state *st)
{
	struct frontend frontends[3];
	struct endpoint endpoints[MAX_ENDS];
	char name[16];
	struct service_spec spec = {
		.ns = "test",
		.name = name,
		.port_name = "",
		.proto = below(2) ? IPPROTO_TCP : IPPROTO_UDP,
		.affinity_sec = below(4) == 0 ? 100 : 0,
		.frontends = frontends,
		.endpoints = endpoints,
	};
	struct service *s;

	(void)snprintf(name, sizeof(name), "s%u", below(N_NAMES));
	family = below(2) ? FAMILY_IPV4 : FAMILY_IPV6;
	spec.family = family;
	if (below(4) == 0)
		spec.options.on_endpoint_removed = ENDPOINT_REMOVAL_RESET;
	if (below(5) == 0) {
		state_replace(st, "test", name, NULL, 0);
		return;
	}
	spec.n_frontends = random_frontends(frontends);
	spec.n_endpoints = random_endpoints(endpoints);
	s = service_new(&spec);
	state_replace(st, "test", name, &s, 1); /* takes it */
}

/* Some are external addresses of services, too; one is loopback. */
static void change_nodes(struct state *st)
{
	static const char *const loopback[] = {"127.0.0.1", "::1"};
	size_t n = 2 + below(MAX_NODES - 2);

	family = below(2) ? FAMILY_IPV4 : FAMILY_IPV6;
	for (size_t i = 0; i < n; i++)
		nodes[family][i] = make_addr(96, 5 * (unsigned)i + below(5));
	/* in order: before all others, or after them */
	assert_int_equal(addr_parse(loopback[family],
				    &nodes[family][family == FAMILY_IPV4 ? n - 1 : 0]),
			 0);
	env.n_node_addresses[family] = n;
	state_set_node_addresses(st, family, nodes[family], n);
}

static void apply(struct state *st, struct ebpf_table *table, bool full)
{
	struct state_taken taken = state_take(st, full);
	struct changeset cs = {.full = full,
			       .env = &env,
			       .changes = taken.changes,
			       .n = taken.n,
			       .node_changes = taken.node_changes,
			       .n_node_changes = taken.n_node_changes};

	assert_int_equal(ebpf_table_apply(table, &cs), 0);
	state_taken_fini(&taken);
}

static void assert_no_difference(struct state *st, struct ebpf_kernel *kernel,
				 const struct ebpf_table *table)
{
	struct state_taken taken = state_take(st, true);
	struct changeset cs = {.full = true,
			       .env = &env,
			       .changes = taken.changes,
			       .n = taken.n};
	struct sink_diff *diff = ebpf_diff_new(kernel, table, &cs);
	size_t n;
	int more;

	while ((more = sink_diff_step(diff)) == 1)
		;
	assert_int_equal(more, 0);
	if (sink_diff_lines(diff, &n) && n)
		print_message("%s", sink_diff_lines(diff, &n));
	assert_int_equal(n, 0);
	sink_diff_free(diff);
	state_taken_fini(&taken);
}

static void maps_follow_any_change_and_survive_restarts(void **state)
{
	struct ebpf_params params = ebpf_stage_params(stage);
	_cleanup_(freep) char *why = NULL;
	struct state *st = state_new();
	struct ebpf_kernel *kernel;
	struct ebpf_table *table;
	unsigned n;

	(void)state;
	srandom(1);
	assert_int_equal(ebpf_kernel_open(&params, &kernel, &why), 0);
	table = ebpf_table_new(kernel);
	apply(st, table, true);
	assert_int_equal(ebpf_kernel_attach(kernel, &n), 0);
	for (int round = 0; round < N_ROUNDS; round++) {
		for (uint32_t i = 1 + below(4); i > 0; i--)
			change_one(st);
		if (below(3) == 0)
			change_nodes(st);
		apply(st, table, false);
		if (round % 5 == 0)
			assert_no_difference(st, kernel, table);
		if (round % 40 != 39)
			continue;
		ebpf_table_free(table);
		ebpf_kernel_close(kernel);
		assert_int_equal(ebpf_kernel_open(&params, &kernel, &why), 0);
		table = ebpf_table_new(kernel);
		apply(st, table, true);
		assert_int_equal(ebpf_kernel_attach(kernel, &n), 0);
		assert_int_equal(ebpf_table_stats(table).n_repaired, 0);
		assert_no_difference(st, kernel, table);
	}
	ebpf_table_free(table);
	ebpf_kernel_close(kernel);
	assert_int_equal(ebpf_kernel_cleanup(stage->bpffs, &n), 0);
	state_free(st);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_follow_any_change_and_survive_restarts),
	};
	int n_failed;

	stage = ebpf_stage_enter();
	if (!stage)
		return TEST_SKIPPED;
	n_failed = cmocka_run_group_tests(tests, NULL, NULL);
	ebpf_stage_leave(stage);
	return n_failed;
}
