/*
 * What the sink keeps between applies, and the two ways that a change set gets
 * into the kernel.
 */
#pragma once

#include "core/changeset.h"
#include "rules/nft/nft.h"
#include "rules/nft/nft_keys.h"
#include "rules/nft/nft_link.h"
#include "rules/nft/nft_monitor.h"
#include "rules/nft/nft_numbers.h"
#include "rules/nft/nft_refs.h"
#include "rules/nft/nft_tx.h"

struct nft_kernel { /* embedded */
	struct nft_link link;
	struct nft_monitor monitor;
	struct nft_refs refs;
	bool is_known;	  /* refs say what is there; else only a full apply helps */
	bool was_touched; /* by another hand, since the last full apply */
	uint64_t n_elements;
	struct nft_numbers numbers; /* of services with affinity */
	bool has_numbers;	    /* those that the kernel had have been adopted */
	struct nft_keys lingering;  /* chains that are of no use at the moment */
	struct nft_stats stats;
};

int nft_kernel_init(struct nft_kernel *k);
void nft_kernel_fini(struct nft_kernel *k);

/*
 * Commits as nft_tx_commit() does, and counts. *ret_is_missed: something may
 * have been changed by others while we weren't listening; read it all again.
 */
int nft_kernel_commit(struct nft_kernel *k, struct nft_tx *tx, uint32_t generation,
		      struct nft_refusals *ret_refusals, bool *ret_is_missed);

/* Sends what changed, in one transaction, without reading back. -ESTALE: not known. */
int nft_delta_apply(struct nft_kernel *k, const struct changeset *cs);
/* Reads back, sends what differs. -EREMOTEIO: services were left out, and logged. */
int nft_full_apply(struct nft_kernel *k, const struct changeset *cs);
