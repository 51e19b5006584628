/*
 * Reading the kernel without changing it: connection counters, and differences
 * as text.
 */
#pragma once

#include "core/sink_view.h"
#include "rules/nft/nft_kernel.h"

/* One report for each map that an element is in. About a millisecond for a thousand. */
int nft_counts_each(struct nft_kernel *k, const struct changeset *of, bool with_endpoints,
		    void (*fn)(void *data, const struct sink_count *count), void *data);
/* As bound() of struct sink_view. */
int nft_bound(struct nft_kernel *k, const struct sink_question *q,
	      const struct addr *client, struct endpoint *ret);
/* Chains whose deletion is deferred (see nft_delta.c) are not differences. */
struct sink_diff *nft_diff_new(struct nft_kernel *k, const struct changeset *full);
