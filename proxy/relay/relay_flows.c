/*
 * A crowd has the flows of one owner.  Crowds are in lists by their size: one flow more or
 * less moves a crowd to the next list, so the largest one is always known.
 */
#include "proxy/relay/relay_flows.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct relay_crowd {
	const void *owner; /* first: the key */
	uint32_t n;
	struct relay_flow_queue flows; /* the longest idle one first */
	LIST_ENTRY(relay_crowd) in_size;
};

static uint64_t key_hash(const void *key)
{
	return hash_bytes(key, sizeof(struct relay_flow_key));
}

static bool key_equal(const void *item, const void *key)
{
	return memcmp(item, key, sizeof(struct relay_flow_key)) == 0;
}

static const struct hash_ops key_ops = {.hash = key_hash, .equal = key_equal};

_Static_assert(sizeof(struct relay_flow_key) == sizeof(void *) + 24,
	       "the key has no padding");

static uint64_t owner_hash(const void *key)
{
	return hash_bytes(key, sizeof(const void *));
}

static bool owner_equal(const void *item, const void *key)
{
	return ((const struct relay_crowd *)item)->owner == *(const void *const *)key;
}

static const struct hash_ops owner_ops = {.hash = owner_hash, .equal = owner_equal};

void relay_flows_init(struct relay_flows *f, uint32_t max)
{
	*f = (struct relay_flows){.max = max};
	hash_init(&f->by_key, &key_ops);
	hash_init(&f->crowds, &owner_ops);
	TAILQ_INIT(&f->unanswered);
	TAILQ_INIT(&f->answered);
	f->by_size = xcalloc((size_t)max + 1, sizeof(*f->by_size));
}

void relay_flows_fini(struct relay_flows *f)
{
	hash_fini(&f->by_key);
	hash_fini(&f->crowds);
	free(f->by_size);
}

struct relay_flow_node *relay_flows_find(const struct relay_flows *f,
					 const struct relay_flow_key *key)
{
	return hash_find(&f->by_key, key);
}

static struct relay_crowd *crowd_of(struct relay_flows *f, const void *owner)
{
	struct relay_crowd *c = hash_find(&f->crowds, &owner);

	if (c)
		return c;
	c = xcalloc(1, sizeof(*c));
	c->owner = owner;
	TAILQ_INIT(&c->flows);
	(void)hash_put(&f->crowds, c);
	return c;
}

/* Threads may pass the limit of all flows by a few. */
static struct relay_crowd_list *list_of(struct relay_flows *f, uint32_t n)
{
	return &f->by_size[n < f->max ? n : f->max];
}

static void set_size(struct relay_flows *f, struct relay_crowd *c, uint32_t n)
{
	if (c->n)
		LIST_REMOVE(c, in_size);
	if (n)
		LIST_INSERT_HEAD(list_of(f, n), c, in_size);
	c->n = n;
	if (n > f->n_largest)
		f->n_largest = n < f->max ? n : f->max;
	else if (f->n_largest && LIST_EMPTY(&f->by_size[f->n_largest]))
		f->n_largest--; /* this crowd was alone, and is in the next list now */
}

static struct relay_flow_queue *idle_of(struct relay_flows *f,
					const struct relay_flow_node *n)
{
	return n->is_answered ? &f->answered : &f->unanswered;
}

void relay_flows_put(struct relay_flows *f, struct relay_flow_node *n, const void *owner,
		     uint32_t now_sec)
{
	n->crowd = crowd_of(f, owner);
	n->used_sec = now_sec;
	(void)hash_put(&f->by_key, n);
	TAILQ_INSERT_TAIL(idle_of(f, n), n, in_idle);
	TAILQ_INSERT_TAIL(&n->crowd->flows, n, in_crowd);
	set_size(f, n->crowd, n->crowd->n + 1);
}

void relay_flows_del(struct relay_flows *f, struct relay_flow_node *n)
{
	struct relay_crowd *c = n->crowd;

	(void)hash_del(&f->by_key, &n->key);
	TAILQ_REMOVE(idle_of(f, n), n, in_idle);
	TAILQ_REMOVE(&c->flows, n, in_crowd);
	set_size(f, c, c->n - 1);
	if (!c->n)
		free(hash_del(&f->crowds, &c->owner));
}

void relay_flows_use(struct relay_flows *f, struct relay_flow_node *n, uint32_t now_sec,
		     bool is_answer)
{
	bool is_first_answer = is_answer && !n->is_answered;

	if (n->used_sec == now_sec && !is_first_answer)
		return;
	TAILQ_REMOVE(idle_of(f, n), n, in_idle);
	n->used_sec = now_sec;
	n->is_answered |= is_answer;
	TAILQ_INSERT_TAIL(idle_of(f, n), n, in_idle);
	TAILQ_REMOVE(&n->crowd->flows, n, in_crowd);
	TAILQ_INSERT_TAIL(&n->crowd->flows, n, in_crowd);
}

static struct relay_flow_node *first_before(const struct relay_flow_queue *queue,
					    uint32_t now_sec, uint32_t limit_sec)
{
	struct relay_flow_node *n = TAILQ_FIRST(queue);

	return n && now_sec - n->used_sec >= limit_sec ? n : NULL;
}

struct relay_flow_node *relay_flows_idle(const struct relay_flows *f, uint32_t now_sec,
					 uint32_t unanswered_sec, uint32_t answered_sec)
{
	struct relay_flow_node *n = first_before(&f->unanswered, now_sec, unanswered_sec);

	return n ? n : first_before(&f->answered, now_sec, answered_sec);
}

struct relay_flow_node *relay_flows_victim(const struct relay_flows *f)
{
	const struct relay_crowd *c =
		f->n_largest ? LIST_FIRST(&f->by_size[f->n_largest]) : NULL;

	return c ? TAILQ_FIRST(&c->flows) : NULL;
}
