/*
 * Who is needed how often: elements that several services may want
 * (SET_IS_SHARED), and chains that come and go with the elements that lead to
 * them.  Changes are counted, and told when they are settled, so that what
 * goes from one service to another is no change.
 */
#pragma once

#include "core/hash.h"
#include "rules/nft/nft_element.h"

struct nft_refs { /* embedded */
	struct hash items;
	struct nft_ref **touched;
	size_t n_touched, touched_cap;
};

void nft_refs_init(struct nft_refs *refs);
void nft_refs_fini(struct nft_refs *refs);

/*
 * A service has (change 1) or has no longer (-1) this element. True when the
 * element is shared: then it is counted here, and settling says what to do.
 */
bool nft_refs_count(struct nft_refs *refs, const struct nft_element *e, int change);

/* The same for a chain that elements don't say anything of. */
void nft_refs_count_chain(struct nft_refs *refs, enum family family,
			  struct nft_chain chain, int change);

/* What came into use or went out of it since this was called last. */
struct nft_refs_ops {
	void (*element)(void *data, bool is_wanted, const struct nft_element *e);
	void (*chain)(void *data, bool is_wanted, enum family family,
		      struct nft_chain chain);
};
/* Chains are told of after those that they need. NULL ops: nobody is told. */
void nft_refs_settle(struct nft_refs *refs, const struct nft_refs_ops *ops, void *data);

/* The numbered chains of a family that are in use, ordered; the caller frees the array. */
struct nft_chain *nft_refs_chains(const struct nft_refs *refs, enum family family,
				  size_t *ret_n);
