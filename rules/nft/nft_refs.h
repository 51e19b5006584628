/*
 * Reference counts: of elements that several services may want (SET_IS_SHARED),
 * and of chains that exist as long as an element leads to them.  Changes are
 * counted first and reported when they are settled, so that an element that
 * moves from one service to another is not a change.
 */
#pragma once

#include "core/hash.h"
#include "core/slab.h"
#include "rules/nft/nft_element.h"

#define NFT_REFS_SLABS 4

struct nft_refs { /* embedded */
	struct hash items;
	struct slab slabs[NFT_REFS_SLABS]; /* of items, by their length */
	struct nft_ref **touched;
	size_t n_touched, touched_cap;
};

void nft_refs_init(struct nft_refs *refs);
void nft_refs_fini(struct nft_refs *refs);

enum nft_refs_answer {
	REFS_NOT_SHARED, /* each service has its own */
	REFS_SHARED,	 /* it is counted here, and settling reports the next step */
	REFS_FIRST,	 /* the same, and there is one reference now */
};

/* A service gained (change 1) or lost (-1) this element. */
enum nft_refs_answer nft_refs_count(struct nft_refs *refs, const struct nft_element *e,
				    int change);

/* The same for a chain that no element names. */
void nft_refs_count_chain(struct nft_refs *refs, enum family family,
			  struct nft_chain chain, int change);

/* Receives the elements and chains that became used or unused since the last call. */
struct nft_refs_ops {
	void (*element)(void *data, bool is_wanted, const struct nft_element *e);
	void (*chain)(void *data, bool is_wanted, enum family family,
		      struct nft_chain chain);
};
/* Chains are reported after those that they need. NULL ops: nothing is reported. */
void nft_refs_settle(struct nft_refs *refs, const struct nft_refs_ops *ops, void *data);

/* The numbered chains of a family that are in use, ordered; the caller frees the array. */
struct nft_chain *nft_refs_chains(const struct nft_refs *refs, enum family family,
				  size_t *ret_n);
