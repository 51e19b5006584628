/*
 * Chains that several services need: added with the first, removed with the last.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "rules/nft/nft_refs.h"

static struct nft_element leading_to(struct nft_chain chain)
{
	struct nft_element e = {.set = SET_FRONTENDS,
				.key_len = 12,
				.key = {10, 96, 0, 1}};

	nft_element_set_verdict(&e, (struct nft_verdict){VERDICT_GOTO, chain});
	return e;
}

static const struct nft_element cluster_ip = {
	.set = SET_CLUSTER_IPS,
	.key_len = 4,
	.key = {10, 96, 0, 1},
};

static void print_element(void *data, bool is_wanted, const struct nft_element *e)
{
	buf_add_string(data, is_wanted ? "+" : "-");
	nft_element_print(e, data);
	buf_add_char(data, ' ');
}

static void print_chain(void *data, bool is_wanted, enum family family,
			struct nft_chain chain)
{
	char name[NFT_CHAIN_NAME_LEN];

	(void)family;
	buf_printf(data, "%c%s ", is_wanted ? '+' : '-', nft_chain_name(chain, name));
}

static void expect_settled(struct nft_refs *refs, const char *expected)
{
	static const struct nft_refs_ops ops = {print_element, print_chain};
	_cleanup_(buf_fini) struct buf out = BUF_INIT;

	nft_refs_settle(refs, &ops, &out);
	assert_string_equal(buf_string(&out), expected);
}

static int setup(void **state)
{
	static struct nft_refs refs;

	nft_refs_init(&refs);
	*state = &refs;
	return 0;
}

static int teardown(void **state)
{
	nft_refs_fini(*state);
	return 0;
}

static void the_first_reference_creates_and_the_last_one_deletes(void **state)
{
	struct nft_refs *refs = *state;

	assert_int_equal(nft_refs_count(refs, &cluster_ip, 1), REFS_FIRST);
	expect_settled(refs, "+10.96.0.1 ");
	assert_int_equal(nft_refs_count(refs, &cluster_ip, 1), REFS_SHARED);
	expect_settled(refs, "");
	(void)nft_refs_count(refs, &cluster_ip, -1);
	expect_settled(refs, "");
	(void)nft_refs_count(refs, &cluster_ip, -1);
	expect_settled(refs, "-10.96.0.1 ");
}

static void a_reference_dropped_and_taken_again_is_not_a_change(void **state)
{
	struct nft_refs *refs = *state;

	(void)nft_refs_count(refs, &cluster_ip, 1);
	expect_settled(refs, "+10.96.0.1 ");
	(void)nft_refs_count(refs, &cluster_ip, -1);
	(void)nft_refs_count(refs, &cluster_ip, 1);
	expect_settled(refs, "");
}

static void a_change_that_is_undone_is_not_reported(void **state)
{
	struct nft_refs *refs = *state;

	(void)nft_refs_count(refs, &cluster_ip, 1);
	(void)nft_refs_count(refs, &cluster_ip, -1);
	expect_settled(refs, "");
}

static void a_chain_adds_the_chain_that_it_needs(void **state)
{
	struct nft_refs *refs = *state;
	const struct nft_element sticky =
		leading_to((struct nft_chain){CHAIN_AFFINITY, 3});
	const struct nft_element plain = leading_to((struct nft_chain){CHAIN_PICK, 3});

	assert_int_equal(nft_refs_count(refs, &sticky, 1), REFS_NOT_SHARED);
	expect_settled(refs, "+pick-3 +affinity-3 ");
	(void)nft_refs_count(refs, &plain, 1);
	(void)nft_refs_count(refs, &sticky, -1);
	expect_settled(refs, "-affinity-3 ");
	(void)nft_refs_count(refs, &plain, -1);
	expect_settled(refs, "-pick-3 ");
}

static void static_chains_always_exist(void **state)
{
	struct nft_refs *refs = *state;
	const struct nft_element refused =
		leading_to((struct nft_chain){CHAIN_REFUSE, 0});

	(void)nft_refs_count(refs, &refused, 1);
	expect_settled(refs, "");
}

static void chains_are_listed_in_order(void **state)
{
	struct nft_refs *refs = *state;
	_cleanup_(freep) struct nft_chain *chains = NULL;
	size_t n;

	for (uint32_t i = 20; i > 0; i--) {
		const struct nft_element e =
			leading_to((struct nft_chain){CHAIN_PICK, i});

		(void)nft_refs_count(refs, &e, 1);
	}
	nft_refs_settle(refs, NULL, NULL);
	chains = nft_refs_chains(refs, FAMILY_IPV4, &n);
	assert_int_equal(n, 20);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(chains[i].number, i + 1);
	free(nft_refs_chains(refs, FAMILY_IPV6, &n));
	assert_int_equal(n, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_reference_creates_and_the_last_one_deletes),
		TEST(a_reference_dropped_and_taken_again_is_not_a_change),
		TEST(a_change_that_is_undone_is_not_reported),
		TEST(a_chain_adds_the_chain_that_it_needs),
		TEST(static_chains_always_exist),
		TEST(chains_are_listed_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
