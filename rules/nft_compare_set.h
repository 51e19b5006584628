/*
 * The elements of one set against those that should be.
 */
#pragma once

#include "rules/nft_compare.h"

/* n_elements: how many the kernel has; -1 when it doesn't say. */
int nft_compare_set(const struct nft_comparison *c, enum family family, enum nft_set set,
		    int64_t n_elements);
