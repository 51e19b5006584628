/*
 * What an element stands for is its key, but for an endpoint: there it is the
 * frontend, the pool and the endpoint, in whatever slot.
 */
#include "rules/nft/nft_carry.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/nft/nft_read.h"

/* More than that goes only when much is new anyway; asking takes its time. */
#define ASK_MAX 4096

struct identity {
	uint8_t set, family, pool, len;
	uint8_t bytes[NFT_KEY_MAX];
};

struct carried {
	struct identity identity;
	uint64_t n_packets, n_bytes;
};

#define IDENTITY_HEAD_LEN offsetof(struct identity, bytes)

static uint64_t hash_identity(const void *key)
{
	const struct identity *k = key;

	return hash_bytes(k, IDENTITY_HEAD_LEN + k->len);
}

static bool equal_identity(const void *item, const void *key)
{
	const struct carried *carried = item;
	const struct identity *k = key;

	return memcmp(&carried->identity, k, IDENTITY_HEAD_LEN + k->len) == 0;
}

static const void *identity_of(const void *item)
{
	return &((const struct carried *)item)->identity;
}

static const struct hash_ops carry_ops = {hash_identity, equal_identity, identity_of};

void nft_carry_init(struct nft_carry *c)
{
	*c = (struct nft_carry){0};
	hash_init(&c->counts, &carry_ops);
}

void nft_carry_fini(struct nft_carry *c)
{
	void *item;

	for (size_t i = 0; (item = hash_next(&c->counts, &i));)
		free(item);
	hash_fini(&c->counts);
	free(c->asked);
}

static bool may_carry(const struct nft_element *e)
{
	return nft_set_info(e->set)->flags & SET_COUNTS && e->key_len > 0;
}

static struct identity make_identity(const struct nft_element *e)
{
	struct identity id = {.set = e->set, .family = e->family, .len = e->key_len};
	uint32_t slot;

	if (e->set == SET_ENDPOINTS) {
		id.len = (uint8_t)nft_shape_len(SHAPE_FRONTEND, e->family);
		memcpy(&slot, e->key + id.len, sizeof(slot));
		id.pool = slot >= NFT_LOCAL_SLOT;
	}
	memcpy(id.bytes, e->key, id.len);
	if (e->set == SET_ENDPOINTS) {
		memcpy(id.bytes + id.len, e->value, e->value_len);
		id.len = (uint8_t)(id.len + e->value_len);
	}
	return id;
}

void nft_carry_put(struct nft_carry *c, const struct nft_element *e)
{
	struct carried *item;

	if (!may_carry(e) || !e->n_packets)
		return;
	item = xcalloc(1, sizeof(*item));
	item->identity = make_identity(e);
	item->n_packets = e->n_packets;
	item->n_bytes = e->n_bytes;
	free(hash_put(&c->counts, item));
}

void nft_carry_want(struct nft_carry *c, const struct nft_element *e)
{
	if (!may_carry(e) || c->n == ASK_MAX)
		return;
	c->asked = xgrow(c->asked, c->n, &c->cap, sizeof(*c->asked));
	c->asked[c->n++] = *e;
}

static void take_answer(void *data, const struct nft_read_element *read)
{
	nft_carry_put(data, &read->e);
}

/* How many from here on belong to one set, and fit into one question. */
static size_t run_len(const struct nft_element *e, size_t n)
{
	size_t len = 1;

	while (len < n && len < NFT_READ_KEYS_MAX && e[len].set == e->set &&
	       e[len].family == e->family)
		len++;
	return len;
}

void nft_carry_ask(struct nft_carry *c, struct nft_link *link)
{
	for (size_t at = 0; at < c->n;) {
		size_t len = run_len(c->asked + at, c->n - at);

		(void)nft_read_keys(link, c->asked + at, len, take_answer, c);
		at += len;
	}
	c->n = 0;
}

void nft_carry_into(const struct nft_carry *c, struct nft_element *e)
{
	const struct carried *item;
	struct identity id;

	if (!c->counts.n || !may_carry(e))
		return;
	id = make_identity(e);
	item = hash_find(&c->counts, &id);
	if (!item)
		return;
	e->n_packets = item->n_packets;
	e->n_bytes = item->n_bytes;
}
