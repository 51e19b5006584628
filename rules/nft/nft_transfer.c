/*
 * An element replaces the one with the same identity: its key, or for an
 * endpoint its frontend, pool and address, in any slot.
 */
#include "rules/nft/nft_transfer.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/hash_keys.h"
#include "core/mem.h"
#include "rules/nft/nft_read.h"

/* Bounds the time: more are deleted only with large changes. */
#define ASK_MAX 4096

struct identity { /* as struct bytes_key */
	uint8_t len;
	uint8_t set, family, pool;
	uint8_t bytes[NFT_KEY_MAX + NFT_VALUE_MAX];
};

struct counter {
	struct identity identity;
	uint64_t n_packets, n_bytes;
};

void nft_transfer_init(struct nft_transfer *t)
{
	*t = (struct nft_transfer){0};
	hash_init(&t->counters, &bytes_key_ops);
}

void nft_transfer_fini(struct nft_transfer *t)
{
	void *item;

	for (size_t i = 0; (item = hash_next(&t->counters, &i));)
		free(item);
	hash_fini(&t->counters);
	free(t->asked);
}

static bool has_counter(const struct nft_element *e)
{
	return nft_set_info(e->set)->flags & SET_COUNTS && e->key_len > 0;
}

static struct identity make_identity(const struct nft_element *e)
{
	struct identity id = {.set = e->set, .family = e->family};
	size_t len = e->key_len;
	uint32_t slot;

	if (e->set == SET_ENDPOINTS) {
		len = nft_shape_len(SHAPE_FRONTEND, e->family);
		memcpy(&slot, e->key + len, sizeof(slot));
		id.pool = slot >= NFT_LOCAL_SLOT;
	}
	memcpy(id.bytes, e->key, len);
	if (e->set == SET_ENDPOINTS) {
		memcpy(id.bytes + len, e->value, e->value_len);
		len += e->value_len;
	}
	id.len = (uint8_t)(offsetof(struct identity, bytes) - 1 + len);
	return id;
}

void nft_transfer_put(struct nft_transfer *t, const struct nft_element *e)
{
	struct counter *item;

	if (!has_counter(e) || !e->n_packets)
		return;
	item = xcalloc(1, sizeof(*item));
	item->identity = make_identity(e);
	item->n_packets = e->n_packets;
	item->n_bytes = e->n_bytes;
	free(hash_put(&t->counters, item));
}

void nft_transfer_want(struct nft_transfer *t, const struct nft_element *e)
{
	if (!has_counter(e) || t->n == ASK_MAX)
		return;
	t->asked = xgrow(t->asked, t->n, &t->cap, sizeof(*t->asked));
	t->asked[t->n++] = *e;
}

static void take_answer(void *data, const struct nft_read_element *read)
{
	nft_transfer_put(data, &read->e);
}

/* How many from here on belong to one set, and fit into one request. */
static size_t run_len(const struct nft_element *e, size_t n)
{
	size_t len = 1;

	while (len < n && len < NFT_READ_KEYS_MAX && e[len].set == e->set &&
	       e[len].family == e->family)
		len++;
	return len;
}

void nft_transfer_ask(struct nft_transfer *t, struct nft_link *link)
{
	for (size_t at = 0; at < t->n;) {
		size_t len = run_len(t->asked + at, t->n - at);

		(void)nft_read_keys(link, t->asked + at, len, take_answer, t);
		at += len;
	}
	t->n = 0;
}

void nft_transfer_into(const struct nft_transfer *t, struct nft_element *e)
{
	const struct counter *item;
	struct identity id;

	if (!t->counters.n || !has_counter(e))
		return;
	id = make_identity(e);
	item = hash_find(&t->counters, &id);
	if (!item)
		return;
	e->n_packets = item->n_packets;
	e->n_bytes = item->n_bytes;
}
