/*
 * A full apply: the wanted ruleset against the one that is read back.  The
 * transaction names the generation that was read, so that the kernel refuses it
 * if another process committed meanwhile; then everything is read again.
 * Without tables of ours, as after a restart of the host, all elements are missing:
 * they are sent as they come, and none is kept for the comparison.
 *
 * When the kernel refuses a message of a service, the service is left out and
 * the rest tried again: everything that it shares with others is then theirs alone.
 *
 * Missing chains of a table that already serves are added by a transaction before that of
 * the elements that lead to them, for the reason in nft_delta.c. A table that the
 * transaction makes is complete in it: it must not serve without elements.
 */
#include "rules/nft/nft_kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "rules/nft/nft_compare.h"
#include "rules/nft/nft_elements.h"
#include "rules/nft/nft_read.h"
#include "rules/nft/nft_schema.h"
#include "rules/nft/nft_transfer.h"

/* The last ones do not insist on the generation: other tables may change all the time. */
#define TRIES_MAX	  12
#define TRIES_WITH_NUMBER 8

struct full {
	struct nft_kernel *k;
	const struct changeset *cs;
	struct nft_keys left_out; /* pointers to services */
	uint32_t n_left_out;
	struct nft_desired desired; /* without the first desired_without left out */
	uint32_t desired_without;   /* UINT32_MAX: it is empty */
	size_t n_wanted;	    /* elements */
	struct nft_tx chains, tx; /* missing chains of tables that serve; all the rest */
	bool is_made[FAMILY_N];	  /* tx makes the table */
	struct nft_transfer transfer;
	bool has_sent;
	uint64_t n_objects[WHAT_N]; /* sent */
};

static bool is_left_out(const struct full *f, const struct service *s)
{
	return nft_keys_has(&f->left_out, &s, sizeof(s));
}

struct adding {
	struct full *full;
	const struct service *service;
};

typedef void (*take_element)(void *data, const struct nft_element *e);

static void keep_element(void *data, const struct nft_element *e)
{
	const struct adding *a = data;

	(void)nft_refs_count(&a->full->k->refs, e, 1);
	nft_desired_add(&a->full->desired, e, a->service);
}

/* All that are wanted; again for each try that leaves out more services. */
static void each_wanted(struct full *f, take_element take)
{
	const struct changeset *cs = f->cs;
	struct adding of_node = {.full = f};

	nft_desired_fini(&f->desired);
	nft_refs_fini(&f->k->refs);
	nft_refs_init(&f->k->refs);
	nft_elements_each_of_node(cs->env, take, &of_node);
	for (size_t i = 0; i < cs->n; i++) {
		struct adding a = {.full = f, .service = cs->changes[i].new};

		if (a.service && cs->env->enabled[a.service->family] &&
		    !is_left_out(f, a.service))
			nft_elements_each(a.service, cs->env, &f->k->numbers, take, &a);
	}
	nft_refs_settle(&f->k->refs, NULL, NULL);
}

static void adopt(void *data, const struct nft_read_element *read)
{
	nft_numbers_adopt(data, &read->e);
}

/*
 * The daemon has just started: clients are bound to the numbers of its
 * predecessor.  Tables without them, of an older version, say, are accepted.
 */
static void adopt_numbers(struct nft_kernel *k)
{
	static const uint8_t sets[] = {SET_AFFINITY_SERVICES, SET_AFFINITY_NUMBERS};

	for (unsigned family = 0; family < FAMILY_N; family++)
		for (size_t i = 0; i < N_ELEMENTS(sets); i++)
			(void)nft_read_elements(&k->link, family, sets[i], adopt,
						&k->numbers);
}

/* Numbers of services that went while only full change sets came. */
static void settle_numbers(const struct full *f)
{
	nft_numbers_end_adoption(&f->k->numbers);
	nft_numbers_start_sweep(&f->k->numbers);
	for (size_t i = 0; i < f->cs->n; i++)
		nft_numbers_settle(&f->k->numbers, NULL, f->cs->changes[i].new);
	nft_numbers_end_sweep(&f->k->numbers);
}

static void send_table(void *data, enum nft_verb verb, enum family family)
{
	struct full *f = data;

	if (verb == VERB_ADD)
		nft_schema_add_table(&f->tx, family);
	else
		nft_schema_delete_table(&f->tx, family);
	f->is_made[family] = true; /* or awake again */
}

static struct nft_tx *tx_of_chains(struct full *f, enum family family)
{
	return f->is_made[family] ? &f->tx : &f->chains;
}

/* Missing chains use it. */
static void send_set(void *data, enum family family, enum nft_set missing)
{
	nft_schema_add_set(tx_of_chains(data, family), family, missing);
}

static void send_foreign_set(void *data, enum family family, const char *name)
{
	nft_schema_delete_set(&((struct full *)data)->tx, family, name);
}

/* Those of hooks must not serve without elements either. */
static struct nft_tx *tx_of_chain(struct full *f, enum family family,
				  struct nft_chain chain)
{
	return nft_chain_info(chain.kind)->type ? &f->tx : tx_of_chains(f, family);
}

static void send_chain(void *data, enum family family, struct nft_chain chain,
		       bool is_there)
{
	(void)is_there; /* adding it again sets the policy */
	nft_schema_add_chain(tx_of_chain(data, family, chain), family, chain);
}

static void send_foreign_chain(void *data, enum family family, const char *name)
{
	nft_schema_delete_chain(&((struct full *)data)->tx, family, name);
}

static void send_foreign_object(void *data, enum family family,
				const struct nft_object *object)
{
	nft_schema_delete_object(&((struct full *)data)->tx, family, object);
}

static void send_rules(void *data, enum family family, struct nft_chain chain,
		       const char *actual)
{
	struct full *f = data;
	struct nft_tx *tx = *actual ? &f->tx : tx_of_chain(f, family, chain);
	char name[NFT_CHAIN_NAME_LEN];

	if (*actual)
		nft_schema_flush_chain(tx, family, nft_chain_name(chain, name));
	nft_schema_add_rules(tx, family, chain, f->cs->env);
}

static void send_element(void *data, enum nft_verb verb, const struct nft_element *e,
			 const struct service *service)
{
	struct full *f = data;
	struct nft_element counted = *e;

	if (verb == VERB_ADD)
		nft_transfer_into(&f->transfer, &counted);
	else
		nft_transfer_put(&f->transfer, e);
	nft_tx_element(&f->tx, verb, &counted, service);
}

static const struct nft_difference_ops send_ops = {
	.table = send_table,
	.set = send_set,
	.foreign_set = send_foreign_set,
	.chain = send_chain,
	.foreign_chain = send_foreign_chain,
	.foreign_object = send_foreign_object,
	.rules = send_rules,
	.element = send_element,
};

static void send_wanted(void *data, const struct nft_element *e)
{
	const struct adding *a = data;

	if (nft_refs_count(&a->full->k->refs, e, 1) != REFS_SHARED)
		send_element(a->full, VERB_ADD, e, a->service);
}

static int read_tables(struct full *f, bool *ret_exist)
{
	bool exist = false;
	int err = 0;

	for (enum family family = 0; family < FAMILY_N && !err; family++) {
		struct nft_table_info table = {.exists = false};

		err = nft_read_table(&f->k->link, family, &table);
		exist |= table.exists;
	}
	*ret_exist = exist;
	return err;
}

/* With the generation already read: the transaction that names it depends on these tables. */
static int collect(struct full *f, bool with_generation)
{
	uint64_t start_us = clock_monotonic_us();
	bool exist = true;
	int err = with_generation ? read_tables(f, &exist) : 0;

	if (err)
		return err;
	nft_tx_clear(&f->chains);
	nft_tx_clear(&f->tx);
	memset(f->is_made, 0, sizeof(f->is_made));
	if (!exist) {
		each_wanted(f, send_wanted);
		f->desired_without = UINT32_MAX;
		f->n_wanted = f->tx.n_added;
	} else if (f->desired_without != f->n_left_out) {
		each_wanted(f, keep_element);
		f->desired_without = f->n_left_out;
		f->n_wanted = f->desired.n;
	}
	f->k->stats.last_build_us = clock_monotonic_us() - start_us;
	return 0;
}

static int compare(struct full *f)
{
	struct nft_stats *stats = &f->k->stats;
	uint64_t start_us = clock_monotonic_us();
	const struct nft_comparison c = {
		.link = &f->k->link,
		.env = f->cs->env,
		.desired = &f->desired,
		.refs = &f->k->refs,
		.n_clients = stats->n_clients,
		.ops = &send_ops,
		.data = f,
	};
	int err;

	err = nft_compare(&c);
	stats->last_readback_us = clock_monotonic_us() - start_us;
	if (err)
		return err;
	start_us = clock_monotonic_us();
	nft_compare_missing(&c);
	stats->last_build_us += clock_monotonic_us() - start_us;
	return 0;
}

/* -EAGAIN when all refusals concern single services, which are left out from now on. */
static int leave_out(struct full *f, const struct nft_refusals *refusals)
{
	for (size_t i = 0; i < refusals->n; i++) {
		const struct nft_refusal *r = &refusals->items[i];

		if (!r->label->service) {
			nft_refusal_log(r);
			return r->err;
		}
		if (is_left_out(f, r->label->service))
			continue;
		nft_keys_put(&f->left_out, &r->label->service, sizeof(struct service *));
		f->n_left_out++;
		nft_refusal_report(r, f->cs);
	}
	return refusals->n ? -EAGAIN : -EPROTO;
}

static int commit(struct full *f, struct nft_tx *tx, uint32_t generation,
		  struct nft_refusals *refusals)
{
	bool is_missed;
	int err = nft_kernel_commit(f->k, tx, generation, refusals, &is_missed);

	if (err)
		return err;
	f->has_sent |= nft_tx_n_messages(tx) > 0;
	for (unsigned what = 0; what < WHAT_N; what++)
		f->n_objects[what] += nft_tx_n_objects(tx, what);
	f->k->is_missed |= is_missed;
	return 0;
}

static int commit_both(struct full *f, uint32_t generation, struct nft_refusals *refusals)
{
	uint64_t start_us = clock_monotonic_us();
	int err = 0;

	f->k->is_missed = false;
	if (nft_tx_n_messages(&f->chains)) {
		err = commit(f, &f->chains, generation, refusals);
		generation = nft_link_next_generation(generation);
	}
	if (!err)
		err = commit(f, &f->tx, generation, refusals);
	f->k->stats.last_kernel_us = clock_monotonic_us() - start_us;
	return err;
}

/* 0, or -EAGAIN: it changed, or a service was left out, try again. */
static int try_once(struct full *f, bool with_generation)
{
	_cleanup_(nft_refusals_fini) struct nft_refusals refusals = {0};
	uint32_t generation = 0;
	int err = 0;

	if (with_generation)
		err = nft_link_generation(&f->k->link, &generation);
	if (!err)
		err = collect(f, with_generation);
	if (!err)
		err = compare(f);
	if (err)
		return err == -EINTR ? -EAGAIN : err;
	err = commit_both(f, generation, &refusals);
	if (err == -EREMOTEIO)
		return leave_out(f, &refusals);
	if (err)
		return err == -ERESTART ? -EAGAIN : err;
	return f->k->is_missed ? -EAGAIN : 0;
}

static int try_all(struct full *f)
{
	int err = -EAGAIN;

	for (unsigned i = 0; i < TRIES_MAX && err == -EAGAIN; i++)
		err = try_once(f, i < TRIES_WITH_NUMBER);
	if (err != -EAGAIN)
		return err;
	/* committed, but the ruleset changes all the time: the next check says so */
	return f->k->is_missed ? 0 : -EBUSY;
}

static void warn_of_full_map(const struct nft_stats *stats)
{
	for (unsigned family = 0; family < FAMILY_N; family++)
		if (stats->n_clients[family] >= NFT_LEARNED_SIZE)
			log_warn("nft: %s: %u clients are bound by affinity, the most "
				 "that "
				 "fit; others are not bound until some time out",
				 nft_family_name(family), NFT_LEARNED_SIZE);
}

/* "2 chains, 41 rules" */
static void note_restored(struct full *f)
{
	static const char *const names[WHAT_N] = {
		[WHAT_TABLE] = "table",	    [WHAT_SET] = "set",
		[WHAT_CHAIN] = "chain",	    [WHAT_RULE] = "rule",
		[WHAT_ELEMENT] = "element", [WHAT_FOREIGN] = "foreign object",
	};
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	for (unsigned what = 0; what < WHAT_N; what++) {
		uint64_t n = f->n_objects[what];

		if (n > 0)
			buf_printf(&text, "%s%" PRIu64 " %s%s", text.len ? ", " : "", n,
				   names[what], n == 1 ? "" : "s");
		f->k->stats.n_restored += n;
	}
	(void)snprintf(f->k->restored, sizeof(f->k->restored), "%s", buf_string(&text));
}

static void count(struct full *f)
{
	struct nft_stats *stats = &f->k->stats;

	warn_of_full_map(stats);
	f->k->n_elements = f->n_wanted;
	nft_keys_clear(&f->k->deferred); /* they are not in the desired state */
	if (!f->k->was_touched)
		return;
	stats->n_repairs += f->has_sent;
	note_restored(f);
}

/* At the start, and after a failure: did an earlier run leave everything in place? */
static void log_difference(const struct full *f, const struct nft_stats *before)
{
	const struct nft_stats *now = &f->k->stats;

	if (!f->has_sent)
		log_info("nftables: the kernel already had everything");
	else
		log_info("nftables: %" PRIu64 " elements added, %" PRIu64 " removed",
			 now->n_elements_added - before->n_elements_added,
			 now->n_elements_deleted - before->n_elements_deleted);
}

int nft_full_apply(struct nft_kernel *k, const struct changeset *cs)
{
	struct full f = {.k = k, .cs = cs, .desired_without = UINT32_MAX};
	struct nft_stats before = k->stats;
	int err;

	nft_keys_init(&f.left_out);
	nft_transfer_init(&f.transfer);
	if (!k->has_numbers)
		adopt_numbers(k);
	k->has_numbers = true;
	err = try_all(&f);
	if (!err) {
		if (!k->is_known)
			log_difference(&f, &before);
		count(&f);
		settle_numbers(&f);
	}
	k->is_known = !err;
	if (!err)
		k->was_touched = false;
	nft_transfer_fini(&f.transfer);
	nft_keys_fini(&f.left_out);
	nft_desired_fini(&f.desired);
	nft_tx_fini(&f.chains);
	nft_tx_fini(&f.tx);
	nft_link_trim(&k->link);
	(void)malloc_trim(0);
	return err ? err : f.n_left_out ? -EREMOTEIO : 0;
}
