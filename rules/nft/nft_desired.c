/*
 * Open addressing over offsets of the arena, half full at most.
 */
#include "rules/nft/nft_desired.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/mem.h"

#define ALIGNMENT 8u

void nft_desired_fini(struct nft_desired *d)
{
	free(d->arena);
	free(d->slots);
	*d = (struct nft_desired){0};
}

static size_t item_len(size_t key_len, size_t value_len)
{
	size_t len = offsetof(struct nft_desired_item, bytes) + key_len + value_len;

	if (len < sizeof(struct nft_desired_item))
		len = sizeof(struct nft_desired_item);
	return (len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static struct nft_desired_item *item_at(const struct nft_desired *d, uint32_t slot)
{
	return (void *)(d->arena + (size_t)(slot - 1) * ALIGNMENT);
}

static uint64_t hash_key(unsigned set, unsigned family, const uint8_t *key, size_t len)
{
	return hash_mix(hash_bytes(key, len), set << 1 | family);
}

static void insert(struct nft_desired *d, uint32_t slot, uint64_t hash)
{
	size_t i = hash & (d->n_slots - 1);

	while (d->slots[i])
		i = (i + 1) & (d->n_slots - 1);
	d->slots[i] = slot;
}

static void grow(struct nft_desired *d)
{
	const struct nft_desired_item *item;

	free(d->slots);
	d->n_slots = d->n_slots ? 2 * d->n_slots : 1024;
	d->slots = xcalloc(d->n_slots, sizeof(*d->slots));
	for (size_t at = 0, start = 0; (item = nft_desired_next(d, &at)); start = at)
		insert(d, (uint32_t)(start / ALIGNMENT) + 1,
		       hash_key(item->set, item->family, item->bytes, item->key_len));
}

static char *arena_add(struct nft_desired *d, size_t len)
{
	char *p;

	while (d->cap - d->len < len) {
		d->cap = d->cap ? 2 * d->cap : 64 * 1024;
		d->arena = xrealloc(d->arena, d->cap);
	}
	assert(d->len / ALIGNMENT < UINT32_MAX);
	p = d->arena + d->len;
	d->len += len;
	return p;
}

void nft_desired_add(struct nft_desired *d, const struct nft_element *e,
		     const struct service *service)
{
	struct nft_desired_item *item;
	size_t start = d->len;

	if (nft_set_info(e->set)->flags & SET_IS_SHARED && nft_desired_find(d, e))
		return;
	item = (void *)arena_add(d, item_len(e->key_len, e->value_len));
	*item = (struct nft_desired_item){
		.service = service,
		.set = e->set,
		.family = e->family,
		.key_len = e->key_len,
		.value_len = e->value_len,
	};
	memcpy(item->bytes, e->key, e->key_len);
	memcpy(item->bytes + e->key_len, e->value, e->value_len);
	d->n++;
	if (2 * d->n > d->n_slots)
		grow(d);
	else
		insert(d, (uint32_t)(start / ALIGNMENT) + 1,
		       hash_key(e->set, e->family, e->key, e->key_len));
}

static bool is_key(const struct nft_desired_item *item, const struct nft_element *e)
{
	return item->set == e->set && item->family == e->family &&
	       item->key_len == e->key_len &&
	       memcmp(item->bytes, e->key, e->key_len) == 0;
}

struct nft_desired_item *nft_desired_find(const struct nft_desired *d,
					  const struct nft_element *e)
{
	size_t i;

	if (!d->n_slots)
		return NULL;
	i = hash_key(e->set, e->family, e->key, e->key_len) & (d->n_slots - 1);
	for (; d->slots[i]; i = (i + 1) & (d->n_slots - 1))
		if (is_key(item_at(d, d->slots[i]), e))
			return item_at(d, d->slots[i]);
	return NULL;
}

struct nft_desired_item *nft_desired_next(const struct nft_desired *d, size_t *at)
{
	struct nft_desired_item *item;

	if (*at >= d->len)
		return NULL;
	item = (void *)(d->arena + *at);
	*at += item_len(item->key_len, item->value_len);
	return item;
}

struct nft_element nft_desired_element(const struct nft_desired_item *item)
{
	struct nft_element e = {
		.set = item->set,
		.family = item->family,
		.key_len = item->key_len,
		.value_len = item->value_len,
	};

	memcpy(e.key, item->bytes, item->key_len);
	memcpy(e.value, item->bytes + item->key_len, item->value_len);
	return e;
}
