/*
 * A sink that may not raise its socket's limits, as in a container without the
 * host's CAP_NET_ADMIN: a batch that is too long for the kernel goes in pieces,
 * and everything is there in the end all the same.
 */
#include "tests/test.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/socket.h>

#include "core/cleanup.h"
#include "tests/kernel/nft_sample.h"

#define N_LARGE 4
#define N_EACH	5000

/* Neither with a capability nor up to the limit of all users; until the process ends. */
static void forbid_large_buffers(void)
{
	static const struct {
		unsigned option;
		uint32_t action;
	} options[] = {
		{SO_SNDBUFFORCE, SCMP_ACT_ERRNO(EPERM)},
		{SO_SNDBUF, SCMP_ACT_ERRNO(0)}, /* ip(8) insists on success */
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	assert_non_null(filter);
	for (size_t i = 0; i < N_ELEMENTS(options); i++)
		assert_int_equal(
			seccomp_rule_add(filter, options[i].action, SCMP_SYS(setsockopt),
					 2, SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET, 0),
					 SCMP_A2(SCMP_CMP_EQ, options[i].option, 0)),
			0);
	assert_int_equal(seccomp_load(filter), 0);
	seccomp_release(filter);
}

static void put_large(struct sample_world *w)
{
	char name[32], at[32];

	for (int i = 1; i <= N_LARGE; i++) {
		(void)snprintf(name, sizeof(name), "large-%d", i);
		(void)snprintf(at, sizeof(at), "10.96.0.%d:80", i);
		sample_put_service(w, sample_large_service(name, at, N_EACH));
	}
}

static void rules_are_added_and_removed_in_pieces(void **state)
{
	struct sample_world *w = *state;
	uint32_t before = sample_generation();

	put_large(w);
	assert_int_equal(sample_full(w), 0);
	/* the tables, and so many elements that one batch can't have held them */
	assert_true(sample_generation() - before > 3);
	sample_expect_exact(w);
	before = sample_generation();
	assert_int_equal(sample_full(w), 0);
	assert_int_equal(sample_generation(), before);
	/* another process may have committed between the pieces: check again */
	assert_int_equal(sample_delta(w, NULL, 0), 0);
	assert_true(sink_check(w->sink));
	assert_false(sink_check(w->sink));
	assert_int_equal(sample_full(w), 0);
	assert_true(sample_generation() - before > 3);
	sample_expect_exact(w);
	shell_run("! nft list ruleset | grep -q 10.96.0.1");
}

static void a_refused_service_costs_only_itself(void **state)
{
	struct sample_world *w = *state;
	const struct sample samples[] = {
		{.name = "thief", /* of an address that large-1 has */
		 .frontends = {{"10.96.0.66:80", SAMPLE_CLUSTER_IP, false},
			       {"10.96.0.1:80", SAMPLE_CLUSTER_IP, false}},
		 .endpoints = "10.2.0.66:80"},
		{.name = "later",
		 .frontends = {{"10.96.0.67:80", SAMPLE_CLUSTER_IP, false}},
		 .endpoints = "10.2.0.67:80"},
	};

	put_large(w);
	sample_put(w, samples, N_ELEMENTS(samples));
	assert_int_equal(sample_full(w), -EREMOTEIO);
	assert_int_equal(w->n_refused, 1);
	shell_run("nft list map ip sluice frontends | grep -q 10.96.0.67");
	shell_run("! nft list map ip sluice frontends | grep -q 10.96.0.66");
	shell_run("test $(nft list map ip sluice endpoints | grep -c '10.96.0.1 ') = %d",
		  N_EACH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rules_are_added_and_removed_in_pieces,
						sample_setup, sample_teardown),
		cmocka_unit_test_setup_teardown(a_refused_service_costs_only_itself,
						sample_setup, sample_teardown),
	};

	forbid_large_buffers();
	return cmocka_run_group_tests_name("rootless", tests, NULL, NULL);
}
