/*
 * What clients are bound to is learned by the kernel (see CHAIN_AFFINITY_LEARN_FOR).
 * When an endpoint leaves a pool of a frontend, the clients bound to it there
 * must be let go at once: their learned elements are deleted in the transaction
 * that the endpoint goes with.  What was learned between reading and that
 * transaction, or could not be read so quickly, goes right behind.
 *
 * Who left is found from the elements that were deleted and added: an endpoint
 * that only moved to another slot has not left.
 */
#pragma once

#include "rules/nft/nft_desired.h"
#include "rules/nft/nft_keys.h"
#include "rules/nft/nft_link.h"
#include "rules/nft/nft_tx.h"

struct nft_leavers {			/* embedded */
	struct nft_keys deleted, added; /* who is served where */
	struct nft_keys frontends;	/* that have another pool now */
	struct nft_keys pairs;		/* frontend and endpoint: let go */
};

void nft_leavers_init(struct nft_leavers *l);
void nft_leavers_fini(struct nft_leavers *l);
/* For another transaction: who was found to have left before stays so. */
void nft_leavers_restart(struct nft_leavers *l);

/* To be told of every element that a transaction deletes or adds. */
void nft_leavers_note(struct nft_leavers *l, enum nft_verb verb,
		      const struct nft_element *e);
/* When all have been told. */
void nft_leavers_settle(struct nft_leavers *l);
/*
 * Then of every element of SET_AFFINITY_ENDPOINTS that there is now, or at least
 * of those of changed services: when its frontend was given another pool all
 * its clients are let go.
 */
void nft_leavers_note_present(struct nft_leavers *l, const struct nft_element *e);

/*
 * How much was learned is known when it has been read. Where it was more than
 * that it isn't read before a transaction: it would wait too long.
 */
#define NFT_FORGET_MAX 5000

/* Adds to a transaction what is known to be learned of those who leave with it. */
void nft_affinity_forget(struct nft_link *link, const struct nft_leavers *l,
			 struct nft_tx *tx, size_t *n_learned);
/*
 * Lets go of those who left. With desired (a full apply): of everybody who is
 * bound to what is no endpoint now.
 */
int nft_affinity_purge(struct nft_link *link, const struct nft_leavers *l,
		       const struct nft_desired *desired, size_t *n_learned);
