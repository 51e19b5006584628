/*
 * A hash map of pointers: open addressing, the caller says how an item is
 * hashed and compared.  It never owns its items.  Iteration order is
 * unspecified; removing the current item while iterating is allowed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_ops {
	uint64_t (*hash)(const void *key);
	/* Does this item have this key? */
	bool (*equal)(const void *item, const void *key);
	/* The key of an item that is already in; NULL: items start with their key. */
	const void *(*key)(const void *item);
};

struct hash { /* embedded */
	const struct hash_ops *ops;
	struct hash_slot *slots;
	size_t n, n_tombs, n_slots;
};

void hash_init(struct hash *h, const struct hash_ops *ops);
/* Room for n items: the table does not grow until there are more. */
void hash_reserve(struct hash *h, size_t n);
/* Frees the table, not the items. */
void hash_fini(struct hash *h);
void *hash_find(const struct hash *h, const void *key);
/* Puts an item under its own key; returns the one it replaced, or NULL. */
void *hash_put(struct hash *h, void *item);
/*
 * For items that are not in yet, into reserved room: the hash of an item, and the memory
 * that it goes to is loaded while the caller does something else.
 */
uint64_t hash_prepare(const struct hash *h, const void *item);
void hash_put_prepared(struct hash *h, void *item, uint64_t hash);
/* Takes out and returns the item with this key, or NULL. */
void *hash_del(struct hash *h, const void *key);
/* for (size_t i = 0; (item = hash_next(h, &i));) */
void *hash_next(const struct hash *h, size_t *cursor);
void hash_clear(struct hash *h);

/* A good 64-bit hash of bytes, seeded once per process (hostile keys). */
uint64_t hash_bytes(const void *bytes, size_t len);
/* The same one in every process, for files. */
uint64_t hash_stable(const void *bytes, size_t len);
uint64_t hash_string(const char *s);
uint64_t hash_mix(uint64_t a, uint64_t b);
