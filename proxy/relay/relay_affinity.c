/*
 * Shards with a lock each.  Each new binding looks at a few others, and removes
 * those that are over: no timer, and no scan of the table.
 */
#include "proxy/relay/relay_affinity.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/mem.h"
#include "proxy/relay/relay_state.h"

#define N_SHARDS     64
#define MAX_IN_SHARD 4096
#define LOOKED_AT    4

struct key {
	uint32_t service;
	struct addr client;
};

struct binding {
	struct key key; /* first: items start with their key */
	uint16_t port;
	struct addr endpoint;
	uint64_t until_ms;
};

struct shard {
	pthread_mutex_t lock;
	struct hash bindings;
	size_t cursor;
};

struct relay_affinity {
	struct shard shards[N_SHARDS];
};

static uint64_t key_hash(const void *key)
{
	return hash_bytes(key, sizeof(struct key));
}

static bool key_equal(const void *item, const void *key)
{
	return memcmp(item, key, sizeof(struct key)) == 0;
}

static const struct hash_ops ops = {.hash = key_hash, .equal = key_equal};

_Static_assert(sizeof(struct key) == 20, "the key has no padding");

struct relay_affinity *relay_affinity_new(void)
{
	struct relay_affinity *t = xcalloc(1, sizeof(*t));

	for (size_t i = 0; i < N_SHARDS; i++) {
		(void)pthread_mutex_init(&t->shards[i].lock, NULL); /* cannot fail */
		hash_init(&t->shards[i].bindings, &ops);
	}
	return t;
}

void relay_affinity_free(struct relay_affinity *t)
{
	struct binding *b;

	if (!t)
		return;
	for (size_t i = 0; i < N_SHARDS; i++) {
		for (size_t at = 0; (b = hash_next(&t->shards[i].bindings, &at));)
			free(b);
		hash_fini(&t->shards[i].bindings);
		(void)pthread_mutex_destroy(&t->shards[i].lock);
	}
	free(t);
}

static struct shard *lock_shard(struct relay_affinity *t, const struct key *key)
{
	struct shard *shard = &t->shards[key_hash(key) >> 32 & (N_SHARDS - 1)];

	(void)pthread_mutex_lock(&shard->lock);
	return shard;
}

static void unlock(struct shard *shard)
{
	(void)pthread_mutex_unlock(&shard->lock);
}

bool relay_affinity_find(struct relay_affinity *t, uint32_t service,
			 const struct addr *client, uint64_t now_ms,
			 struct addr *ret_endpoint, uint16_t *ret_port)
{
	const struct key key = {service, *client};
	struct shard *shard = lock_shard(t, &key);
	const struct binding *b = hash_find(&shard->bindings, &key);
	bool is_found = b && b->until_ms > now_ms;

	if (is_found) {
		*ret_endpoint = b->endpoint;
		*ret_port = b->port;
	}
	unlock(shard);
	return is_found;
}

/* A few of them; when the shard is full one has to go. */
static void remove_old(struct shard *shard, uint64_t now_ms)
{
	for (int i = 0; i < LOOKED_AT; i++) {
		struct binding *b = hash_next(&shard->bindings, &shard->cursor);

		if (!b) {
			shard->cursor = 0;
			continue;
		}
		if (b->until_ms > now_ms && shard->bindings.n < MAX_IN_SHARD)
			continue;
		free(hash_del(&shard->bindings, &b->key));
	}
}

void relay_affinity_put(struct relay_affinity *t, uint32_t service,
			const struct addr *client, uint64_t now_ms, uint32_t timeout_sec,
			const struct addr *endpoint, uint16_t port)
{
	const struct key key = {service, *client};
	struct shard *shard = lock_shard(t, &key);
	struct binding *b = hash_find(&shard->bindings, &key);

	if (!b) {
		remove_old(shard, now_ms);
		b = xcalloc(1, sizeof(*b));
		b->key = key;
		(void)hash_put(&shard->bindings, b);
	}
	b->endpoint = *endpoint;
	b->port = port;
	b->until_ms = now_ms + UINT64_C(1000) * timeout_sec;
	unlock(shard);
}

void relay_affinity_each(struct relay_affinity *t,
			 void (*fn)(void *data, const struct relay_state_binding *b),
			 void *data)
{
	const struct binding *b;

	for (size_t i = 0; i < N_SHARDS; i++) {
		struct shard *shard = &t->shards[i];

		(void)pthread_mutex_lock(&shard->lock);
		for (size_t at = 0; (b = hash_next(&shard->bindings, &at));)
			fn(data, &(struct relay_state_binding){
					 .service = b->key.service,
					 .port = b->port,
					 .client = b->key.client,
					 .endpoint = b->endpoint,
					 .until_ms = b->until_ms,
				 });
		unlock(shard);
	}
}

size_t relay_affinity_n(struct relay_affinity *t)
{
	size_t n = 0;

	for (size_t i = 0; i < N_SHARDS; i++) {
		(void)pthread_mutex_lock(&t->shards[i].lock);
		n += t->shards[i].bindings.n;
		unlock(&t->shards[i]);
	}
	return n;
}
