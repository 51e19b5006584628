/*
 * The table has the holders.  A queue is a list whose first item's prev is the
 * last one, and whose last item's next is NULL: all operations are O(1).
 */
#include "core/claims.h"

#include <stddef.h>
#include <string.h>

static uint64_t hash_claim(const void *key)
{
	const struct claim *c = key;
	struct {
		struct addr addr;
		uint16_t port, proto;
	} where = {c->frontend->addr, c->frontend->port, c->proto};

	return hash_bytes(&where, sizeof(where));
}

static bool is_same(const void *item, const void *key)
{
	const struct claim *a = item, *b = key;

	return a->frontend->port == b->frontend->port && a->proto == b->proto &&
	       addr_equal(&a->frontend->addr, &b->frontend->addr);
}

static const struct hash_ops claim_ops = {hash_claim, is_same, NULL};

void claims_init(struct hash *claims)
{
	hash_init(claims, &claim_ops);
}

void claims_fini(struct hash *claims)
{
	hash_fini(claims);
}

void claims_put(struct hash *claims, struct claim *claim)
{
	struct claim *holder = hash_find(claims, claim);

	claim->next = NULL;
	claim->is_holder = !holder;
	if (!holder) {
		claim->prev = claim;
		(void)hash_put(claims, claim);
		return;
	}
	claim->prev = holder->prev;
	holder->prev->next = claim;
	holder->prev = claim;
}

struct claim *claims_del(struct hash *claims, struct claim *claim)
{
	struct claim *next = claim->next;

	if (claim->is_holder && !next) {
		(void)hash_del(claims, claim);
		return NULL;
	}
	if (claim->is_holder) {
		next->prev = claim->prev;
		next->is_holder = true;
		(void)hash_put(claims, next);
		return next;
	}
	claim->prev->next = next;
	if (next)
		next->prev = claim->prev;
	else
		((struct claim *)hash_find(claims, claim))->prev = claim->prev;
	return NULL;
}

void claims_move(struct hash *claims, struct claim *from, struct claim *to)
{
	bool is_only = from->prev == from;

	to->next = from->next;
	to->prev = is_only ? to : from->prev;
	to->is_holder = from->is_holder;
	if (to->is_holder)
		(void)hash_put(claims, to);
	else
		to->prev->next = to;
	if (to->next)
		to->next->prev = to;
	else
		((struct claim *)hash_find(claims, to))->prev = to;
}

struct claim *claims_holder(const struct hash *claims, const struct frontend *frontend,
			    uint8_t proto)
{
	return hash_find(claims, &(struct claim){.frontend = frontend, .proto = proto});
}
