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
static struct addr nodes[MAX_NODES];
static struct environment env = {.node_addresses = {nodes}};

static uint32_t below(uint32_t n)
{
	return (uint32_t)random() % n;
}

static struct addr make_addr(unsigned a, unsigned b)
{
	const uint8_t bytes[4] = {10, (uint8_t)a, (uint8_t)(b >> 8), (uint8_t)b};

	return addr_from_bytes(FAMILY_IPV4, bytes);
}

static size_t random_frontends(struct frontend *ret)
{
	size_t n = 1 + below(3);

	for (size_t i = 0; i < n; i++) {
		ret[i] = (struct frontend){
			.addr = make_addr(96, below(N_ADDRESSES)),
			.port = (uint16_t)(80 + i), /* unique within the service */
			.kind = (uint8_t)(i == 0 ? FRONTEND_CLUSTER_IP
						 : FRONTEND_EXTERNAL_IP),
		};
		if (i == 2 && below(2)) {
			ret[i].kind = FRONTEND_NODE_PORT;
			ret[i].addr = addr_unspecified(FAMILY_IPV4);
			ret[i].port = (uint16_t)(80 + below(10));
		}
		if (below(8) == 0) {
			for (unsigned c = 0; c < CLIENT_N; c++)
				ret[i].from[c].action = ACTION_REJECT;
		} else if (i > 0 && below(3) == 0) {
			ret[i].from[CLIENT_EXTERNAL].pool = POOL_LOCAL;
		}
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
		.family = FAMILY_IPV4,
		.proto = below(2) ? IPPROTO_TCP : IPPROTO_UDP,
		.affinity_sec = below(4) == 0 ? 100 : 0,
		.frontends = frontends,
		.endpoints = endpoints,
	};
	struct service *s;

	(void)snprintf(name, sizeof(name), "s%u", below(N_NAMES));
	if (below(5) == 0) {
		state_replace(st, "test", name, NULL, 0);
		return;
	}
	spec.n_frontends = random_frontends(frontends);
	spec.n_endpoints = random_endpoints(endpoints);
	s = service_new(&spec);
	state_replace(st, "test", name, &s, 1); /* takes it */
}

/* Some are external addresses of services, too; the last one is loopback. */
static void change_nodes(struct state *st)
{
	size_t n = 2 + below(MAX_NODES - 2);

	for (size_t i = 0; i < n; i++)
		nodes[i] = make_addr(96, 5 * (unsigned)i + below(5));
	nodes[n - 1].b[12] = 127;
	env.n_node_addresses[FAMILY_IPV4] = n;
	state_set_node_addresses(st, FAMILY_IPV4, nodes, n);
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

static void assert_no_difference(struct state *st, struct ebpf_kernel *kernel)
{
	struct state_taken taken = state_take(st, true);
	struct changeset cs = {.full = true,
			       .env = &env,
			       .changes = taken.changes,
			       .n = taken.n};
	struct sink_diff *diff = ebpf_diff_new(kernel, &cs);
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
			assert_no_difference(st, kernel);
		if (round % 40 != 39)
			continue;
		ebpf_table_free(table);
		ebpf_kernel_close(kernel);
		assert_int_equal(ebpf_kernel_open(&params, &kernel, &why), 0);
		table = ebpf_table_new(kernel);
		apply(st, table, true);
		assert_int_equal(ebpf_kernel_attach(kernel, &n), 0);
		assert_int_equal(ebpf_table_stats(table).n_repaired, 0);
		assert_no_difference(st, kernel);
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
