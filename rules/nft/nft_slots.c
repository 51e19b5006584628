/*
 * Slots must be filled without a gap, as one is picked at random below their
 * number.  If endpoints stood in order, one that comes or goes would move all
 * later ones.  So slots are auctioned, in rounds.
 *
 * In each round every endpoint that has no slot yet bids for one.  Which one,
 * and how much, is a hash of endpoint and round.  The highest bid of the first
 * round with a bid for a slot wins it permanently.  So the holder of a slot
 * depends only on its few bidders: a new endpoint takes the slot of one that
 * had it by a lesser bid, or in a later round; that one keeps bidding, and
 * takes the slot of another, until the new slot is reached.  Such a
 * chain is about ln(n) long, as fewer and fewer have a slot that is so
 * easily taken.  The same holds when one goes.
 *
 * Few endpoints stand in order: that moves no more of them, and reads better.
 */
#include "rules/nft/nft_slots.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/nft/nft_layout.h"

#define ORDERED_MAX 8

/*
 * For each slot. About ln(n) are needed; addresses that were chosen for their
 * hashes must not need many more.
 */
#define BIDS_MAX 64

struct bidder {
	const struct endpoint *endpoint;
	uint64_t hash;
};

struct slot {
	const struct bidder *holder; /* NULL: free */
	uint64_t bid;
	uint32_t round;
};

struct auction {
	struct slot *slots;
	uint32_t n;
	uint64_t mask; /* all ones, the least that is at least n - 1 */
	uint32_t round;
};

/* Not core/hash.h: this must come to the same in every process. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	return x ^ x >> 32;
}

static uint64_t hash_of(const struct endpoint *endpoint)
{
	uint64_t halves[2];

	memcpy(halves, endpoint->addr.b, sizeof(halves));
	return mix(mix(halves[0] + endpoint->port) + halves[1]);
}

uint32_t nft_pool_size(const struct service *service, enum pool pool)
{
	uint32_t n = service->n_pool[pool];

	return n < NFT_LOCAL_SLOT ? n : NFT_LOCAL_SLOT;
}

static const struct endpoint **endpoints_of(const struct service *service, enum pool pool)
{
	const struct endpoint *all = service_endpoints(service);
	uint32_t size = nft_pool_size(service, pool), n = 0;
	const struct endpoint **list = xcalloc(size, sizeof(struct endpoint *));

	for (uint32_t i = 0; n < size; i++)
		if (all[i].flags & 1u << pool)
			list[n++] = &all[i];
	return list;
}

/* With a slot more only bids that go there now go elsewhere than they did. */
static struct slot *slot_of(const struct auction *a, uint64_t bid)
{
	uint64_t at = bid & a->mask;

	return &a->slots[at < a->n ? at : at & a->mask >> 1];
}

/* The endpoint without a slot after this: the bidder, the one that it outbids, or NULL. */
static const struct bidder *offer(struct auction *a, const struct bidder *bidder)
{
	uint64_t bid = mix(bidder->hash + a->round);
	struct slot *slot = slot_of(a, bid);
	const struct bidder *loser = slot->holder;

	if (loser && (slot->round < a->round || slot->bid >= bid))
		return bidder;
	*slot = (struct slot){.holder = bidder, .bid = bid, .round = a->round};
	return loser;
}

/* Leaves the endpoints that have no slot yet in waiting; returns how many. */
static uint32_t run_round(struct auction *a, const struct bidder **waiting, uint32_t n)
{
	uint32_t n_left = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct bidder *loser = offer(a, waiting[i]);

		if (loser)
			waiting[n_left++] = loser;
	}
	a->round++;
	return n_left;
}

static void run(struct auction *a, const struct bidder *bidders)
{
	_cleanup_(freep) const struct bidder **waiting =
		xcalloc(a->n, sizeof(struct bidder *));
	uint64_t n_bids = 0;
	uint32_t n = a->n;

	for (uint32_t i = 0; i < n; i++)
		waiting[i] = &bidders[i];
	for (; n && n_bids < (uint64_t)BIDS_MAX * a->n; n_bids += n)
		n = run_round(a, waiting, n);
	for (uint32_t i = 0; n; i++)
		if (!a->slots[i].holder)
			a->slots[i].holder = waiting[--n];
}

/* Reorders the endpoints by slot. */
static void auction_off(const struct endpoint **endpoints, uint32_t n)
{
	_cleanup_(freep) struct bidder *bidders = xcalloc(n, sizeof(*bidders));
	_cleanup_(freep) struct slot *slots = xcalloc(n, sizeof(*slots));
	struct auction a = {.slots = slots, .n = n, .mask = 1};

	while (a.mask < n - 1)
		a.mask = a.mask << 1 | 1;
	for (uint32_t i = 0; i < n; i++)
		bidders[i] = (struct bidder){endpoints[i], hash_of(endpoints[i])};
	run(&a, bidders);
	for (uint32_t i = 0; i < n; i++)
		endpoints[i] = slots[i].holder->endpoint;
}

const struct endpoint **nft_slots_assign(const struct service *service, enum pool pool)
{
	uint32_t n = nft_pool_size(service, pool);
	const struct endpoint **endpoints = endpoints_of(service, pool);

	if (n > ORDERED_MAX)
		auction_off(endpoints, n);
	return endpoints;
}
