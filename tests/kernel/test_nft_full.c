/*
 * A full apply makes the kernel be what the services say, whatever it was
 * before, and sends nothing when it is that already.
 */
#include "tests/test.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/kernel/nft_sample.h"

static const struct sample samples[] = {
	{.name = "web",
	 .frontends = {{"10.96.0.1:80", SAMPLE_CLUSTER_IP, false},
		       {"192.0.2.1:80", SAMPLE_EXTERNAL_LOCAL, true},
		       {"192.0.2.2:80", SAMPLE_EXTERNAL, false}},
	 .endpoints = "10.2.0.2:8080 10.2.0.3:8080L",
	 .allowed = "10.0.0.0/8 10.1.0.0/16 192.0.2.77/32"},
	{.name = "web6",
	 .frontends = {{"[fd00:96::1]:80", SAMPLE_CLUSTER_IP, false},
		       {"[2001:db8::1]:80", SAMPLE_EXTERNAL_LOCAL, true}},
	 .endpoints = "[fd01::2]:8080 [fd01::3]:8080L",
	 .allowed = "fd03::/64 fd03::1/128"},
	{.name = "sticky",
	 .frontends = {{"10.96.0.2:80", SAMPLE_CLUSTER_IP, false}},
	 .endpoints = "10.2.0.2:8080 10.2.0.3:8080",
	 .affinity_sec = 60},
	{.name = "sticky6",
	 .frontends = {{"[fd00:96::2]:80", SAMPLE_CLUSTER_IP, false}},
	 .endpoints = "[fd01::2]:8080 [fd01::3]:8080",
	 .affinity_sec = 10800},
	{.name = "dns",
	 .proto = IPPROTO_UDP,
	 .frontends = {{"10.96.0.3:53", SAMPLE_CLUSTER_IP, false}},
	 .endpoints = "10.2.0.4:53 10.2.0.5:53 10.2.0.6:53"},
	{.name = "none", .frontends = {{"10.96.0.4:80", SAMPLE_REJECT, false}}},
	{.name = "away", .frontends = {{"10.96.0.5:80", SAMPLE_DROP, false}}},
};

static struct sample_world *programmed(void **state)
{
	struct sample_world *w = *state;

	sample_put(w, samples, N_ELEMENTS(samples));
	assert_int_equal(sample_full(w), 0);
	sample_expect_exact(w);
	return w;
}

static void the_first_apply_creates_all_objects(void **state)
{
	struct sample_world *w = programmed(state);
	struct nft_stats stats = nft_sink_stats(w->sink);

	assert_int_equal(stats.n_transactions, 1);
	shell_run("nft list ruleset | grep -q '10.96.0.1 . tcp . 80 .* : goto pick-2'");
	shell_run("nft list ruleset | grep -q '10.96.0.4 . tcp . 80 .* : goto refuse'");
	assert_int_equal(stats.n_repairs, 0);
}

/* Else packets on their way follow the new element into a chain without rules. */
static void a_missing_chain_is_committed_before_the_elements_that_lead_to_it(void **state)
{
	struct sample_world *w = programmed(state);
	struct sample five = {.name = "five",
			      .frontends = {{"10.96.0.6:80", SAMPLE_CLUSTER_IP, false}},
			      .endpoints = "10.2.0.2:80 10.2.0.3:80 10.2.0.4:80 "
					   "10.2.0.5:80 10.2.0.6:80"};
	uint32_t before;

	sample_put(w, &five, 1);
	sample_restart(w);
	before = sample_generation();
	assert_int_equal(sample_full(w), 0);
	assert_int_equal(sample_generation() - before, 2);
	assert_int_equal(nft_sink_stats(w->sink).n_transactions, 2);
	shell_run("nft list map ip sluice frontends | grep -q 'goto pick-5'");
	sample_expect_exact(w);
}

static void an_unchanged_full_apply_sends_nothing(void **state)
{
	struct sample_world *w = programmed(state);
	uint32_t before = sample_generation();

	assert_int_equal(sample_full(w), 0);
	sample_restart(w);
	assert_int_equal(sample_full(w), 0);
	assert_int_equal(sample_generation(), before);
	assert_int_equal(nft_sink_stats(w->sink).n_messages, 0);
}

static void a_large_table_is_read_completely(void **state)
{
	struct sample_world *w = *state;
	uint32_t before;

	sample_put_service(w, sample_large_service("large", "10.96.1.1:80", 4000));
	assert_int_equal(sample_full(w), 0);
	before = sample_generation();
	sample_restart(w);
	assert_int_equal(sample_full(w), 0);
	assert_int_equal(sample_generation(), before);
	/* one that is missing, one that is wrong, one too many */
	shell_run(
		"nft delete element ip sluice endpoints '{ 10.96.1.1 . tcp . 80 . 7 }'");
	assert_int_equal(sample_n_differences(w), 1);
	shell_run("nft add element ip sluice endpoints '{ 10.96.1.1 . tcp . 80 . 7 : "
		  "10.9.9.9 . 80 }'");
	assert_int_equal(sample_n_differences(w), 2);
	shell_run("nft add element ip sluice endpoints '{ 10.96.1.1 . tcp . 80 . 5000 : "
		  "10.9.9.9 . 80 }'");
	assert_int_equal(sample_n_differences(w), 3);
	assert_int_equal(sample_full(w), 0);
	sample_expect_exact(w);
}

static void five_thousand_endpoints_are_added_and_removed(void **state)
{
	struct sample_world *w = programmed(state);

	sample_put_service(w, sample_large_service("large", "10.96.1.1:80", 5000));
	assert_int_equal(sample_full(w), 0);
	sample_expect_exact(w);
	shell_run("test $(nft list map ip sluice endpoints | grep -c 10.96.1.1) = 5000");
	shell_run("nft list chain ip sluice pick-5000 | grep -q 'mod 5000'");
	service_unref(w->services[--w->n]);
	assert_int_equal(sample_full(w), 0);
	sample_expect_exact(w);
	shell_run("! nft list ruleset | grep -q pick-5000");
}

/* Changes by another process, which are found and reverted. */
static const char *const foreign_deeds[] = {
	"nft delete element ip sluice frontends '{ 10.96.0.1 . tcp . 80 }'",
	"nft delete element ip6 sluice endpoints '{ fd00:96::1 . tcp . 80 . 1 }'",
	"nft add element ip sluice frontends '{ 10.96.0.77 . tcp . 80 : goto pick-2 }'",
	"nft delete element ip sluice no-endpoints '{ 10.96.0.5 . tcp . 80 }'; "
	"nft add element ip sluice no-endpoints '{ 10.96.0.5 . tcp . 80 : goto refuse }'",
	"nft add element ip sluice hairpin '{ 10.9.9.9 . 10.9.9.9 }'",
	"nft delete element ip sluice source-ranges '{ 192.0.2.1 . tcp . 80 . 10.0.0.0/8 "
	"}'",
	"nft add element ip sluice source-ranges '{ 192.0.2.1 . tcp . 80 . 11.0.0.0/9 }'",
	"nft flush map ip sluice endpoints",
	"nft flush chain ip sluice dispatch",
	"nft insert rule ip6 sluice nat-prerouting counter accept",
	"nft add rule ip sluice pick-2 drop",
	"nft add chain ip sluice mine; nft add rule ip sluice check-source jump mine",
	"nft add chain ip sluice pick-77",
	"nft add set ip sluice mine '{ type ipv4_addr; }'; "
	"nft add rule ip sluice affinity-learn ip saddr @mine drop",
	"nft add chain ip sluice filter-input '{ policy drop; }'",
	"nft add table ip sluice '{ flags dormant; }'",
	"nft flush table ip sluice",
	"nft delete table ip6 sluice",
	"nft flush ruleset",
};

static void changes_by_others_are_reverted(void **state)
{
	struct sample_world *w = programmed(state);

	(void)sink_check(w->sink);
	for (size_t i = 0; i < N_ELEMENTS(foreign_deeds); i++) {
		uint64_t n_repairs = nft_sink_stats(w->sink).n_repairs;

		shell_run("%s", foreign_deeds[i]);
		if (!sink_check(w->sink))
			fail_msg("not heard: %s", foreign_deeds[i]);
		if (sample_n_differences(w) == 0)
			fail_msg("no difference: %s", foreign_deeds[i]);
		if (sample_full(w) != 0 || sample_n_differences(w) != 0)
			fail_msg("not reverted: %s", foreign_deeds[i]);
		assert_int_equal(nft_sink_stats(w->sink).n_repairs, n_repairs + 1);
		assert_false(sink_check(w->sink));
	}
}

static void a_set_of_another_type_replaces_the_table(void **state)
{
	struct sample_world *w = *state;

	shell_run("nft add table ip sluice; "
		  "nft add set ip sluice frontends '{ type ipv4_addr; }'; "
		  "nft add element ip sluice frontends '{ 10.9.9.9 }'; "
		  "nft add chain ip sluice nat-output "
		  "'{ type filter hook output priority 7; }'");
	(void)programmed(state);
	sample_expect_exact(w);
	shell_run("nft list chain ip sluice nat-output | grep -q 'type nat hook output'");
}

static void a_full_apply_leaves_foreign_tables_alone(void **state)
{
	struct sample_world *w = *state;
	_cleanup_(freep) char *before = NULL, *after = NULL;

	shell_run("nft add table inet sluice; nft add chain inet sluice mine; "
		  "nft add table ip mine; nft add set ip mine frontends "
		  "'{ type ipv4_addr; elements = { 10.9.9.9 }; }'");
	before = shell("nft list table inet sluice; nft list table ip mine");
	(void)programmed(state);
	sample_clear(w);
	assert_int_equal(sample_full(w), 0);
	assert_int_equal(nft_cleanup(), 0);
	after = shell("nft list ruleset");
	assert_string_equal(before, after);
}

static void cleaning_up_removes_both_tables_and_may_be_repeated(void **state)
{
	(void)programmed(state);
	assert_int_equal(nft_cleanup(), 0);
	shell_run("test -z \"$(nft list tables)\"");
	assert_int_equal(nft_cleanup(), 0);
}

/*
 * Two services that claim one frontend: the state never lets that happen, so
 * it stands for whatever makes the kernel refuse a message.
 */
static void a_refused_service_is_left_out_and_the_rest_is_programmed(void **state)
{
	struct sample_world *w = programmed(state);
	const struct sample thief = {
		.name = "thief",
		.frontends = {{"10.96.0.66:80", SAMPLE_CLUSTER_IP, false},
			      {"10.96.0.1:80", SAMPLE_CLUSTER_IP, false}},
		.endpoints = "10.2.0.66:80",
	};
	const struct sample later = {
		.name = "later",
		.frontends = {{"10.96.0.67:80", SAMPLE_CLUSTER_IP, false}},
		.endpoints = "10.2.0.67:80",
	};

	sample_put(w, &thief, 1);
	sample_put(w, &later, 1);
	assert_int_equal(sample_full(w), -EREMOTEIO);
	assert_int_equal(w->n_refused, 1);
	shell_run("nft list map ip sluice frontends | grep -q 10.96.0.67");
	shell_run("! nft list ruleset | grep -q 10.96.0.66");
	shell_run("nft list map ip sluice frontends | grep -q '10.96.0.1 .*pick-2'");
	/* as long as it is there it is tried again, and nothing else is touched */
	assert_int_equal(sample_full(w), -EREMOTEIO);
	assert_int_equal(w->n_refused, 1);
	service_unref(w->services[w->n - 2]);
	w->services[w->n - 2] = w->services[w->n - 1];
	w->n--;
	assert_int_equal(sample_full(w), 0);
	assert_int_equal(w->n_refused, 0);
	sample_expect_exact(w);
}

static void a_family_that_is_not_enabled_has_no_table(void **state)
{
	struct sample_world *w = programmed(state);

	w->env.enabled[FAMILY_IPV6] = false;
	assert_int_equal(sample_full(w), 0);
	shell_run("test \"$(nft list tables)\" = 'table ip sluice'");
	sample_expect_exact(w);
}

static void another_environment_replaces_rules_and_keeps_elements(void **state)
{
	struct sample_world *w = programmed(state);
	uint64_t n_deleted = nft_sink_stats(w->sink).n_elements_deleted;

	w->env.detector = POD_DETECTOR_PREFIX;
	memcpy(w->env.ifname, "veth", 5);
	assert_int_equal(sample_full(w), 0);
	sample_expect_exact(w);
	shell_run("nft list chain ip6 sluice dispatch | grep -q 'iifname \"veth\\*\" '");
	w->env.detector = POD_DETECTOR_BRIDGE;
	w->env.masquerade_mark = 0x100;
	w->env.n_service_cidrs = 0;
	assert_int_equal(sample_full(w), 0);
	sample_expect_exact(w);
	w->env.detector = POD_DETECTOR_NONE;
	w->env.masquerade_all = true;
	assert_int_equal(sample_full(w), 0);
	sample_expect_exact(w);
	assert_int_equal(nft_sink_stats(w->sink).n_elements_deleted, n_deleted);
}

static void counters_outlive_restarts(void **state)
{
	struct sample_world *w = programmed(state);

	shell_run("nft delete element ip sluice frontends '{ 10.96.0.1 . tcp . 80 }'; "
		  "nft add element ip sluice frontends '{ 10.96.0.1 . tcp . 80 counter "
		  "packets 42 bytes 4200 : goto pick-2 }'");
	sample_restart(w);
	assert_int_equal(sample_full(w), 0);
	shell_run("nft list map ip sluice frontends | grep -q 'packets 42 bytes 4200'");
}

/* Clients are bound to numbers: those of the tables count, not those of a fresh start. */
static void numbers_of_services_and_bindings_outlive_restarts(void **state)
{
	struct sample_world *w = programmed(state);

	shell_run("for m in services timeouts numbers endpoints local-endpoints; do "
		  "m=\"ip sluice affinity-$m\"; e=$(nft list map $m | tr -d '\\n' | sed "
		  "-nE "
		  "\"s/.*elements = (\\{[^}]*\\}).*/add element $m \\1/p\" | "
		  "sed -E 's/[0-9a-f]+:([0-9a-f]+)( |,|$)/7:\\1\\2/g'); "
		  "nft flush map $m; echo \"$e\" | nft -f -; done");
	shell_run("nft list map ip sluice affinity-services | grep -q ' : 7:0 '");
	shell_run("nft add element ip sluice affinity-clients '{ "
		  "10.1.1.1 . 7:0 timeout 60s : 7:1 }'");
	sample_restart(w);
	assert_int_equal(sample_full(w), 0);
	sample_expect_exact(w);
	shell_run("nft list map ip sluice affinity-services | grep -q ' : 7:0 '");
	shell_run("nft list map ip sluice affinity-clients | grep -q 10.1.1.1");
}

/* Without rights on the machine a socket's buffer is small: all goes in, in pieces. */
static void a_small_socket_buffer_is_enough(void **state)
{
	struct sample_world *w = *state;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1)
			_exit(TEST_SKIPPED);
		sample_restart(w);
		sample_put_service(w,
				   sample_large_service("large", "10.96.1.1:80", 60000));
		_exit(sample_full(w) != 0 || sample_n_differences(w) != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == TEST_SKIPPED)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sample_setup, sample_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_apply_creates_all_objects),
		TEST(a_missing_chain_is_committed_before_the_elements_that_lead_to_it),
		TEST(an_unchanged_full_apply_sends_nothing),
		TEST(a_large_table_is_read_completely),
		TEST(a_small_socket_buffer_is_enough),
		TEST(five_thousand_endpoints_are_added_and_removed),
		TEST(changes_by_others_are_reverted),
		TEST(a_set_of_another_type_replaces_the_table),
		TEST(a_full_apply_leaves_foreign_tables_alone),
		TEST(cleaning_up_removes_both_tables_and_may_be_repeated),
		TEST(a_refused_service_is_left_out_and_the_rest_is_programmed),
		TEST(a_family_that_is_not_enabled_has_no_table),
		TEST(another_environment_replaces_rules_and_keeps_elements),
		TEST(counters_outlive_restarts),
		TEST(numbers_of_services_and_bindings_outlive_restarts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
