/*
 * Random clusters: what plan() decided for each frontend and kind of client
 * against what the tables in the kernel would do to a packet, as an independent
 * reading of their listing sees it.  Changes come as deltas, now and then as a
 * full change set over the last state, sometimes into an empty kernel.
 *
 * SLUICE_TEST_SEED repeats a run, SLUICE_TEST_CLUSTERS makes a longer one.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/state.h"
#include "rules/nft/nft.h"
#include "tests/kernel/kernel_check.h"
#include "tests/kernel/nft_sample.h"
#include "tests/kernel/random_cluster.h"
#include "tests/test.h"
#include "watchers/cluster.h"
#include "watchers/plan/plan.h"

#define N_CLUSTERS 200
#define N_CHANGES  2 /* to each of them */

#define N_HOSTS 8

struct bench {
	struct random_cluster random;
	struct state *state;
	struct sink *sink;
	struct environment env;
	struct plan_options options;
	struct nodeport_addresses nodeports;
	struct addr host[N_HOSTS], *node_addresses[FAMILY_N];
	struct kernel_check check;
	uint64_t n_conflicts, n_everywhere, n_node_changes;
};

static void check_no_difference(struct bench *b)
{
	struct state_taken taken = state_take(b->state, true);
	struct changeset cs = {.full = true,
			       .env = &b->env,
			       .changes = taken.changes,
			       .n = taken.n};
	_cleanup_(buf_fini) struct buf lines = BUF_INIT;

	if (sample_diff(b->sink, &cs, &lines))
		fail_msg("the sink itself sees a difference: %s", buf_string(&lines));
	state_taken_fini(&taken);
}

static void apply(struct bench *b, bool full)
{
	struct state_taken taken;
	struct changeset cs;
	struct state_conflict *conflicts;
	size_t n_conflicts;

	for (enum family family = 0; family < FAMILY_N; family++)
		state_set_node_addresses(b->state, family, b->env.node_addresses[family],
					 b->env.n_node_addresses[family]);
	(void)plan_dirty(b->random.cluster, &b->options, b->state, SIZE_MAX);
	b->env.n_service_cidrs =
		(uint32_t)cluster_service_cidrs(b->random.cluster, b->env.service_cidrs,
						ENVIRONMENT_MAX_SERVICE_CIDRS);
	taken = state_take(b->state, full);
	cs = (struct changeset){.full = taken.full,
				.env = &b->env,
				.changes = taken.changes,
				.n = taken.n,
				.node_changes = taken.node_changes,
				.n_node_changes = taken.n_node_changes};
	b->n_node_changes += taken.n_node_changes;
	assert_int_equal(sink_apply(b->sink, &cs), 0);
	state_taken_fini(&taken);
	conflicts = state_conflicts(b->state, &n_conflicts);
	b->n_conflicts += n_conflicts;
	free(conflicts);
	b->check.n_hosts = b->options.n_host_addresses;
	kernel_check_run(&b->check);
}

static void list_node_addresses(struct bench *b)
{
	for (enum family family = 0; family < FAMILY_N; family++) {
		size_t n;

		free(b->node_addresses[family]);
		b->node_addresses[family] =
			plan_nodeport_addresses(&b->options, NULL, family, &n);
		b->env.node_addresses[family] = n > 1 ? b->node_addresses[family] : NULL;
		b->env.n_node_addresses[family] = n > 1 ? n : 0;
	}
}

/* The first four stay: there is more than one address before and after, or not. */
static void change_hosts(struct bench *b)
{
	b->options.n_host_addresses = 4 + random_below(&b->random, N_HOSTS - 3);
	list_node_addresses(b);
}

/* Those of both networks, of one in one family only, or the primary ones. */
static void choose_node_addresses(struct bench *b)
{
	static const char *const lists[][2] = {{"all"},
					       {"192.168.0.0/16", "fd00:192:168::/48"},
					       {"primary"}};
	const char *const *list = lists[random_below(&b->random, N_ELEMENTS(lists))];
	char *error = NULL;

	nodeport_addresses_fini(&b->nodeports);
	assert_int_equal(nodeport_addresses_parse(list, list[1] ? 2 : 1, &b->nodeports,
						  &error),
			 0);
	list_node_addresses(b);
	for (enum family family = 0; family < FAMILY_N; family++)
		b->n_everywhere += b->env.n_node_addresses[family] > 1;
}

/* The environment comes from options that change from cluster to cluster. */
static void choose_options(struct bench *b)
{
	bool detector = random_below(&b->random, 100) < 75;
	bool masquerade_all = random_below(&b->random, 100) < 20;

	b->env = (struct environment){
		.detector = detector ? POD_DETECTOR_CIDR : POD_DETECTOR_NONE,
		.has_pod_cidr = {detector, detector},
		.masquerade_all = masquerade_all,
		.masquerade_mark = 0x4000,
		.enabled = {true, true},
	};
	assert_int_equal(cidr_parse("10.180.0.0/16", &b->env.pod_cidr[FAMILY_IPV4]), 0);
	assert_int_equal(cidr_parse("fd00:10:180::/48", &b->env.pod_cidr[FAMILY_IPV6]),
			 0);
	b->options = (struct plan_options){
		.node_name = RANDOM_NODE_NAME,
		.detector = b->env.detector,
		.has_detector = {detector, detector},
		.masquerade_all = masquerade_all,
		.use_node_hints = true,
		.allow_external_ips = true,
		.nodeports = &b->nodeports,
		.host_addresses = b->host,
		.n_host_addresses = N_ELEMENTS(b->host),
		.node_ip = {b->host[0], b->host[1]},
	};
	choose_node_addresses(b);
	cluster_mark_all(b->random.cluster);
}

static void run_cluster(struct bench *b, unsigned number)
{
	random_cluster_fill(&b->random);
	choose_options(b);
	if (number % 10 == 9)
		assert_int_equal(nft_cleanup(), 0);
	apply(b, true); /* new options come with a full change set */
	for (int i = 0; i < N_CHANGES; i++) {
		random_cluster_change(&b->random);
		change_hosts(b);
		apply(b, false);
	}
	if (number % 5 == 0)
		check_no_difference(b);
}

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void the_kernel_does_what_was_planned(void **state)
{
	/* the second four come and go; some are external addresses of Services, too */
	static const char *const host[N_HOSTS] = {
		"192.168.0.2", "fd00:192:168::2", "192.168.1.2",  "fd00:192:169::2",
		"203.0.114.3", "fd00:99::2",	  "192.168.99.2", "2001:db8:114::3",
	};
	uint64_t n = number_from_environment("SLUICE_TEST_CLUSTERS", N_CLUSTERS);
	struct bench b = {.random.seed =
				  number_from_environment("SLUICE_TEST_SEED", 20260)};
	struct kernel_check *c = &b.check;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(host); i++)
		assert_int_equal(addr_parse(host[i], &b.host[i]), 0);
	b.random.cluster = cluster_new(RANDOM_NODE_NAME);
	b.state = state_new();
	*c = (struct kernel_check){.env = &b.env, .state = b.state, .hosts = b.host};
	assert_int_equal(nft_sink_new(&b.sink), 0);
	for (unsigned i = 0; i < n; i++)
		run_cluster(&b, i);

	print_message(
		"%lu clusters, %lu tables read, %lu elements, at most %u rules; %lu "
		"frontends x sources = %lu decisions (%lu balanced, %lu refused, "
		"%lu dropped, %lu not allowed in; %lu masqueraded), %lu hairpins, "
		"%lu unused addresses, %lu conflicts, %lu packets walked: no "
		"difference\n",
		n, c->n_tables, c->n_elements, c->max_rules, c->n_frontends,
		c->n_decisions, c->n_actions[ACTION_BALANCE], c->n_actions[ACTION_REJECT],
		c->n_actions[ACTION_DROP], c->n_limited, c->n_masqueraded, c->n_hairpins,
		c->n_gone, b.n_conflicts, c->n_walks);
	/* a generator that forgot a branch would prove nothing about it */
	assert_true(c->n_actions[ACTION_REJECT] && c->n_actions[ACTION_DROP] &&
		    c->n_limited && c->n_hairpins && b.n_conflicts && c->n_gone &&
		    b.n_everywhere && b.n_node_changes);
	sink_close(b.sink);
	state_free(b.state);
	cluster_free(b.random.cluster);
	nodeport_addresses_fini(&b.nodeports);
	for (enum family family = 0; family < FAMILY_N; family++)
		free(b.node_addresses[family]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_does_what_was_planned),
	};

	if (unshare(CLONE_NEWNET) == -1) {
		(void)fprintf(stderr, "skipped: %s\n", strerror(errno));
		return TEST_SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
