/*
 * Numbers of service ports with client affinity, and of their endpoints.  The
 * kernel binds a client to numbers: whichever address of a service port it
 * takes, the number is the same, and the number of a removed endpoint leads
 * nowhere.
 *
 * A number must stay the same for as long as its service is there, also across
 * restarts: they are adopted from the kernel's tables.  One that is given to
 * another endpoint later does no harm: it sends a client to an endpoint of the
 * service that the number belongs to.
 */
#pragma once

#include "core/hash.h"
#include "core/service.h"
#include "rules/nft/nft_element.h"

struct nft_numbers { /* embedded */
	struct hash services;
	struct hash adopted;			 /* numbers that the kernel has */
	uint64_t used[FAMILY_N][65536 / 64];	 /* a bit for each number of a service */
	uint64_t reserved[FAMILY_N][65536 / 64]; /* adopted, and not yet asked for */
};

void nft_numbers_init(struct nft_numbers *n);
void nft_numbers_fini(struct nft_numbers *n);
/* The number of a service port with affinity; 0: all are taken. */
uint32_t nft_numbers_service(struct nft_numbers *n, const struct service *s);
/* The number of an endpoint of it; 0: all are taken. */
uint32_t nft_numbers_endpoint(struct nft_numbers *n, const struct service *s,
			      const struct endpoint *endpoint);
/* The service has changed, or is gone: numbers that it has no endpoint for may go. */
void nft_numbers_settle(struct nft_numbers *n, const struct service *old,
			const struct service *new);

/* Every service that is settled between these two stays, the others are forgotten. */
void nft_numbers_start_sweep(struct nft_numbers *n);
void nft_numbers_end_sweep(struct nft_numbers *n);

/* Takes a number from an element of SET_AFFINITY_SERVICES or SET_AFFINITY_NUMBERS. */
void nft_numbers_adopt(struct nft_numbers *n, const struct nft_element *e);
/* All services have asked: other adopted numbers are forgotten. */
void nft_numbers_end_adoption(struct nft_numbers *n);
