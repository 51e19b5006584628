/*
 * An item is found by set, family and key; chains stand under the set SET_N.
 */
#include "rules/nft/nft_refs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"

struct ref_key {
	uint8_t set, family, len;
	uint8_t bytes[33]; /* so many of them */
};

struct nft_ref {
	uint32_t n, n_settled;
	bool is_touched;
	struct ref_key key; /* cut off behind its bytes */
};

#define KEY_HEAD_LEN offsetof(struct ref_key, bytes)

static uint64_t hash_key(const void *key)
{
	const struct ref_key *k = key;

	return hash_bytes(k, KEY_HEAD_LEN + k->len);
}

static bool equal_key(const void *item, const void *key)
{
	const struct nft_ref *ref = item;
	const struct ref_key *k = key;

	return memcmp(&ref->key, k, KEY_HEAD_LEN) == 0 &&
	       memcmp(ref->key.bytes, k->bytes, k->len) == 0;
}

static const void *key_of(const void *item)
{
	return &((const struct nft_ref *)item)->key;
}

static const struct hash_ops ref_hash_ops = {hash_key, equal_key, key_of};

void nft_refs_init(struct nft_refs *refs)
{
	*refs = (struct nft_refs){0};
	hash_init(&refs->items, &ref_hash_ops);
}

void nft_refs_fini(struct nft_refs *refs)
{
	struct nft_ref *ref;

	for (size_t i = 0; (ref = hash_next(&refs->items, &i));)
		free(ref);
	hash_fini(&refs->items);
	free(refs->touched);
	refs->touched = NULL;
	refs->n_touched = 0;
}

static void count(struct nft_refs *refs, const struct ref_key *key, int change)
{
	struct nft_ref *ref = hash_find(&refs->items, key);

	if (!ref) {
		size_t len = offsetof(struct nft_ref, key) + KEY_HEAD_LEN + key->len;

		ref = xcalloc(1, len);
		memcpy(&ref->key, key, KEY_HEAD_LEN + key->len);
		(void)hash_put(&refs->items, ref);
	}
	assert(change > 0 || ref->n > 0);
	ref->n += (uint32_t)change;
	if (ref->is_touched)
		return;
	ref->is_touched = true;
	refs->touched = xgrow(refs->touched, refs->n_touched, &refs->touched_cap,
			      sizeof(struct nft_ref *));
	refs->touched[refs->n_touched++] = ref;
}

void nft_refs_count_chain(struct nft_refs *refs, enum family family,
			  struct nft_chain chain, int change)
{
	struct ref_key key = {
		.set = SET_N,
		.family = (uint8_t)family,
		.len = sizeof(chain),
	};
	struct nft_chain needed;

	if (chain.kind < CHAIN_STATIC_N)
		return;
	if (nft_chain_needs(chain, &needed))
		nft_refs_count_chain(refs, family, needed, change);
	memcpy(key.bytes, &chain, sizeof(chain));
	count(refs, &key, change);
}

bool nft_refs_count(struct nft_refs *refs, const struct nft_element *e, int change)
{
	const struct nft_set_info *info = nft_set_info(e->set);
	struct ref_key key = {.set = e->set, .family = e->family, .len = e->key_len};

	if (info->flags & SET_HAS_VERDICTS && nft_element_verdict(e).code == VERDICT_GOTO)
		nft_refs_count_chain(refs, e->family, nft_element_verdict(e).chain,
				     change);
	if (!(info->flags & SET_IS_SHARED))
		return false;
	memcpy(key.bytes, e->key, e->key_len);
	count(refs, &key, change);
	return true;
}

static void tell(const struct nft_ref *ref, const struct nft_refs_ops *ops, void *data)
{
	const struct ref_key *key = &ref->key;
	struct nft_element e = {
		.set = key->set,
		.family = key->family,
		.key_len = key->len,
	};
	struct nft_chain chain;

	if (key->set == SET_N) {
		memcpy(&chain, key->bytes, sizeof(chain));
		ops->chain(data, ref->n > 0, key->family, chain);
	} else {
		memcpy(e.key, key->bytes, key->len);
		ops->element(data, ref->n > 0, &e);
	}
}

/* Touched in the order of need, because a chain counts what it needs first. */
void nft_refs_settle(struct nft_refs *refs, const struct nft_refs_ops *ops, void *data)
{
	for (size_t i = 0; i < refs->n_touched; i++) {
		struct nft_ref *ref = refs->touched[i];

		if (ops && (ref->n > 0) != (ref->n_settled > 0))
			tell(ref, ops, data);
		ref->n_settled = ref->n;
		ref->is_touched = false;
		if (ref->n == 0) {
			(void)hash_del(&refs->items, &ref->key);
			free(ref);
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

	for (size_t i = 0; (ref = hash_next(&refs->items, &i));) {
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
