/*
 * All wanted elements, to look up those of the kernel.  It lives for
 * one full apply: one arena and one table of offsets, no allocation for each.
 */
#pragma once

#include "core/service.h"
#include "rules/nft/nft_element.h"

enum nft_desired_state {
	DESIRED_MISSING,   /* not seen in the kernel */
	DESIRED_PRESENT,   /* seen, and as it should be */
	DESIRED_DIFFERENT, /* the key was seen with another value */
};

struct nft_desired_item {
	const struct service *service;
	uint8_t set, family, key_len, value_len;
	uint8_t state;
	uint8_t bytes[]; /* key, then value */
};

struct nft_desired { /* embedded; zeroed is empty */
	char *arena;
	size_t len, cap;
	uint32_t *slots; /* offset / 8 + 1 */
	size_t n, n_slots;
};

void nft_desired_fini(struct nft_desired *d);
/* Of an element that several services want the first counts; other keys may come twice. */
void nft_desired_add(struct nft_desired *d, const struct nft_element *e,
		     const struct service *service);
struct nft_desired_item *nft_desired_find(const struct nft_desired *d,
					  const struct nft_element *e);
/* In the order they were added: for (size_t at = 0; (i = nft_desired_next(d, &at));) */
struct nft_desired_item *nft_desired_next(const struct nft_desired *d, size_t *at);

struct nft_element nft_desired_element(const struct nft_desired_item *item);
static inline bool nft_desired_has_value(const struct nft_desired_item *item,
					 const struct nft_element *e)
{
	return item->value_len == e->value_len &&
	       memcmp(item->bytes + item->key_len, e->value, e->value_len) == 0;
}
