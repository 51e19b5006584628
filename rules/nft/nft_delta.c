/*
 * A delta: the elements of the old service against those of the new one, and those
 * of the node.
 * Elements shared by several services are counted, and sent at the end.
 *
 * A new service that the kernel refuses is left out: the counts of the failed
 * transaction are taken back and it is built again without that service.
 *
 * New chains are added by a transaction before that of the elements that lead to them.
 * A packet keeps the generation of rules that it started with, but a lookup uses the
 * current one of elements (nft_do_chain(), nft_genmask_cur(); seen with Linux 6.18): in
 * one transaction, a packet on its way would follow a new element into a chain that has no
 * rules in its generation, and would not be translated.
 */
#include "rules/nft/nft_kernel.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/mem.h"
#include "rules/nft/nft_transfer.h"
#include "rules/nft/nft_elements.h"
#include "rules/nft/nft_keys.h"
#include "rules/nft/nft_schema.h"

#define TRIM_MESSAGES	    2000 /* from here on the memory goes back to the system */
#define DEFER_FROM_ELEMENTS 20000
#define TRIES_MAX	    3

struct elements {
	struct nft_element *items;
	size_t n, cap;
};

struct delta {
	struct nft_kernel *k;
	const struct environment *env;
	struct nft_tx chains, tx; /* new chains; all the rest */
	struct nft_transfer transfer;
	struct elements old, new;
	struct nft_keys left_out;	/* pointers to refused services */
	struct nft_keys unused, reused; /* deferred chains, once it is committed */
	struct nft_keys made;		/* new chains */
	bool is_undo;
};

static void collect(void *data, const struct nft_element *e)
{
	struct elements *list = data;

	list->items = xgrow(list->items, list->n, &list->cap, sizeof(*e));
	list->items[list->n++] = *e;
}

static int compare_keys(const void *a, const void *b)
{
	const struct nft_element *x = a, *y = b;

	if (x->set != y->set)
		return x->set < y->set ? -1 : 1;
	if (x->key_len != y->key_len)
		return x->key_len < y->key_len ? -1 : 1;
	return memcmp(x->key, y->key, x->key_len);
}

static void fill(struct delta *d, struct elements *list, const struct service *s)
{
	list->n = 0;
	if (!s || !d->env->enabled[s->family])
		return;
	nft_elements_each(s, d->env, &d->k->numbers, collect, list);
	if (list->n > 1)
		qsort(list->items, list->n, sizeof(*list->items), compare_keys);
}

static void emit(struct delta *d, enum nft_verb verb, struct nft_element *e,
		 const struct service *service)
{
	int change = (verb == VERB_ADD) == d->is_undo ? -1 : 1;

	if (nft_refs_count(&d->k->refs, e, change) || d->is_undo)
		return;
	if (verb == VERB_ADD)
		nft_transfer_into(&d->transfer, e);
	else
		nft_transfer_want(&d->transfer, e);
	nft_tx_element(&d->tx, verb, e, service);
}

static bool is_same_value(const struct nft_element *a, const struct nft_element *b)
{
	return a->value_len == b->value_len &&
	       memcmp(a->value, b->value, a->value_len) == 0;
}

/* Both lists are ordered by key; an element that both have with the same value is skipped. */
static void emit_differences(struct delta *d, const struct change *change,
			     enum nft_verb verb)
{
	struct nft_element *old = d->old.items, *new = d->new.items;
	size_t i = 0, j = 0;

	while (i < d->old.n || j < d->new.n) {
		int order = i == d->old.n   ? 1
			    : j == d->new.n ? -1
					    : compare_keys(&old[i], &new[j]);
		bool is_same = order == 0 && is_same_value(&old[i], &new[j]);

		if (order <= 0 && verb == VERB_DELETE && !is_same)
			emit(d, verb, &old[i], change->old);
		if (order >= 0 && verb == VERB_ADD && !is_same)
			emit(d, verb, &new[j], change->new);
		i += order <= 0;
		j += order >= 0;
	}
}

/* The new service of a change, or NULL if it was refused. */
static const struct service *new_of(const struct delta *d, const struct change *change)
{
	if (nft_keys_has(&d->left_out, &change->new, sizeof(change->new)))
		return NULL;
	return change->new;
}

static void emit_node(struct delta *d, const struct changeset *cs, enum nft_verb verb)
{
	struct nft_element e;

	for (size_t i = 0; i < cs->n_node_changes; i++)
		if (cs->node_changes[i].is_added == (verb == VERB_ADD) &&
		    nft_element_of_node(d->env, &cs->node_changes[i].addr, &e))
			emit(d, verb, &e, NULL);
}

static void emit_all(struct delta *d, const struct changeset *cs, enum nft_verb verb)
{
	emit_node(d, cs, verb);
	for (size_t i = 0; i < cs->n; i++) {
		if (cs->n > 1 || verb == VERB_DELETE) { /* which comes first */
			fill(d, &d->old, cs->changes[i].old);
			fill(d, &d->new, new_of(d, &cs->changes[i]));
		}
		emit_differences(d, &cs->changes[i], verb);
	}
}

static void take_shared(void *data, bool is_wanted, const struct nft_element *e)
{
	struct delta *d = data;

	nft_tx_element(&d->tx, is_wanted ? VERB_ADD : VERB_DELETE, e, NULL);
}

/*
 * The kernel walks a whole map for each rule that looks something up in it: in
 * a large table it pays to keep a chain that may be needed again soon. The next
 * full apply deletes them. A deferred chain may need others, so then all are deferred.
 */
static bool may_defer(const struct delta *d)
{
	return d->k->n_elements >= DEFER_FROM_ELEMENTS ||
	       nft_keys_n(&d->k->deferred) > 0 || nft_keys_n(&d->unused) > 0;
}

static void take_chain(void *data, bool is_wanted, enum family family,
		       struct nft_chain chain)
{
	struct delta *d = data;
	const uint32_t key[] = {family, chain.kind, chain.number};
	char name[NFT_CHAIN_NAME_LEN];

	if (!is_wanted && may_defer(d)) {
		nft_keys_put(&d->unused, key, sizeof(key));
	} else if (!is_wanted) {
		nft_schema_delete_chain(&d->tx, family, nft_chain_name(chain, name));
	} else if (nft_keys_has(&d->k->deferred, key, sizeof(key))) {
		nft_keys_put(&d->reused, key, sizeof(key));
	} else {
		nft_schema_add_chain(&d->chains, family, chain);
		nft_schema_add_rules(&d->chains, family, chain, d->env);
		nft_keys_put(&d->made, key, sizeof(key));
	}
}

static void build(struct delta *d, const struct changeset *cs)
{
	static const struct nft_refs_ops ops = {take_shared, take_chain};

	emit_all(d, cs, VERB_DELETE);
	nft_transfer_ask(&d->transfer, &d->k->link);
	emit_all(d, cs, VERB_ADD);
	nft_refs_settle(&d->k->refs, &ops, d);
}

static void settle_deferred(struct delta *d)
{
	const uint8_t *key;
	size_t len;

	for (size_t i = 0; (key = nft_keys_next(&d->reused, &i, &len));)
		(void)nft_keys_take(&d->k->deferred, key, len);
	for (size_t i = 0; (key = nft_keys_next(&d->unused, &i, &len));)
		nft_keys_put(&d->k->deferred, key, len);
}

/* Takes back the counts of a transaction that the kernel refused. */
static void undo_counts(struct delta *d, const struct changeset *cs)
{
	d->is_undo = true;
	emit_all(d, cs, VERB_DELETE);
	emit_all(d, cs, VERB_ADD);
	d->is_undo = false;
	nft_refs_settle(&d->k->refs, NULL, NULL);
}

static void clear(struct delta *d)
{
	nft_tx_clear(&d->chains);
	nft_tx_clear(&d->tx);
	nft_transfer_fini(&d->transfer);
	nft_transfer_init(&d->transfer);
	nft_keys_clear(&d->unused);
	nft_keys_clear(&d->reused);
}

/* Is this a service that the kernel has nothing of? */
static bool is_new(const struct changeset *cs, const struct service *service)
{
	for (size_t i = 0; i < cs->n; i++)
		if (cs->changes[i].new == service)
			return service && !cs->changes[i].old;
	return false;
}

/*
 * -EAGAIN when only new services were refused. Anything else means that the
 * kernel differs from our state. A large transaction may have been committed in
 * part.
 */
static int leave_out(struct delta *d, const struct changeset *cs,
		     const struct nft_refusals *refusals)
{
	if (nft_tx_n_messages(&d->tx) > TRIM_MESSAGES)
		return -ESTALE;
	for (size_t i = 0; i < refusals->n; i++)
		if (!is_new(cs, refusals->items[i].label->service))
			return -ESTALE;
	undo_counts(d, cs);
	for (size_t i = 0; i < refusals->n; i++) {
		const struct service *service = refusals->items[i].label->service;

		if (nft_keys_has(&d->left_out, &service, sizeof(service)))
			continue;
		nft_keys_put(&d->left_out, &service, sizeof(service));
		nft_refusal_report(&refusals->items[i], cs);
	}
	clear(d); /* the labels, too */
	return -EAGAIN;
}

static int commit(struct delta *d, struct nft_tx *tx, struct nft_refusals *refusals)
{
	bool is_missed;
	int err = nft_kernel_commit(d->k, tx, 0, refusals, &is_missed);

	d->k->is_missed |= is_missed;
	return err;
}

/* The chains count as deferred until the elements that lead to them are committed. */
static int commit_chains(struct delta *d)
{
	_cleanup_(nft_refusals_fini) struct nft_refusals refusals = {0};
	const uint8_t *key;
	size_t len;
	int err = nft_tx_n_messages(&d->chains) ? commit(d, &d->chains, &refusals) : 0;

	if (err)
		return err == -EREMOTEIO ? -ESTALE : err;
	for (size_t i = 0; (key = nft_keys_next(&d->made, &i, &len));) {
		nft_keys_put(&d->k->deferred, key, len);
		nft_keys_put(&d->reused, key, len);
	}
	nft_keys_clear(&d->made);
	return 0;
}

static int try_once(struct delta *d, const struct changeset *cs)
{
	_cleanup_(nft_refusals_fini) struct nft_refusals refusals = {0};
	struct nft_stats *stats = &d->k->stats;
	uint64_t start_us = clock_monotonic_us(), built_us;
	int err;

	build(d, cs);
	built_us = clock_monotonic_us();
	stats->last_build_us = built_us - start_us;
	err = commit_chains(d);
	if (!err)
		err = commit(d, &d->tx, &refusals);
	stats->last_kernel_us = clock_monotonic_us() - built_us;
	return err == -EREMOTEIO ? leave_out(d, cs, &refusals) : err;
}

static int try_all(struct delta *d, const struct changeset *cs)
{
	int err = -EAGAIN;

	for (unsigned i = 0; i < TRIES_MAX && err == -EAGAIN; i++)
		err = try_once(d, cs);
	if (err)
		return err == -EAGAIN ? -ESTALE : err;
	settle_deferred(d);
	for (size_t i = 0; i < cs->n; i++)
		nft_numbers_settle(&d->k->numbers, cs->changes[i].old,
				   new_of(d, &cs->changes[i]));
	return 0;
}

int nft_delta_apply(struct nft_kernel *k, const struct changeset *cs)
{
	struct delta d = {.k = k, .env = cs->env};
	bool is_large, has_refused;
	int err;

	if (!k->is_known)
		return -ESTALE;
	nft_transfer_init(&d.transfer);
	nft_keys_init(&d.left_out);
	nft_keys_init(&d.unused);
	nft_keys_init(&d.reused);
	nft_keys_init(&d.made);
	k->stats.last_readback_us = 0;
	err = try_all(&d, cs);
	is_large = nft_tx_n_messages(&d.tx) > TRIM_MESSAGES;
	has_refused = nft_keys_n(&d.left_out) > 0;
	k->is_known = !err;
	nft_transfer_fini(&d.transfer);
	nft_keys_fini(&d.left_out);
	nft_keys_fini(&d.unused);
	nft_keys_fini(&d.reused);
	nft_keys_fini(&d.made);
	nft_tx_fini(&d.chains);
	nft_tx_fini(&d.tx);
	free(d.old.items);
	free(d.new.items);
	if (is_large)
		(void)malloc_trim(0);
	return err ? err : has_refused ? -EREMOTEIO : 0;
}
