/*
 * A delta: the elements of the old service against those of the new one.  What
 * several services share is counted, and told of at the end.
 */
#include "rules/nft/nft_kernel.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "rules/nft/nft_elements.h"
#include "rules/nft/nft_schema.h"
#include "rules/nft/nft_transfer.h"

#define TRIM_MESSAGES	     2000 /* from here on the memory goes back to the system */
#define LINGER_FROM_ELEMENTS 20000

struct elements {
	struct nft_element *items;
	size_t n, cap;
};

struct delta {
	struct nft_kernel *k;
	const struct environment *env;
	struct nft_tx tx;
	struct nft_transfer transfer;
	struct elements old, new;
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
	if (nft_refs_count(&d->k->refs, e, verb == VERB_ADD ? 1 : -1))
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

/* Both lists are ordered by key; what is in both with the same value is no difference. */
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

static void emit_all(struct delta *d, const struct changeset *cs, enum nft_verb verb)
{
	for (size_t i = 0; i < cs->n; i++) {
		if (cs->n > 1 || verb == VERB_DELETE) { /* which comes first */
			fill(d, &d->old, cs->changes[i].old);
			fill(d, &d->new, cs->changes[i].new);
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
 * With a rule that looks something up in a map the kernel walks all of the map:
 * in a large table it pays to keep a chain that may be needed again soon. The
 * next full apply clears up. What lingers may need others, so then all do.
 */
static bool may_linger(const struct nft_kernel *k)
{
	return k->n_elements >= LINGER_FROM_ELEMENTS || nft_keys_n(&k->lingering) > 0;
}

static void take_chain(void *data, bool is_wanted, enum family family,
		       struct nft_chain chain)
{
	struct delta *d = data;
	const uint32_t key[] = {family, chain.kind, chain.number};
	char name[NFT_CHAIN_NAME_LEN];

	if (!is_wanted && may_linger(d->k)) {
		nft_keys_put(&d->k->lingering, key, sizeof(key));
	} else if (!is_wanted) {
		nft_schema_delete_chain(&d->tx, family, nft_chain_name(chain, name));
	} else if (!nft_keys_take(&d->k->lingering, key, sizeof(key))) {
		nft_schema_add_chain(&d->tx, family, chain);
		nft_schema_add_rules(&d->tx, family, chain, d->env);
	}
}

static void build(struct delta *d, const struct changeset *cs)
{
	static const struct nft_refs_ops ops = {take_shared, take_chain};

	emit_all(d, cs, VERB_DELETE);
	nft_transfer_ask(&d->transfer, &d->k->link);
	emit_all(d, cs, VERB_ADD);
	nft_refs_settle(&d->k->refs, &ops, d);
	for (size_t i = 0; i < cs->n; i++)
		nft_numbers_settle(&d->k->numbers, cs->changes[i].old,
				   cs->changes[i].new);
}

static void log_refusals(const struct nft_refusals *refusals)
{
	struct buf text = BUF_INIT;

	if (!refusals->n)
		return;
	nft_label_print(refusals->items[0].label, &text);
	log_warn("nft: %s: %s; reading back what there is", buf_string(&text),
		 strerror(-refusals->items[0].err));
	buf_fini(&text);
}

static int commit(struct nft_kernel *k, struct delta *d)
{
	_cleanup_(nft_refusals_fini) struct nft_refusals refusals = {0};
	bool is_missed;
	int err = nft_kernel_commit(k, &d->tx, 0, &refusals, &is_missed);

	if (err == -EREMOTEIO)
		log_refusals(&refusals);
	return err == -EREMOTEIO || (!err && is_missed) ? -ESTALE : err;
}

int nft_delta_apply(struct nft_kernel *k, const struct changeset *cs)
{
	struct delta d = {.k = k, .env = cs->env};
	uint64_t start_us = clock_monotonic_us();
	bool is_large;
	int err;

	if (!k->is_known)
		return -ESTALE;
	nft_transfer_init(&d.transfer);
	build(&d, cs);
	k->stats.last_readback_us = 0;
	k->stats.last_build_us = clock_monotonic_us() - start_us;
	is_large = nft_tx_n_messages(&d.tx) > TRIM_MESSAGES;
	err = commit(k, &d);
	k->is_known = !err;
	nft_transfer_fini(&d.transfer);
	nft_tx_fini(&d.tx);
	free(d.old.items);
	free(d.new.items);
	if (is_large)
		(void)malloc_trim(0);
	return err;
}
