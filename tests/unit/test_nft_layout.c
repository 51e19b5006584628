/*
 * Names, lengths and types of what our tables are made of.
 */
#include "tests/test.h"

#include <stdlib.h>

#include "core/cleanup.h"
#include "rules/nft/nft_layout.h"

static const struct {
	struct nft_chain chain;
	const char *name;
} chain_names[] = {
	{{CHAIN_REFUSE, 0}, "refuse"},
	{{CHAIN_REFUSE_NO_ENDPOINTS, 0}, "refuse-no-endpoints"},
	{{CHAIN_PICK, 5}, "pick-5"},
	{{CHAIN_PICK_LOCAL, 65536}, "pick-local-65536"},
	{{CHAIN_AFFINITY, 1}, "affinity-1"},
	{{CHAIN_AFFINITY_LOCAL, 2}, "affinity-local-2"},
	{{CHAIN_AFFINITY_LEARN, 0}, "affinity-learn"},
	{{CHAIN_AFFINITY_LEARN_FOR, 10800}, "affinity-learn-10800s"},
};

static void chains_are_found_by_their_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(chain_names); i++) {
		struct nft_chain chain = {CHAIN_N, 0};
		char name[NFT_CHAIN_NAME_LEN];

		assert_string_equal(nft_chain_name(chain_names[i].chain, name),
				    chain_names[i].name);
		assert_true(nft_chain_parse(name, &chain));
		assert_int_equal(chain.kind, chain_names[i].chain.kind);
		assert_int_equal(chain.number, chain_names[i].chain.number);
	}
}

static void other_chain_names_are_not_ours(void **state)
{
	static const char *const names[] = {
		"",
		"pick",
		"pick-",
		"pick-05",
		"pick-5 ",
		"pick-x",
		"pick--5",
		"affinity-learn-5",
		"affinity-learn-60ss",
		"affinity-local-",
		"5",
		"refuse-77",
		"pick-5-6",
		"pick-4294967296",
		"a-name-that-is-longer-than-any-that-we-would-ever-give-to-a-chain-77",
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		struct nft_chain chain;

		if (nft_chain_parse(names[i], &chain))
			fail_msg("\"%s\" is taken for ours", names[i]);
	}
}

static void an_affinity_chain_needs_its_pick_chain(void **state)
{
	struct nft_chain needed;

	(void)state;
	assert_true(nft_chain_needs((struct nft_chain){CHAIN_AFFINITY, 7}, &needed));
	assert_int_equal(needed.kind, CHAIN_PICK);
	assert_int_equal(needed.number, 7);
	assert_true(
		nft_chain_needs((struct nft_chain){CHAIN_AFFINITY_LOCAL, 7}, &needed));
	assert_int_equal(needed.kind, CHAIN_PICK_LOCAL);
	assert_false(nft_chain_needs((struct nft_chain){CHAIN_PICK, 7}, &needed));
	assert_false(nft_chain_needs((struct nft_chain){CHAIN_AFFINITY_LEARN_FOR, 7},
				     &needed));
}

/* The output of nft 1.0.6 and the kernel for the same declarations. */
static const struct {
	enum nft_shape shape;
	size_t len[FAMILY_N];
	uint32_t type[FAMILY_N];
} shape_cases[] = {
	{SHAPE_ADDR, {4, 16}, {0x7, 0x8}},
	{SHAPE_FRONTEND, {12, 24}, {0x730d, 0x830d}},
	{SHAPE_NODE_PORT, {12, 24}, {0x730d, 0x830d}},
	{SHAPE_SLOT, {16, 28}, {0x1cc344, 0x20c344}},
	{SHAPE_SOURCE, {16, 40}, {0x1cc347, 0x20c348}},
	{SHAPE_ENDPOINT, {8, 20}, {0x1cd, 0x20d}},
	{SHAPE_NUMBER, {4, 4}, {0x17, 0x17}},
	{SHAPE_NUMBERED, {12, 24}, {0x171cd, 0x1720d}},
	{SHAPE_CLIENT, {8, 12}, {0x1d7, 0x4117}},
};

static void key_shapes_have_the_width_of_the_kernels(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(shape_cases); i++)
		for (unsigned family = 0; family < FAMILY_N; family++) {
			assert_int_equal(nft_shape_len(shape_cases[i].shape, family),
					 shape_cases[i].len[family]);
			assert_int_equal(nft_shape_type(shape_cases[i].shape, family) &
						 0xffffffff,
					 shape_cases[i].type[family]);
		}
}

/* The limit of nft 1.0.6 that nft_layout.c speaks of. */
static void a_binding_fits_into_one_register(void **state)
{
	(void)state;
	for (unsigned set = 0; set < SET_N; set++)
		for (unsigned family = 0; family < FAMILY_N; family++) {
			const struct nft_set_info *info = nft_set_info(set);

			if (!(info->flags & SET_IS_LEARNED))
				continue;
			assert_in_range(nft_shape_len(info->key, family), 1, 16);
			assert_in_range(nft_shape_len(info->data, family), 1, 16);
		}
}

static void sets_are_found_by_name(void **state)
{
	(void)state;
	for (unsigned set = 0; set < SET_N; set++)
		assert_int_equal(nft_set_find(nft_set_info(set)->name), set);
	assert_int_equal(nft_set_find("mine"), SET_N);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_are_found_by_their_names),
		cmocka_unit_test(other_chain_names_are_not_ours),
		cmocka_unit_test(an_affinity_chain_needs_its_pick_chain),
		cmocka_unit_test(key_shapes_have_the_width_of_the_kernels),
		cmocka_unit_test(a_binding_fits_into_one_register),
		cmocka_unit_test(sets_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
