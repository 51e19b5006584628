/*
 * The elements of one set against those that should be.
 */
#pragma once

#include "rules/nft/nft_compare.h"

struct nft_set_comparison;

/* n_elements: how many the kernel has; -1 when it doesn't say. */
struct nft_set_comparison *nft_set_comparison_new(const struct nft_comparison *c,
						  enum family family, enum nft_set set,
						  int64_t n_elements);
void nft_set_comparison_free(struct nft_set_comparison *s);
/* As nft_comparing_step(). */
int nft_set_comparison_step(struct nft_set_comparison *s);
