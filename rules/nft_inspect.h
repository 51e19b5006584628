/*
 * Looking without changing anything: counters, and differences as text.
 */
#pragma once

#include "rules/nft.h"
#include "rules/nft_kernel.h"

int nft_counts_each(struct nft_link *link, const struct changeset *of,
		    bool with_endpoints,
		    void (*fn)(void *data, const struct nft_count *count), void *data);
/* Chains that linger (see nft_delta.c) are no difference. */
int nft_diff_print(struct nft_kernel *k, const struct changeset *full,
		   struct buf *ret_lines, size_t *ret_n);
