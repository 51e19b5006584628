/*
 * Linear probing over a power of two slots, at most three quarters of them in
 * use.  A deleted slot becomes a tombstone and nothing moves, which is what
 * makes deleting during an iteration safe; tombstones go when the table grows.
 *
 * The low half of each hash is kept in its slot: items that do not match are not
 * read, which would be a miss of the cache each, and growing reads none.  A slot is
 * of 4-byte words, so that it has no padding: tables are a quarter smaller.
 *
 * Keys come from outside, so bytes are hashed with SipHash-1-3 under a key
 * that is random for each process.
 */
#include "core/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "core/cleanup.h"
#include "core/mem.h"

#define MIN_SLOTS 16

struct hash_slot {
	uint32_t item[sizeof(void *) / sizeof(uint32_t)];
	uint32_t hash;
};

static char tomb;
#define TOMB ((void *)&tomb)

static void *item_of(const struct hash_slot *slot)
{
	void *item;

	memcpy(&item, slot->item, sizeof(item));
	return item;
}

static void set_item(struct hash_slot *slot, void *item)
{
	memcpy(slot->item, &item, sizeof(item));
}

static bool is_item(const void *item)
{
	return item && item != TOMB;
}

static const void *key_of(const struct hash *h, const void *item)
{
	return h->ops->key ? h->ops->key(item) : item;
}

/* The slot of the item with this key and its hash, or n_slots. */
static size_t find_slot(const struct hash *h, const void *key, uint64_t hash)
{
	size_t mask = h->n_slots - 1;

	if (h->n == 0)
		return h->n_slots;
	for (size_t i = hash & mask; item_of(&h->slots[i]); i = (i + 1) & mask)
		if (h->slots[i].hash == (uint32_t)hash && item_of(&h->slots[i]) != TOMB &&
		    h->ops->equal(item_of(&h->slots[i]), key))
			return i;
	return h->n_slots;
}

/* For an item that isn't in yet, into a table with room. */
static void insert(struct hash *h, void *item, uint64_t hash)
{
	size_t i = hash & (h->n_slots - 1);

	while (is_item(item_of(&h->slots[i])))
		i = (i + 1) & (h->n_slots - 1);
	if (item_of(&h->slots[i]) == TOMB)
		h->n_tombs--;
	set_item(&h->slots[i], item);
	h->slots[i].hash = (uint32_t)hash;
	h->n++;
}

static void rehash(struct hash *h, size_t n_slots)
{
	_cleanup_(freep) struct hash_slot *old = h->slots;
	size_t n_old = h->n_slots;

	assert(n_slots - 1 <= UINT32_MAX); /* a kept hash has all bits of a position */
	h->slots = xcalloc(n_slots, sizeof(*h->slots));
	h->n_slots = n_slots;
	h->n = h->n_tombs = 0;
	for (size_t i = 0; i < n_old; i++)
		if (is_item(item_of(&old[i])))
			insert(h, item_of(&old[i]), old[i].hash);
}

static bool has_room(const struct hash *h, size_t n)
{
	return h->n_slots && (n + h->n_tombs) * 4 <= h->n_slots * 3;
}

void hash_reserve(struct hash *h, size_t n)
{
	size_t n_slots = h->n_slots ? h->n_slots : MIN_SLOTS;

	if (has_room(h, n))
		return;
	/* Mostly tombstones: cleaning up is enough. Some room is left for new ones. */
	while (n * 8 > n_slots * 5)
		n_slots *= 2;
	rehash(h, n_slots);
}

void hash_init(struct hash *h, const struct hash_ops *ops)
{
	*h = (struct hash){.ops = ops};
}

void hash_fini(struct hash *h)
{
	free(h->slots);
	*h = (struct hash){.ops = h->ops};
}

void *hash_find(const struct hash *h, const void *key)
{
	size_t i = h->n ? find_slot(h, key, h->ops->hash(key)) : h->n_slots;

	return i < h->n_slots ? item_of(&h->slots[i]) : NULL;
}

void *hash_put(struct hash *h, void *item)
{
	const void *key = key_of(h, item);
	uint64_t hash = h->ops->hash(key);
	size_t i = find_slot(h, key, hash);
	void *old;

	assert(is_item(item));
	if (i < h->n_slots) {
		old = item_of(&h->slots[i]);
		set_item(&h->slots[i], item);
		return old;
	}
	hash_reserve(h, h->n + 1);
	insert(h, item, hash);
	return NULL;
}

uint64_t hash_prepare(const struct hash *h, const void *item)
{
	uint64_t hash = h->ops->hash(key_of(h, item));

	__builtin_prefetch(&h->slots[hash & (h->n_slots - 1)], 1);
	return hash;
}

void hash_put_prepared(struct hash *h, void *item, uint64_t hash)
{
	assert(is_item(item) && has_room(h, h->n + 1));
	insert(h, item, hash);
}

void *hash_del(struct hash *h, const void *key)
{
	size_t i = find_slot(h, key, h->ops->hash(key));
	void *old;

	if (i >= h->n_slots)
		return NULL;
	old = item_of(&h->slots[i]);
	set_item(&h->slots[i], TOMB);
	h->n--;
	h->n_tombs++;
	return old;
}

void *hash_next(const struct hash *h, size_t *cursor)
{
	while (*cursor < h->n_slots) {
		void *item = item_of(&h->slots[(*cursor)++]);

		if (is_item(item))
			return item;
	}
	return NULL;
}

void hash_clear(struct hash *h)
{
	hash_fini(h);
}

struct sip {
	uint64_t v[4];
};

static inline uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct sip *s)
{
	uint64_t *v = s->v;

	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
	s->v[3] ^= word;
	sip_round(s);
	s->v[0] ^= word;
}

static struct sip sip_init(const uint64_t key[2])
{
	return (struct sip){{
		key[0] ^ 0x736f6d6570736575,
		key[1] ^ 0x646f72616e646f6d,
		key[0] ^ 0x6c7967656e657261,
		key[1] ^ 0x7465646279746573,
	}};
}

/* The kernel gives every process 16 random bytes. */
static inline struct sip sip_start(void)
{
	static const void *random;
	const void *p = __atomic_load_n(&random, __ATOMIC_RELAXED);
	uint64_t key[2];

	if (!p) {
		p = (const void *)getauxval(AT_RANDOM);
		assert(p);
		__atomic_store_n(&random, p, __ATOMIC_RELAXED);
	}
	memcpy(key, p, sizeof(key));
	return sip_init(key);
}

static inline uint64_t sip_end(struct sip *s)
{
	s->v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(s);
	return s->v[0] ^ s->v[1] ^ s->v[2] ^ s->v[3];
}

static inline uint64_t sip_bytes(struct sip s, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t word = 0;
	size_t left = len;

	for (; left >= 8; left -= 8, p += 8) {
		memcpy(&word, p, 8);
		sip_word(&s, word);
	}
	word = (uint64_t)len << 56;
	while (left-- > 0)
		word |= (uint64_t)p[left] << (left * 8);
	sip_word(&s, word);
	return sip_end(&s);
}

uint64_t hash_bytes(const void *bytes, size_t len)
{
	return sip_bytes(sip_start(), bytes, len);
}

uint64_t hash_stable(const void *bytes, size_t len)
{
	static const uint64_t key[2];

	return sip_bytes(sip_init(key), bytes, len);
}

uint64_t hash_string(const char *s)
{
	return hash_bytes(s, strlen(s));
}

uint64_t hash_mix(uint64_t a, uint64_t b)
{
	struct sip s = sip_start();

	sip_word(&s, a);
	sip_word(&s, b);
	return sip_end(&s);
}
