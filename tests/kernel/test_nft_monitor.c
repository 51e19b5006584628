/*
 * Changes of our tables by other processes are reported; our own and elements
 * that the kernel learns are not.
 */
#include "tests/test.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "rules/nft/nft_kernel.h"
#include "rules/nft/nft_schema.h"
#include "tests/kernel/nft_sample.h"

static const struct sample web = {
	.name = "web",
	.frontends = {{"10.96.0.1:80", SAMPLE_CLUSTER_IP, false}},
	.endpoints = "10.2.0.2:80",
	.affinity_sec = 60,
};

static struct sample_world *programmed(void **state)
{
	struct sample_world *w = *state;

	sample_put(w, &web, 1);
	assert_int_equal(sample_full(w), 0);
	return w;
}

static bool is_readable(const struct sample_world *w)
{
	struct pollfd p = {.fd = sink_fd(w->sink), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void our_own_transactions_are_not_delivered(void **state)
{
	struct sample_world *w = programmed(state);
	struct service *large = sample_large_service("large", "10.96.1.1:80", 3000);

	assert_false(is_readable(w));
	assert_int_equal(sample_delta(w, &large, 1), 0);
	assert_false(is_readable(w));
	assert_int_equal(sample_delta(w, NULL, 0), 0);
	assert_false(is_readable(w));
}

static void changes_after_a_large_transaction_are_reported(void **state)
{
	struct sample_world *w = programmed(state);
	struct service *large = sample_large_service("large", "10.96.1.1:80", 3000);

	assert_int_equal(sample_delta(w, &large, 1), 0);
	shell_run("nft flush chain ip sluice check-source");
	assert_true(is_readable(w));
	assert_true(sink_check(w->sink));
	assert_false(is_readable(w));
}

static void changes_of_foreign_tables_are_not_reported(void **state)
{
	struct sample_world *w = programmed(state);

	shell_run("nft add table inet sluice; nft add table ip mine; "
		  "nft add chain ip mine sluice; nft add set ip mine frontends "
		  "'{ type ipv4_addr; }'; nft add element ip mine frontends "
		  "'{ 10.9.9.9 }'; nft delete table ip mine");
	assert_false(sink_check(w->sink));
}

static void new_bindings_are_not_reported(void **state)
{
	struct sample_world *w = programmed(state);

	shell_run("nft add element ip sluice affinity-clients '{ 10.1.1.2 . 1:0 "
		  "timeout 60s : 1:1 }'; nft add element ip6 sluice "
		  "affinity-clients '{ 1 . 2 . 1:0 timeout 60s : 1:1 }'");
	assert_false(sink_check(w->sink));
}

static void an_overrun_asks_for_a_full_apply(void **state)
{
	struct sample_world *w = programmed(state);

	shell_run("nft add table ip mine; nft add set ip mine s '{ type ipv4_addr; }'; "
		  "for i in $(seq 1 40); do for j in $(seq 1 250); do "
		  "echo \"add element ip mine s { 10.9.$i.$j }\"; done; done | nft -f -");
	assert_true(sink_check(w->sink));
	assert_false(sink_check(w->sink));
	assert_int_equal(sample_full(w), 0);
	assert_int_equal(nft_sink_stats(w->sink).n_repairs, 0);
}

static void a_daemon_in_another_namespace_is_not_reported(void **state)
{
	struct sample_world *w = programmed(state);

	shell_run("unshare -n nft add table ip sluice");
	assert_false(is_readable(w));
}

/* A transaction that counts as large. */
static bool commit_large(struct nft_kernel *k, uint64_t n_elements)
{
	_cleanup_(nft_refusals_fini) struct nft_refusals refusals = {0};
	_cleanup_(nft_tx_fini) struct nft_tx tx = {0};
	bool is_missed;

	nft_schema_add_table(&tx, FAMILY_IPV4);
	tx.n_added = n_elements;
	assert_int_equal(nft_kernel_commit(k, &tx, 0, &refusals, &is_missed), 0);
	return is_missed;
}

/* The monitor's descriptor is replaced by one that can't be subscribed. */
static void a_subscription_that_fails_is_retried(void **state)
{
	struct nft_kernel k;
	int monitor_fd;

	(void)state;
	assert_int_equal(nft_kernel_init(&k), 0);
	assert_false(commit_large(&k, 1000));
	monitor_fd = k.monitor.fd;
	k.monitor.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(commit_large(&k, 1000));
	assert_false(commit_large(&k, 0));
	assert_true(k.is_unsubscribed);
	(void)close(k.monitor.fd);
	k.monitor.fd = monitor_fd;
	assert_true(commit_large(&k, 0));
	assert_false(k.is_unsubscribed);
	shell_run("nft flush table ip sluice; nft add chain ip sluice mine");
	assert_true(nft_monitor_drain(&k.monitor));
	assert_int_equal(strncmp(k.monitor.by, "nft (pid ", 9), 0);
	assert_false(commit_large(&k, 0));
	nft_kernel_fini(&k);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sample_setup, sample_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(our_own_transactions_are_not_delivered),
		TEST(changes_after_a_large_transaction_are_reported),
		TEST(changes_of_foreign_tables_are_not_reported),
		TEST(new_bindings_are_not_reported),
		TEST(an_overrun_asks_for_a_full_apply),
		TEST(a_daemon_in_another_namespace_is_not_reported),
		TEST(a_subscription_that_fails_is_retried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
