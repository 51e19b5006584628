/*
 * The sink's state between applies, and the two ways to program a change set.
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
	bool is_known;	      /* refs match the kernel; else only a full apply helps */
	bool was_touched;     /* by another process, since the last full apply */
	bool is_missed;	      /* it may have been, while the monitor was off */
	bool is_unsubscribed; /* subscribing again failed, and was logged */
	uint64_t n_elements;
	struct nft_numbers numbers; /* of services with affinity */
	bool has_numbers;	    /* those of an earlier run were adopted */
	struct nft_keys deferred;   /* unused chains that were not deleted yet */
	struct nft_stats stats;
	char restored[128]; /* by the last repair: "2 chains, 41 rules" */
	/* For tests of races with other processes: called before and after a transaction. */
	void (*around_commit)(void *data, bool is_after);
	void *around_data;
};

int nft_kernel_init(struct nft_kernel *k);
void nft_kernel_fini(struct nft_kernel *k);

/*
 * Commits as nft_tx_commit() does, and counts. *ret_is_missed: another process
 * may have changed something while the monitor was off; read everything again.
 */
int nft_kernel_commit(struct nft_kernel *k, struct nft_tx *tx, uint32_t generation,
		      struct nft_refusals *ret_refusals, bool *ret_is_missed);

/* Logs a refusal that concerns no single service. */
void nft_refusal_log(const struct nft_refusal *r);
/* Reports the service that it concerns to the owner of the change set. */
void nft_refusal_report(const struct nft_refusal *r, const struct changeset *cs);

/*
 * Sends the changes in one transaction, after one with the new chains, without reading
 * back. -EREMOTEIO: new services were refused and left out; -ESTALE: the kernel differs
 * from our state, and no element was changed.
 */
int nft_delta_apply(struct nft_kernel *k, const struct changeset *cs);
/*
 * Reads back, sends the differences: in one transaction, after one with the chains that a
 * serving table lacks. -EREMOTEIO: services were refused and left out.
 */
int nft_full_apply(struct nft_kernel *k, const struct changeset *cs);
