/*
 * Which endpoint stands in which slot of its pool.  That depends on who is in
 * the pool and on nothing else, so a restart, a full apply and a dump all come
 * to the same; and one endpoint more, less or exchanged moves a few others only
 * (some ten of 5000), whatever came before.
 */
#pragma once

#include "core/service.h"

/* How many slots a pool has: one for each endpoint, NFT_LOCAL_SLOT at most. */
uint32_t nft_pool_size(const struct service *service, enum pool pool);

/* As many endpoints as the pool has slots, by slot; the caller frees the array. */
const struct endpoint **nft_slots_assign(const struct service *service, enum pool pool);
