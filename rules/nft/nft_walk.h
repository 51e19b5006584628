/*
 * A walk over the elements of one service; private to nft_elements*.c.  The element
 * that comes next is built up from left to right: its set, its key, its value.
 */
#pragma once

#include "rules/nft/nft_elements.h"

struct nft_walk {
	const struct service *service;
	const struct environment *env;
	void (*fn)(void *data, const struct nft_element *e);
	void *data;
	struct nft_numbers *numbers;
	uint32_t number;		       /* the service's; 0: no affinity */
	const struct endpoint **slots[POOL_N]; /* NULL: not asked for yet */
	struct nft_element e; /* its key is built up from left to right */
};

/* Starts an element of this set. */
void nft_walk_start(struct nft_walk *w, enum nft_set set);
/* The same with the frontend's address, protocol and port, or a number, as its key. */
void nft_walk_start_frontend(struct nft_walk *w, enum nft_set set,
			     const struct frontend *f);
void nft_walk_start_number(struct nft_walk *w, enum nft_set set, uint32_t number);
void nft_walk_add_addr(struct nft_walk *w, const struct addr *addr);
void nft_walk_set_endpoint(struct nft_walk *w, const struct endpoint *endpoint);
void nft_walk_set_number(struct nft_walk *w, uint32_t number);
/* Passes the element on. */
void nft_walk_emit(struct nft_walk *w);
void nft_walk_emit_verdict(struct nft_walk *w, struct nft_verdict v);

/* Balancing over nothing is refusing: there is no chain that picks out of none. */
enum action nft_walk_action(const struct service *s, const struct decision *d);
bool nft_walk_is_balanced(const struct nft_walk *w, const struct decision *d);
/* One bit for each pool that a class of client is balanced over. */
unsigned nft_walk_pools(const struct nft_walk *w, const struct frontend *f);

/* nft_elements_affinity.c: the elements of the sets of session affinity. */
void nft_affinity_emit_service(struct nft_walk *w, const struct frontend *f);
void nft_affinity_emit_timeout(struct nft_walk *w, const struct frontend *f);
void nft_affinity_emit_numbers(struct nft_walk *w, const struct frontend *f);
void nft_affinity_emit_endpoints(struct nft_walk *w, const struct frontend *f);
void nft_affinity_emit_local_endpoints(struct nft_walk *w, const struct frontend *f);
