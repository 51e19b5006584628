/*
 * Moves counters to elements that replace others.  When an element is replaced
 * by another one with the same meaning (a frontend with another number of
 * endpoints, an endpoint in another slot of its pool), the new one starts with
 * the counter of the old one.  Packets between reading and committing are
 * not counted.
 */
#pragma once

#include "core/hash.h"
#include "rules/nft/nft_link.h"

struct nft_transfer { /* embedded */
	struct hash counters;
	struct nft_element *asked; /* elements whose counters are still to be read */
	size_t n, cap;
};

void nft_transfer_init(struct nft_transfer *t);
void nft_transfer_fini(struct nft_transfer *t);

/* A deleted element, with its counter. */
void nft_transfer_put(struct nft_transfer *t, const struct nft_element *e);
/* The same when the counter is not known: nft_transfer_ask() reads it. */
void nft_transfer_want(struct nft_transfer *t, const struct nft_element *e);
/* Failures are ignored: a counter that was not read starts at zero. */
void nft_transfer_ask(struct nft_transfer *t, struct nft_link *link);

/* Gives an added element the counter of the one that it replaces. */
void nft_transfer_into(const struct nft_transfer *t, struct nft_element *e);
