/*
 * Another process commits exactly between the steps of a full apply.
 */
#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "rules/nft/nft_kernel.h"
#include "tests/kernel/nft_sample.h"
#include "tests/test.h"

#define N_ENDPOINTS 400 /* a transaction that is sent with the listener closed */
#define N_INSISTED  8	/* tries that insist on the generation which was read */

/* Another process, and when it commits. */
struct writer {
	const char *command;
	bool is_after;	  /* our commit; else before it */
	unsigned n;	  /* how many times it still does */
	unsigned n_tries; /* commits of ours */
};

static void around_commit(void *data, bool is_after)
{
	struct writer *writer = data;

	writer->n_tries += !is_after;
	if (is_after != writer->is_after || writer->n == 0)
		return;
	writer->n--;
	shell_run("%s", writer->command);
}

/* A full apply of one service beside that process. */
static int apply_beside(struct sample_world *w, struct nft_kernel *k,
			struct service *service, struct writer *writer)
{
	const struct change change = {.new = service};
	const struct changeset cs = {
		.full = true,
		.env = &w->env,
		.changes = &change,
		.n = 1,
	};

	k->around_commit = around_commit;
	k->around_data = writer;
	return nft_full_apply(k, &cs);
}

static struct service *small_service(void)
{
	static const struct sample sample = {
		.name = "web",
		.frontends = {{"10.96.0.1:80", SAMPLE_CLUSTER_IP, false}},
		.endpoints = "10.244.0.1:80",
	};

	return sample_service(&sample);
}

static size_t n_foreign(void)
{
	_cleanup_(freep) char *list = shell("nft list set ip sluice masquerade-always");

	return strstr(list, "10.9.9.9") != NULL;
}

static const char add_foreign[] = "nft add element ip sluice masquerade-always "
				  "'{ 10.9.9.9 . tcp . 9 }'";

static void check_foreign_element_is_removed(struct sample_world *w,
					     struct service *first,
					     struct service *second, bool is_after)
{
	struct writer idle = {.n = 0};
	struct writer writer = {
		.command = add_foreign,
		.is_after = is_after,
		.n = 1,
	};
	struct nft_kernel k = {.n_elements = 0};

	assert_int_equal(nft_kernel_init(&k), 0);
	assert_int_equal(apply_beside(w, &k, first, &idle), 0);
	assert_int_equal(apply_beside(w, &k, second, &writer), 0);
	assert_int_equal(writer.n, 0);
	assert_int_equal(n_foreign(), 0);
	nft_kernel_fini(&k);
	service_unref(first);
	service_unref(second);
}

/* The kernel refuses the transaction, and everything is read again. */
static void a_commit_between_reading_and_writing_is_seen(void **state)
{
	check_foreign_element_is_removed(*state, small_service(),
					 sample_large_service("web", "10.96.0.2:80", 2),
					 false);
}

/* No notification comes while the listener is closed: the generation shows it. */
static void a_commit_while_the_listener_is_closed_is_seen(void **state)
{
	check_foreign_element_is_removed(*state, small_service(),
					 sample_large_service("web", "10.96.0.2:80",
							      N_ENDPOINTS),
					 true);
}

/* The first apply finds no tables, so it reads no elements.  The table has a foreign one. */
static void a_table_that_is_made_during_the_first_apply_is_seen(void **state)
{
	static const char command[] =
		"nft 'add table ip sluice; add set ip sluice masquerade-always { typeof "
		"ip "
		"daddr . ip protocol . th dport; elements = { 10.9.9.9 . tcp . 9 } }'";

	for (unsigned is_after = 0; is_after < 2; is_after++) {
		struct writer writer = {
			.command = is_after ? add_foreign : command,
			.is_after = is_after,
			.n = 1,
		};
		struct nft_kernel k = {.n_elements = 0};
		struct service *service =
			sample_large_service("web", "10.96.0.2:80", N_ENDPOINTS);

		assert_int_equal(nft_kernel_init(&k), 0);
		assert_int_equal(apply_beside(*state, &k, service, &writer), 0);
		assert_int_equal(writer.n_tries, 2);
		assert_int_equal(n_foreign(), 0);
		assert_int_equal(k.n_elements, N_ENDPOINTS + 2); /* frontend, address */
		nft_kernel_fini(&k);
		service_unref(service);
		assert_int_equal(nft_cleanup(), 0);
	}
}

/* All of ours is programmed: what is due is a comparison, not a retry. */
static void a_commit_during_a_large_delta_is_not_a_failure(void **state)
{
	struct sample_world *w = *state;
	struct writer writer = {.command = add_foreign, .is_after = true};
	struct nft_kernel k = {.n_elements = 0};
	struct service *service = /* of as many endpoints: no new chain */
		sample_large_service("web", "10.96.0.1:80", N_ENDPOINTS);
	struct service *large =
		sample_large_service("large", "10.96.0.2:80", N_ENDPOINTS);
	const struct change change = {.new = large};
	const struct changeset cs = {.env = &w->env, .changes = &change, .n = 1};

	assert_int_equal(nft_kernel_init(&k), 0);
	assert_int_equal(apply_beside(w, &k, service, &writer), 0);
	assert_false(k.is_missed);
	writer.n = 1;
	assert_int_equal(nft_delta_apply(&k, &cs), 0);
	assert_int_equal(writer.n, 0);
	assert_true(k.is_missed);
	assert_true(k.is_known);
	nft_kernel_fini(&k);
	service_unref(service);
	service_unref(large);
}

static void a_process_that_always_commits_first_does_not_prevent_ours(void **state)
{
	struct writer writer = {
		.command = "nft 'add table inet others; add chain inet others c'",
		.n = 100,
	};
	struct nft_kernel k = {.n_elements = 0};
	struct service *service = small_service();

	assert_int_equal(nft_kernel_init(&k), 0);
	assert_int_equal(apply_beside(*state, &k, service, &writer), 0);
	assert_int_equal(writer.n_tries, N_INSISTED + 1);
	nft_kernel_fini(&k);
	shell_run("nft list map ip sluice frontends | grep -q 10.96.0.1");
	service_unref(service);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sample_setup, sample_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_commit_between_reading_and_writing_is_seen),
		TEST(a_commit_while_the_listener_is_closed_is_seen),
		TEST(a_table_that_is_made_during_the_first_apply_is_seen),
		TEST(a_commit_during_a_large_delta_is_not_a_failure),
		TEST(a_process_that_always_commits_first_does_not_prevent_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
