/*
 * A family after the other: its structure, then its sets, each in pieces.
 */
#include "rules/nft/nft_compare.h"

#include <stdlib.h>

#include "core/mem.h"
#include "rules/nft/nft_compare_set.h"
#include "rules/nft/nft_compare_structure.h"

struct nft_comparing {
	const struct nft_comparison *c;
	enum family family;	   /* the one that is compared now */
	bool has_structure;	   /* of it; then come its sets */
	struct nft_sets_seen sets; /* of it, then */
	unsigned next_set;
	struct nft_set_comparison *set; /* compared now, or NULL */
};

struct nft_comparing *nft_comparing_new(const struct nft_comparison *c)
{
	struct nft_comparing *n = xcalloc(1, sizeof(*n));
	struct nft_desired_item *item;

	n->c = c;
	for (size_t at = 0; (item = nft_desired_next(c->desired, &at));)
		item->state = DESIRED_MISSING;
	return n;
}

void nft_comparing_free(struct nft_comparing *n)
{
	if (!n)
		return;
	nft_set_comparison_free(n->set);
	free(n);
}

static bool start_set(struct nft_comparing *n)
{
	for (; n->next_set < SET_N; n->next_set++) {
		unsigned set = n->next_set;

		if (!n->sets.is_there[set] || nft_set_info(set)->flags & SET_IS_LEARNED)
			continue;
		n->set = nft_set_comparison_new(n->c, n->family, set,
						n->sets.n_elements[set]);
		n->next_set++;
		return true;
	}
	return false;
}

static int step_set(struct nft_comparing *n)
{
	int err = nft_set_comparison_step(n->set);

	if (err == 1)
		return 1;
	nft_set_comparison_free(n->set);
	n->set = NULL;
	return err ? err : 1;
}

static void next_family(struct nft_comparing *n)
{
	n->family++;
	n->has_structure = false;
	n->next_set = 0;
}

int nft_comparing_step(struct nft_comparing *n)
{
	int err;

	if (n->set || (n->has_structure && start_set(n)))
		return step_set(n);
	if (n->has_structure)
		next_family(n);
	if (n->family == FAMILY_N)
		return 0;
	n->sets = (struct nft_sets_seen){.is_there = {false}};
	err = nft_compare_structure(n->c, n->family, &n->sets);
	n->has_structure = true;
	return err ? err : 1;
}

int nft_compare(const struct nft_comparison *c)
{
	struct nft_comparing *n = nft_comparing_new(c);
	int err;

	do {
		err = nft_comparing_step(n);
	} while (err == 1);
	nft_comparing_free(n);
	return err;
}
