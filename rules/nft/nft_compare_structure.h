/*
 * A table without the elements of its sets against what it should be: the table
 * itself, sets, chains, rules, objects.
 */
#pragma once

#include "rules/nft/nft_compare.h"

struct nft_sets_seen {
	bool is_there[SET_N];
	int64_t n_elements[SET_N]; /* -1: not known */
};

/* Reports each difference. 0 and the sets whose elements remain to be compared, or -errno. */
int nft_compare_structure(const struct nft_comparison *c, enum family family,
			  struct nft_sets_seen *ret);
