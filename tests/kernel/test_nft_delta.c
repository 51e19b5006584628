/*
 * A delta sends what changed and nothing else, and comes to the same as
 * programming everything from scratch.
 */
#include "tests/test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/nft_sample.h"

static struct sample web(const char *endpoints)
{
	return (struct sample){
		.name = "web",
		.frontends = {{"10.96.0.1:80", SAMPLE_CLUSTER_IP, false}},
		.endpoints = endpoints,
	};
}

static void start(struct sample_world *w, const struct sample *sample)
{
	sample_put(w, sample, 1);
	assert_int_equal(sample_full(w), 0);
}

static int go_to(struct sample_world *w, const struct sample *sample)
{
	struct service *s = sample_service(sample);

	return sample_delta(w, &s, 1);
}

static void a_changed_endpoint_costs_one_element(void **state)
{
	struct sample_world *w = *state;
	struct sample before = web("10.2.0.2:80 10.2.0.3:80 10.2.0.4:80");
	struct sample after = web("10.2.0.2:80 10.2.0.3:80 10.2.0.5:80");
	struct nft_stats was, is;

	start(w, &before);
	was = nft_sink_stats(w->sink);
	assert_int_equal(go_to(w, &after), 0);
	is = nft_sink_stats(w->sink);
	assert_int_equal(is.n_transactions - was.n_transactions, 1);
	assert_int_equal(is.n_elements_added - was.n_elements_added, 1);
	assert_int_equal(is.n_elements_deleted - was.n_elements_deleted, 1);
	sample_expect_exact(w);
}

/* The same service without one of its endpoints. */
static struct service *without(const struct service *s, uint32_t gone)
{
	struct service_spec spec = {
		.ns = service_namespace(s),
		.name = service_name(s),
		.port_name = service_port_name(s),
		.family = s->family,
		.proto = s->proto,
		.frontends = service_frontends(s),
		.n_frontends = s->n_frontends,
		.n_endpoints = s->n_endpoints - 1,
	};
	_cleanup_(freep) struct endpoint *endpoints =
		xcalloc(s->n_endpoints, sizeof(*endpoints));

	memcpy(endpoints, service_endpoints(s), s->n_endpoints * sizeof(*endpoints));
	memmove(endpoints + gone, endpoints + gone + 1,
		(spec.n_endpoints - gone) * sizeof(*endpoints));
	spec.endpoints = endpoints;
	return service_new(&spec);
}

static uint64_t n_changed(struct sample_world *w, struct service *next)
{
	struct nft_stats was = nft_sink_stats(w->sink), is;

	assert_int_equal(sample_delta(w, &next, 1), 0);
	is = nft_sink_stats(w->sink);
	assert_in_range(is.n_transactions - was.n_transactions, 1,
			2); /* or a new chain */
	return is.n_elements_added - was.n_elements_added + is.n_elements_deleted -
	       was.n_elements_deleted;
}

/* Whether one goes, makes room for another one, or comes; and a restart finds all in place. */
static void few_elements_change_with_one_of_many_endpoints(void **state)
{
	static const struct {
		uint32_t n, most;
	} cases[] = {{10, 20}, {1000, 50}, {5000, 60}};
	struct sample_world *w = *state;

	assert_int_equal(sample_full(w), 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		uint32_t n = cases[i].n;
		struct service *all = sample_large_service("large", "10.96.1.1:80", n);
		uint64_t added, exchanged, deleted;

		(void)n_changed(w, service_ref(all));
		deleted = n_changed(w, without(all, n / 3));
		exchanged = n_changed(w, without(all, 0));
		added = n_changed(w, all);
		print_message("one of %u endpoints deleted, exchanged, added: %" PRIu64
			      ", %" PRIu64 ", %" PRIu64 " elements\n",
			      n, deleted, exchanged, added);
		assert_in_range(deleted, 1, cases[i].most);
		assert_in_range(exchanged, 1, cases[i].most);
		assert_in_range(added, 1, cases[i].most);
		sample_restart(w);
		assert_int_equal(sample_full(w), 0);
		assert_int_equal(nft_sink_stats(w->sink).n_transactions, 0);
	}
}

static void an_unchanged_state_sends_no_messages(void **state)
{
	struct sample_world *w = *state;
	struct sample same = web("10.2.0.2:80");
	uint32_t before;

	start(w, &same);
	before = sample_generation();
	assert_int_equal(go_to(w, &same), 0);
	assert_int_equal(sample_generation(), before);
}

static void chains_exist_as_long_as_they_are_used(void **state)
{
	struct sample_world *w = *state;
	struct sample two = web("10.2.0.2:80 10.2.0.3:80");
	struct sample three = web("10.2.0.2:80 10.2.0.3:80 10.2.0.4:80");
	struct sample sticky = three;

	start(w, &two);
	shell_run("nft list chain ip sluice pick-2");
	assert_int_equal(go_to(w, &three), 0);
	shell_run("! nft list chain ip sluice pick-2 2>&1 | grep -q numgen");
	shell_run("nft list chain ip sluice pick-3");
	sticky.affinity_sec = 77;
	assert_int_equal(go_to(w, &sticky), 0);
	shell_run("nft list chain ip sluice affinity-3 | grep -q 'goto pick-3'");
	shell_run("nft list chain ip sluice affinity-learn-77s");
	assert_int_equal(go_to(w, &two), 0);
	shell_run("! nft list ruleset | grep -q -e affinity-3 -e affinity-learn-77 -e "
		  "pick-3");
	sample_expect_exact(w);
	assert_int_equal(sample_delta(w, NULL, 0), 0);
	shell_run("! nft list ruleset | grep -q -e 'pick-[0-9]'");
	sample_expect_exact(w);
}

/* In a large table a rule for a new chain is dear, so chains aren't deleted immediately. */
static void a_large_table_keeps_unused_chains_for_a_while(void **state)
{
	struct sample_world *w = *state;
	struct sample two = web("10.2.0.2:80 10.2.0.3:80");
	struct sample one = web("10.2.0.2:80");
	struct service *services[2];

	two.affinity_sec = 60;
	sample_put_service(w, sample_large_service("large", "10.96.1.1:80", 21000));
	sample_put(w, &two, 1);
	assert_int_equal(sample_full(w), 0);
	for (int i = 0; i < 2; i++) {
		services[0] = service_ref(w->services[0]);
		services[1] = sample_service(&one);
		assert_int_equal(sample_delta(w, services, 2), 0);
		shell_run("nft list chain ip sluice affinity-2 | grep -q 'goto pick-2'");
		sample_expect_exact(w);
		services[0] = service_ref(w->services[0]);
		services[1] = sample_service(&two);
		assert_int_equal(sample_delta(w, services, 2), 0);
		sample_expect_exact(w);
	}
	services[0] = sample_service(&one);
	assert_int_equal(sample_delta(w, services, 1), 0);
	assert_int_equal(sample_full(w), 0);
	shell_run("! nft list ruleset | grep -q -e affinity-2 -e pick-2");
	sample_expect_exact(w);
}

/* Two ports of one Service: one cluster address, one pod that may hairpin. */
static void a_shared_chain_stays_until_both_services_are_gone(void **state)
{
	struct sample_world *w = *state;
	const struct sample samples[] = {
		{.name = "http",
		 .frontends = {{"10.96.0.1:80", SAMPLE_CLUSTER_IP, false}},
		 .endpoints = "10.2.0.2:80L"},
		{.name = "https",
		 .frontends = {{"10.96.0.1:443", SAMPLE_CLUSTER_IP, false}},
		 .endpoints = "10.2.0.2:443L"},
	};

	sample_put(w, samples, 2);
	assert_int_equal(sample_full(w), 0);
	assert_int_equal(go_to(w, &samples[1]), 0);
	shell_run("nft list set ip sluice cluster-ips | grep -q 10.96.0.1");
	shell_run("nft list set ip sluice hairpin | grep -q 10.2.0.2");
	sample_expect_exact(w);
	assert_int_equal(sample_delta(w, NULL, 0), 0);
	shell_run("! nft list ruleset | grep -q -e 10.96.0.1 -e 10.2.0.2");
}

static void a_frontend_moves_to_another_service_in_one_transaction(void **state)
{
	struct sample_world *w = *state;
	struct sample old = web("10.2.0.2:80 10.2.0.3:80");
	struct sample new = web("10.2.0.4:80 10.2.0.5:80");

	new.name = "heir";
	start(w, &old);
	assert_int_equal(go_to(w, &new), 0);
	sample_expect_exact(w);
	assert_int_equal(nft_sink_stats(w->sink).n_transactions, 2);
}

/* Else packets on their way follow the new element into a chain without rules. */
static void a_new_chain_is_committed_before_the_elements_that_lead_to_it(void **state)
{
	struct sample_world *w = *state;
	struct sample two = web("10.2.0.2:80 10.2.0.3:80");
	struct sample three = web("10.2.0.2:80 10.2.0.3:80 10.2.0.4:80");
	uint64_t was;

	start(w, &two);
	was = nft_sink_stats(w->sink).n_transactions;
	assert_int_equal(go_to(w, &three), 0);
	assert_int_equal(nft_sink_stats(w->sink).n_transactions - was, 2);
	shell_run("nft list map ip sluice frontends | grep -q 'goto pick-3'");
	sample_expect_exact(w);
}

static void a_new_sink_asks_for_a_full_apply(void **state)
{
	struct sample_world *w = *state;
	struct sample sample = web("10.2.0.2:80");

	assert_int_equal(go_to(w, &sample), -ESTALE);
	assert_int_equal(sample_full(w), 0);
	sample_expect_exact(w);
}

/* Another process changed the table before our monitor saw it: the delta fails, a full apply succeeds. */
static void an_unexpected_kernel_state_asks_for_a_full_apply(void **state)
{
	static const char *const deeds[] = {
		"nft delete element ip sluice endpoints '{ 10.96.0.1 . tcp . 80 . 0 }'",
		("nft add element ip sluice endpoints '{ 10.96.0.1 . tcp . 80 . 1 : "
		 "10.9.9.9 . 9 }'"),
		"nft flush ruleset",
	};
	struct sample_world *w = *state;
	struct sample one = web("10.2.0.2:80");
	struct sample two = web("10.2.0.4:80 10.2.0.5:80");

	start(w, &one);
	for (size_t i = 0; i < N_ELEMENTS(deeds); i++) {
		shell_run("%s", deeds[i]);
		assert_int_equal(go_to(w, &two), -ESTALE);
		assert_int_equal(go_to(w, &two), -ESTALE);
		assert_int_equal(sample_full(w), 0);
		sample_expect_exact(w);
		assert_int_equal(go_to(w, &one), 0);
		sample_expect_exact(w);
	}
}

/* "10.2.0.2 5, 10.2.0.3 6, ": endpoints with their numbers, without the service's. */
static char *numbers(void)
{
	return shell("nft list map ip sluice affinity-endpoints | "
		     "grep -o '[0-9a-f]*:[0-9a-f]* : 10[.]2[.]0[.][0-9]' | "
		     "sed 's/^[0-9a-f]*:\\([0-9a-f]*\\) : \\(.*\\)/\\2 \\1,/' | sort | "
		     "tr '\n' ' '");
}

static void expect_numbers(const char *expected)
{
	_cleanup_(freep) char *got = numbers();

	assert_string_equal(got, expected);
}

static void an_endpoint_has_the_same_number_for_as_long_as_it_is_there(void **state)
{
	struct sample_world *w = *state;
	struct sample both = web("10.2.0.2:80 10.2.0.3:80");
	struct sample first = web("10.2.0.2:80");
	struct sample more = web("10.2.0.1:80 10.2.0.2:80 10.2.0.3:80");

	both.affinity_sec = first.affinity_sec = more.affinity_sec = 60;
	start(w, &both);
	expect_numbers("10.2.0.2 1, 10.2.0.3 2, ");
	/* another slot is not another endpoint */
	assert_int_equal(go_to(w, &more), 0);
	expect_numbers("10.2.0.1 3, 10.2.0.2 1, 10.2.0.3 2, ");
	/* nor does another timeout make one */
	both.affinity_sec = 90;
	assert_int_equal(go_to(w, &both), 0);
	expect_numbers("10.2.0.2 1, 10.2.0.3 2, ");
	/* the number of a removed endpoint leads nowhere */
	assert_int_equal(go_to(w, &first), 0);
	expect_numbers("10.2.0.2 1, ");
	assert_int_equal(go_to(w, &more), 0);
	expect_numbers("10.2.0.1 3, 10.2.0.2 1, 10.2.0.3 2, ");
	first.affinity_sec = 0;
	assert_int_equal(go_to(w, &first), 0);
	expect_numbers("");
	sample_expect_exact(w);
}

static void only_local_endpoints_are_bound_to_by_policy_local(void **state)
{
	struct sample_world *w = *state;
	struct sample here = web("10.2.0.2:80L 10.2.0.3:80L");
	struct sample away = web("10.2.0.2:80 10.2.0.3:80L");

	here.affinity_sec = away.affinity_sec = 60;
	here.frontends[0].policy = away.frontends[0].policy = SAMPLE_EXTERNAL_LOCAL;
	start(w, &here);
	assert_int_equal(go_to(w, &away), 0);
	shell_run("nft list map ip sluice affinity-local-endpoints | grep -q 10.2.0.3");
	shell_run("! nft list map ip sluice affinity-local-endpoints | grep -q 10.2.0.2");
	sample_expect_exact(w);
}

static void counters_continue_when_an_element_is_replaced(void **state)
{
	struct sample_world *w = *state;
	struct sample three = web("10.2.0.2:80 10.2.0.3:80 10.2.0.4:80");
	struct sample two = web("10.2.0.3:80 10.2.0.5:80");

	start(w, &three);
	/* as if there had been connections */
	shell_run(
		"nft delete element ip sluice frontends '{ 10.96.0.1 . tcp . 80 }'; "
		"nft add element ip sluice frontends '{ 10.96.0.1 . tcp . 80 counter "
		"packets 42 bytes 4200 : goto pick-3 }'; "
		"nft delete element ip sluice endpoints '{ 10.96.0.1 . tcp . 80 . 1 }'; "
		"nft add element ip sluice endpoints '{ 10.96.0.1 . tcp . 80 . 1 counter "
		"packets 17 bytes 1700 : 10.2.0.3 . 80 }'");
	assert_int_equal(go_to(w, &two), 0);
	shell_run("nft list map ip sluice frontends | "
		  "grep -q 'packets 42 bytes 4200 : goto pick-2'");
	/* the endpoint is in another slot now, and no other has its count */
	shell_run("nft list map ip sluice endpoints | "
		  "grep -q '80 . 0 counter packets 17 bytes 1700 : 10.2.0.3 . 80'");
	shell_run("test $(nft list map ip sluice endpoints | grep -c 'packets 17') = 1");
	sample_expect_exact(w);
}

/* Pseudo-random, the same every time. */
static unsigned roll(unsigned n)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (unsigned)(x >> 33) % n;
}

static struct service *random_service(unsigned i)
{
	static const char *const pools[] = {
		"",
		"10.2.0.2:80",
		"10.2.0.2:80L 10.2.0.3:80",
		"10.2.0.3:80L 10.2.0.4:80L",
		"10.2.0.2:80 10.2.0.3:81 10.2.0.4:80L 10.2.0.5:80 10.2.0.6:80",
	};
	static const char *const pools6[] = {
		"",
		"[fd01::2]:80",
		"[fd01::2]:80L [fd01::3]:80",
		"[fd01::3]:80L [fd01::4]:80L",
		"[fd01::2]:80 [fd01::3]:81 [fd01::4]:80L [fd01::5]:80 [fd01::6]:80",
	};
	bool is_ipv6 = i % 2;
	char name[16], at[3][48];
	struct sample sample = {
		.name = name,
		.proto = roll(2) ? IPPROTO_UDP : IPPROTO_TCP,
		.affinity_sec = roll(3) ? 0 : 10 + roll(3),
		.endpoints = (is_ipv6 ? pools6 : pools)[roll(N_ELEMENTS(pools))],
		.allowed = is_ipv6 ? "fd03::/64 fd03::1/128" : "10.0.0.0/8 11.0.0.0/8",
	};

	(void)snprintf(name, sizeof(name), "s%u", i);
	for (unsigned f = 0; f < 1 + roll(3); f++) {
		(void)snprintf(at[f], sizeof(at[f]),
			       is_ipv6 ? "[fd00:96::%x]:%u" : "10.96.0.%u:%u", i / 4 + 1,
			       1000 + i * 8 + f);
		sample.frontends[f] =
			(struct sample_frontend){at[f], roll(SAMPLE_DROP + 1), roll(2)};
	}
	return sample_service(&sample);
}

static void deltas_and_full_applies_make_the_same_ruleset(void **state)
{
	struct sample_world *w = *state;
	struct service *next[24];

	assert_int_equal(sample_full(w), 0);
	for (unsigned round = 0; round < 60; round++) {
		size_t n = 0;

		for (unsigned i = 0; i < N_ELEMENTS(next); i++)
			if (roll(4))
				next[n++] = random_service(i);
		assert_int_equal(sample_delta(w, next, n), 0);
		sample_expect_exact(w);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sample_setup, sample_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_changed_endpoint_costs_one_element),
		TEST(few_elements_change_with_one_of_many_endpoints),
		TEST(an_unchanged_state_sends_no_messages),
		TEST(chains_exist_as_long_as_they_are_used),
		TEST(a_large_table_keeps_unused_chains_for_a_while),
		TEST(a_shared_chain_stays_until_both_services_are_gone),
		TEST(a_frontend_moves_to_another_service_in_one_transaction),
		TEST(a_new_chain_is_committed_before_the_elements_that_lead_to_it),
		TEST(a_new_sink_asks_for_a_full_apply),
		TEST(an_unexpected_kernel_state_asks_for_a_full_apply),
		TEST(an_endpoint_has_the_same_number_for_as_long_as_it_is_there),
		TEST(only_local_endpoints_are_bound_to_by_policy_local),
		TEST(counters_continue_when_an_element_is_replaced),
		TEST(deltas_and_full_applies_make_the_same_ruleset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
