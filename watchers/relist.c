#include "watchers/relist.h"

static uint64_t identity_hash(const void *key)
{
	return hash_bytes(&key, sizeof(key));
}

static bool identity_equal(const void *item, const void *key)
{
	return item == key;
}

static const void *itself(const void *item)
{
	return item;
}

static const struct hash_ops by_identity = {
	.hash = identity_hash,
	.equal = identity_equal,
	.key = itself,
};

void relist_init(struct relist *r)
{
	r->is_running = false;
	hash_init(&r->seen, &by_identity);
}

void relist_fini(struct relist *r)
{
	hash_fini(&r->seen);
}

void relist_start(struct relist *r)
{
	hash_clear(&r->seen);
	r->is_running = true;
}

void relist_stop(struct relist *r)
{
	relist_fini(r);
	relist_init(r);
}

void relist_note(struct relist *r, struct object *o)
{
	if (r->is_running)
		(void)hash_put(&r->seen, o);
}

void relist_forget(struct relist *r, const struct object *o)
{
	if (r->is_running)
		(void)hash_del(&r->seen, o);
}

bool relist_has(const struct relist *r, const struct object *o)
{
	return hash_find(&r->seen, o);
}
