/*
 * The key is set, family and the element's key; of chains SET_N, family and the chain.
 */
#include "rules/nft/nft_refs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/hash_keys.h"
#include "core/mem.h"

struct ref_key { /* as struct bytes_key */
	uint8_t len;
	uint8_t set, family;
	uint8_t bytes[33]; /* the longest key of a shared set */
};

#define KEY_HEAD_LEN offsetof(struct ref_key, bytes)

struct nft_ref {
	uint32_t n, n_settled;
	bool is_touched;
	struct ref_key key; /* allocated up to its length, and more */
};

/* Of the address of a Service, of a chain or IPv6 address, and of longer keys. */
static const size_t ref_lens[NFT_REFS_SLABS] = {16, 24, 32, sizeof(struct nft_ref)};

/* The table holds pointers to the keys. */
static struct nft_ref *ref_of(struct ref_key *key)
{
	return key ? container_of(key, struct nft_ref, key) : NULL;
}

static size_t n_key_bytes(const struct ref_key *key)
{
	return key->len + 1u - KEY_HEAD_LEN;
}

static struct ref_key make_key(uint8_t set, uint8_t family, const void *bytes, size_t len)
{
	struct ref_key key = {
		.len = (uint8_t)(KEY_HEAD_LEN - 1 + len),
		.set = set,
		.family = family,
	};

	assert(len <= sizeof(key.bytes));
	memcpy(key.bytes, bytes, len);
	return key;
}

void nft_refs_init(struct nft_refs *refs)
{
	*refs = (struct nft_refs){0};
	hash_init(&refs->items, &bytes_key_ops);
	for (size_t i = 0; i < NFT_REFS_SLABS; i++)
		slab_init(&refs->slabs[i], ref_lens[i]);
}

static struct slab *slab_of(struct nft_refs *refs, const struct ref_key *key)
{
	size_t i = 0;

	while (offsetof(struct nft_ref, key) + key->len + 1 > ref_lens[i])
		i++;
	return &refs->slabs[i];
}

void nft_refs_fini(struct nft_refs *refs)
{
	for (size_t i = 0; i < NFT_REFS_SLABS; i++)
		slab_fini(&refs->slabs[i]);
	hash_fini(&refs->items);
	free(refs->touched);
	refs->touched = NULL;
	refs->n_touched = 0;
}

/* Returns the number of references. */
static uint32_t count(struct nft_refs *refs, const struct ref_key *key, int change)
{
	struct nft_ref *ref = ref_of(hash_find(&refs->items, key));

	if (!ref) {
		ref = slab_take(slab_of(refs, key));
		memcpy(&ref->key, key, key->len + 1u);
		(void)hash_put(&refs->items, &ref->key);
	}
	assert(change > 0 || ref->n > 0);
	ref->n += (uint32_t)change;
	if (ref->is_touched)
		return ref->n;
	ref->is_touched = true;
	refs->touched = xgrow(refs->touched, refs->n_touched, &refs->touched_cap,
			      sizeof(struct nft_ref *));
	refs->touched[refs->n_touched++] = ref;
	return ref->n;
}

void nft_refs_count_chain(struct nft_refs *refs, enum family family,
			  struct nft_chain chain, int change)
{
	struct ref_key key;
	struct nft_chain needed;

	if (chain.kind < CHAIN_STATIC_N)
		return;
	if (nft_chain_needs(chain, &needed))
		nft_refs_count_chain(refs, family, needed, change);
	key = make_key(SET_N, (uint8_t)family, &chain, sizeof(chain));
	(void)count(refs, &key, change);
}

enum nft_refs_answer nft_refs_count(struct nft_refs *refs, const struct nft_element *e,
				    int change)
{
	const struct nft_set_info *info = nft_set_info(e->set);
	struct ref_key key;

	if (info->flags & SET_HAS_VERDICTS && nft_element_verdict(e).code == VERDICT_GOTO)
		nft_refs_count_chain(refs, e->family, nft_element_verdict(e).chain,
				     change);
	if (!(info->flags & SET_IS_SHARED))
		return REFS_NOT_SHARED;
	key = make_key(e->set, e->family, e->key, e->key_len);
	return count(refs, &key, change) == 1 ? REFS_FIRST : REFS_SHARED;
}

static void report(const struct nft_ref *ref, const struct nft_refs_ops *ops, void *data)
{
	const struct ref_key *key = &ref->key;
	struct nft_element e = {
		.set = key->set,
		.family = key->family,
		.key_len = (uint8_t)n_key_bytes(key),
	};
	struct nft_chain chain;

	if (key->set == SET_N) {
		memcpy(&chain, key->bytes, sizeof(chain));
		ops->chain(data, ref->n > 0, key->family, chain);
	} else {
		memcpy(e.key, key->bytes, e.key_len);
		ops->element(data, ref->n > 0, &e);
	}
}

/* Touched in the order of need, because a chain counts its references first. */
void nft_refs_settle(struct nft_refs *refs, const struct nft_refs_ops *ops, void *data)
{
	for (size_t i = 0; i < refs->n_touched; i++) {
		struct nft_ref *ref = refs->touched[i];

		if (ops && (ref->n > 0) != (ref->n_settled > 0))
			report(ref, ops, data);
		ref->n_settled = ref->n;
		ref->is_touched = false;
		if (ref->n == 0) {
			(void)hash_del(&refs->items, &ref->key);
			slab_give(slab_of(refs, &ref->key), ref);
		}
	}
	free(refs->touched);
	refs->touched = NULL;
	refs->n_touched = 0;
	refs->touched_cap = 0;
}

static int compare_chains(const void *a, const void *b)
{
	const struct nft_chain *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

struct nft_chain *nft_refs_chains(const struct nft_refs *refs, enum family family,
				  size_t *ret_n)
{
	struct nft_chain *chains = NULL;
	size_t n = 0, cap = 0;
	const struct nft_ref *ref;

	for (size_t i = 0; (ref = ref_of(hash_next(&refs->items, &i)));) {
		if (ref->key.set != SET_N || ref->key.family != family || !ref->n)
			continue;
		chains = xgrow(chains, n, &cap, sizeof(*chains));
		memcpy(&chains[n++], ref->key.bytes, sizeof(*chains));
	}
	if (n > 1)
		qsort(chains, n, sizeof(*chains), compare_chains);
	*ret_n = n;
	return chains;
}
