/*
 * Looking without changing anything: counters, and differences as text.
 */
#pragma once

#include "rules/nft/nft.h"
#include "rules/nft/nft_kernel.h"

int nft_counts_each(struct nft_kernel *k, const struct changeset *of, bool with_endpoints,
		    void (*fn)(void *data, const struct nft_count *count), void *data);
/* Chains that linger (see nft_delta.c) are no difference. */
struct nft_diff *nft_diff_new(struct nft_kernel *k, const struct changeset *full);
