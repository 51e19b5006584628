/*
 * Items are their length and their bytes.
 */
#include "rules/nft/nft_keys.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash_keys.h"
#include "core/mem.h"

struct key { /* as struct bytes_key */
	uint8_t len;
	uint8_t bytes[NFT_KEYS_LEN_MAX]; /* allocated up to len */
};

static void make_key(struct key *key, const void *bytes, size_t len)
{
	assert(len <= NFT_KEYS_LEN_MAX);
	key->len = (uint8_t)len;
	memcpy(key->bytes, bytes, len);
}

void nft_keys_init(struct nft_keys *keys)
{
	hash_init(&keys->hash, &bytes_key_ops);
}

void nft_keys_fini(struct nft_keys *keys)
{
	void *item;

	for (size_t i = 0; (item = hash_next(&keys->hash, &i));)
		free(item);
	hash_fini(&keys->hash);
}

void nft_keys_put(struct nft_keys *keys, const void *bytes, size_t len)
{
	struct key key;

	make_key(&key, bytes, len);
	if (hash_find(&keys->hash, &key))
		return;
	(void)hash_put(&keys->hash, memcpy(xmalloc(offsetof(struct key, bytes) + len),
					   &key, offsetof(struct key, bytes) + len));
}

bool nft_keys_take(struct nft_keys *keys, const void *bytes, size_t len)
{
	struct key key;
	void *item;

	make_key(&key, bytes, len);
	item = hash_del(&keys->hash, &key);
	free(item);
	return item;
}

void nft_keys_clear(struct nft_keys *keys)
{
	nft_keys_fini(keys);
	nft_keys_init(keys);
}

size_t nft_keys_n(const struct nft_keys *keys)
{
	return keys->hash.n;
}

bool nft_keys_has(const struct nft_keys *keys, const void *bytes, size_t len)
{
	struct key key;

	make_key(&key, bytes, len);
	return hash_find(&keys->hash, &key);
}

const uint8_t *nft_keys_next(const struct nft_keys *keys, size_t *cursor, size_t *ret_len)
{
	const struct key *key = hash_next(&keys->hash, cursor);

	if (!key)
		return NULL;
	*ret_len = key->len;
	return key->bytes;
}
