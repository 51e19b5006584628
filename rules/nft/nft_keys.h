/*
 * A set of short byte strings.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/hash.h"

#define NFT_KEYS_LEN_MAX 60

struct nft_keys { /* embedded */
	struct hash hash;
};

void nft_keys_init(struct nft_keys *keys);
void nft_keys_fini(struct nft_keys *keys);
void nft_keys_put(struct nft_keys *keys, const void *bytes, size_t len);
/* Removes it; false when it was not in the set. */
bool nft_keys_take(struct nft_keys *keys, const void *bytes, size_t len);
void nft_keys_clear(struct nft_keys *keys);
size_t nft_keys_n(const struct nft_keys *keys);
bool nft_keys_has(const struct nft_keys *keys, const void *bytes, size_t len);
/* One after the other, NULL at the end; *cursor starts as 0. */
const uint8_t *nft_keys_next(const struct nft_keys *keys, size_t *cursor,
			     size_t *ret_len);
