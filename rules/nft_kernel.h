/*
 * What the sink keeps between applies, and the two ways that a change set gets
 * into the kernel.
 */
#pragma once

#include "core/changeset.h"
#include "rules/nft.h"
#include "rules/nft_link.h"
#include "rules/nft_refs.h"
#include "rules/nft_tx.h"

struct nft_kernel { /* embedded */
	struct nft_link link;
	struct nft_refs refs;
	bool is_known;	  /* refs say what is there; else only a full apply helps */
	bool was_touched; /* by another hand, since the last full apply */
	struct nft_stats stats;
};

int nft_kernel_init(struct nft_kernel *k);
void nft_kernel_fini(struct nft_kernel *k);

/* Sends what changed, in one transaction, without reading back. -ESTALE: not known. */
int nft_delta_apply(struct nft_kernel *k, const struct changeset *cs);
/* Reads back, sends what differs. -EREMOTEIO: services were left out, and logged. */
int nft_full_apply(struct nft_kernel *k, const struct changeset *cs);

static inline void nft_stats_add(struct nft_stats *stats, const struct nft_tx *tx)
{
	size_t n = nft_tx_n_messages(tx);

	stats->n_transactions += n > 0;
	stats->n_messages += n;
	stats->n_elements_added += tx->n_added;
	stats->n_elements_deleted += tx->n_deleted;
}
