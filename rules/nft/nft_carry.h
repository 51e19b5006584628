/*
 * Counters that outlive their element.  When an element makes room for one
 * that stands for the same (a frontend with another number of endpoints, an
 * endpoint in another slot of its pool), the new one begins where the old one
 * ended.  What comes between reading and committing is lost.
 */
#pragma once

#include "core/hash.h"
#include "rules/nft/nft_link.h"
#include "rules/nft/nft_tx.h"

struct nft_carry { /* embedded */
	struct hash counts;
	struct nft_element *asked; /* those whose counters aren't known yet */
	size_t n, cap;
};

void nft_carry_init(struct nft_carry *c);
void nft_carry_fini(struct nft_carry *c);

/* An element that goes, with its counter. */
void nft_carry_put(struct nft_carry *c, const struct nft_element *e);
/* The same when the counter isn't known: it is asked for by nft_carry_ask(). */
void nft_carry_want(struct nft_carry *c, const struct nft_element *e);
/* Failures are none: what isn't known begins at zero. */
void nft_carry_ask(struct nft_carry *c, struct nft_link *link);

/* Gives an element that comes the counter of the one that it stands for. */
void nft_carry_into(const struct nft_carry *c, struct nft_element *e);
