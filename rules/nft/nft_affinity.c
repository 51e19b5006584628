/*
 * Notes are exact.  What they are compared with is not, for IPv6: a learned
 * element has the frontend's address only as a hash, so there a pair is the
 * frontend's port and the endpoint's address.  That may let go of a client too
 * many, of another service with the same port and endpoint; it is bound again
 * by its next connection.
 */
#include "rules/nft/nft_affinity.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "rules/nft/nft_read.h"

#define TRIES_MAX 8

/* WHERE_POOL and up: which pool; WHERE_CHAIN and up: the kind of a frontend's chain. */
enum { WHERE_ANY, WHERE_POOL, WHERE_CHAIN = WHERE_POOL + POOL_N };

/* A frontend, then mostly an endpoint, as they stand in keys. */
struct note {
	uint8_t family, where;
	uint8_t bytes[NFT_KEYS_LEN_MAX - 2];
};

#define NOTE_HEAD_LEN offsetof(struct note, bytes)

static void init_notes(struct nft_leavers *l)
{
	nft_keys_init(&l->deleted);
	nft_keys_init(&l->added);
	nft_keys_init(&l->frontends);
}

static void fini_notes(struct nft_leavers *l)
{
	nft_keys_fini(&l->deleted);
	nft_keys_fini(&l->added);
	nft_keys_fini(&l->frontends);
}

void nft_leavers_init(struct nft_leavers *l)
{
	init_notes(l);
	nft_keys_init(&l->pairs);
}

void nft_leavers_fini(struct nft_leavers *l)
{
	fini_notes(l);
	nft_keys_fini(&l->pairs);
}

void nft_leavers_restart(struct nft_leavers *l)
{
	fini_notes(l);
	init_notes(l);
}

static size_t frontend_len(unsigned family)
{
	return nft_shape_len(SHAPE_FRONTEND, family);
}

static size_t pool_note(const struct nft_element *e, struct note *n)
{
	size_t len = frontend_len(e->family);
	uint32_t slot;

	memcpy(&slot, e->key + len, sizeof(slot));
	n->where = (uint8_t)(WHERE_POOL + (slot >= NFT_LOCAL_SLOT));
	memcpy(n->bytes, e->key, len);
	memcpy(n->bytes + len, e->value, e->value_len);
	return len + e->value_len;
}

static size_t key_note(const struct nft_element *e, struct note *n)
{
	memcpy(n->bytes, e->key, e->key_len);
	return e->key_len;
}

/* What an element says about who is served where: the note's length, or 0. */
static size_t note_of(const struct nft_element *e, struct note *n)
{
	struct nft_verdict v;

	*n = (struct note){.family = e->family, .where = WHERE_ANY};
	if (e->set == SET_ENDPOINTS)
		return NOTE_HEAD_LEN + pool_note(e, n);
	if (e->set == SET_AFFINITY_ENDPOINTS)
		return NOTE_HEAD_LEN + key_note(e, n);
	if (e->set != SET_FRONTENDS)
		return 0;
	v = nft_element_verdict(e);
	if (v.code != VERDICT_GOTO)
		return 0;
	n->where = (uint8_t)(WHERE_CHAIN + v.chain.kind);
	return NOTE_HEAD_LEN + key_note(e, n);
}

void nft_leavers_note(struct nft_leavers *l, enum nft_verb verb,
		      const struct nft_element *e)
{
	struct note n;
	size_t len = note_of(e, &n);

	if (len)
		nft_keys_put(verb == VERB_ADD ? &l->added : &l->deleted, &n, len);
}

/* A pair in the form that a learned element of its family can be compared with. */
static size_t make_pair(unsigned family, const uint8_t *bytes, uint8_t *pair)
{
	size_t start = frontend_len(family);
	size_t port = nft_shape_offset(SHAPE_FRONTEND, family, 2);
	size_t addr_len = nft_field(FIELD_DADDR)->len[family];

	pair[0] = (uint8_t)family;
	if (family == FAMILY_IPV4) {
		memcpy(pair + 1, bytes, start + addr_len + 4);
		return 1 + start + addr_len + 4;
	}
	memcpy(pair + 1, bytes + port, 4);
	memcpy(pair + 5, bytes + start, addr_len);
	return 5 + addr_len;
}

/* The same from a learned element: its key without the client, and what it is bound to. */
static size_t make_learned_pair(const struct nft_element *e, uint8_t *pair)
{
	size_t start = nft_shape_offset(SHAPE_CLIENT, e->family,
					e->family == FAMILY_IPV4 ? 1 : 3);
	size_t len = e->key_len - start;

	pair[0] = e->family;
	memcpy(pair + 1, e->key + start, len);
	memcpy(pair + 1 + len, e->value, e->value_len);
	return 1 + len + e->value_len;
}

static void put_pair(struct nft_keys *pairs, unsigned family, const uint8_t *bytes)
{
	uint8_t pair[NFT_KEYS_LEN_MAX];

	nft_keys_put(pairs, pair, make_pair(family, bytes, pair));
}

void nft_leavers_settle(struct nft_leavers *l)
{
	const uint8_t *bytes;
	struct note n;
	size_t len;

	for (size_t i = 0; (bytes = nft_keys_next(&l->deleted, &i, &len));) {
		if (nft_keys_has(&l->added, bytes, len))
			continue;
		memcpy(&n, bytes, len);
		if (n.where < WHERE_CHAIN)
			put_pair(&l->pairs, n.family, n.bytes);
		else
			nft_keys_put(&l->frontends, n.bytes, len - NOTE_HEAD_LEN);
	}
}

void nft_leavers_note_present(struct nft_leavers *l, const struct nft_element *e)
{
	if (nft_keys_has(&l->frontends, e->key, frontend_len(e->family)))
		put_pair(&l->pairs, e->family, e->key);
}

struct purge {
	const struct nft_leavers *l;
	const struct nft_keys *present; /* pairs; NULL: not asked for */
	struct nft_keys keys;		/* of what has been deleted */
	struct nft_tx *tx;
	size_t n_read[FAMILY_N];
};

static bool is_let_go(const struct purge *p, const struct nft_element *e)
{
	uint8_t pair[NFT_KEYS_LEN_MAX];
	size_t len = make_learned_pair(e, pair);

	return nft_keys_has(&p->l->pairs, pair, len) ||
	       (p->present && !nft_keys_has(p->present, pair, len));
}

/* Ports go with the addresses that were learned with them. */
static void take_learned(void *data, const struct nft_read_element *read)
{
	struct purge *p = data;
	const struct nft_element *e = &read->e;
	const struct nft_set_info *info = nft_set_info(e->set);

	p->n_read[e->family]++;
	if (e->key_len != nft_shape_len(info->key, e->family) ||
	    e->value_len != nft_shape_len(info->data, e->family))
		return;
	if (e->set == SET_AFFINITY_CLIENTS ? !is_let_go(p, e)
					   : !nft_keys_has(&p->keys, e->key, e->key_len))
		return;
	if (e->set == SET_AFFINITY_CLIENTS)
		nft_keys_put(&p->keys, e->key, e->key_len);
	nft_tx_element(p->tx, VERB_DELETE, e, NULL);
}

static int read_family(struct nft_link *link, enum family family, struct purge *p)
{
	int err;

	nft_keys_clear(&p->keys);
	p->n_read[family] = 0;
	err = nft_read_elements(link, family, SET_AFFINITY_CLIENTS, take_learned, p);
	if (!err && family == FAMILY_IPV6 && nft_keys_n(&p->keys))
		err = nft_read_elements(link, family, SET_AFFINITY_CLIENT_PORTS,
					take_learned, p);
	return err == -ENOENT ? 0 : err; /* the family has no table */
}

/* Once more when all of them would have had to be left out, as they were expiring. */
static int purge_family(struct nft_link *link, enum family family, struct purge *p)
{
	struct nft_refusals refusals = {0};
	int err = 0;

	for (unsigned i = 0; i < TRIES_MAX; i++) {
		nft_tx_clear(p->tx);
		err = read_family(link, family, p);
		if (err == -EINTR)
			continue;
		if (err || !nft_tx_n_messages(p->tx))
			break;
		err = nft_tx_commit(p->tx, link, 0, &refusals);
		if (err || nft_tx_n_messages(p->tx))
			break;
	}
	nft_refusals_fini(&refusals);
	return err;
}

static void add_present(struct nft_keys *present, const struct nft_desired *desired)
{
	const struct nft_desired_item *item;

	for (size_t at = 0; (item = nft_desired_next(desired, &at));)
		if (item->set == SET_AFFINITY_ENDPOINTS)
			put_pair(present, item->family, item->bytes);
}

static size_t n_read(const struct purge *p)
{
	return p->n_read[FAMILY_IPV4] + p->n_read[FAMILY_IPV6];
}

void nft_affinity_forget(struct nft_link *link, const struct nft_leavers *l,
			 struct nft_tx *tx, size_t *n_learned)
{
	struct purge p = {.l = l, .tx = tx};
	int err = 0;

	if (!nft_keys_n(&l->pairs) || *n_learned > NFT_FORGET_MAX)
		return;
	nft_keys_init(&p.keys);
	for (unsigned family = 0; family < FAMILY_N && !err; family++)
		err = read_family(link, family, &p);
	if (err) /* what was read twice, say, would be refused */
		nft_tx_clear_part(tx, PART_FORGET);
	nft_keys_fini(&p.keys);
	*n_learned = n_read(&p);
}

int nft_affinity_purge(struct nft_link *link, const struct nft_leavers *l,
		       const struct nft_desired *desired, size_t *n_learned)
{
	struct nft_tx tx = {0};
	struct purge p = {.l = l, .tx = &tx};
	struct nft_keys present;
	int err = 0;

	if (!nft_keys_n(&l->pairs) && !desired)
		return 0;
	nft_keys_init(&present);
	nft_keys_init(&p.keys);
	if (desired) {
		add_present(&present, desired);
		p.present = &present;
	}
	for (unsigned family = 0; family < FAMILY_N && !err; family++)
		err = purge_family(link, family, &p);
	nft_tx_fini(&tx);
	nft_keys_fini(&p.keys);
	nft_keys_fini(&present);
	*n_learned = n_read(&p);
	return err;
}
