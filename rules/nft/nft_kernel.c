/*
 * While any process listens, in any network namespace (the kernel keeps one list
 * for all), the kernel builds a message for each changed element, which costs
 * several times as much as the change itself.  So the monitor is off during a
 * large transaction of ours, and the ruleset's generation shows whether another
 * process committed meanwhile.
 */
#include "rules/nft/nft_kernel.h"

#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"

#define UNSUBSCRIBE_FROM_ELEMENTS 300

int nft_kernel_init(struct nft_kernel *k)
{
	uint32_t generation;
	int err;

	*k = (struct nft_kernel){.link = NFT_LINK_INIT, .monitor = NFT_MONITOR_INIT};
	nft_refs_init(&k->refs);
	nft_keys_init(&k->deferred);
	nft_numbers_init(&k->numbers);
	err = nft_link_open(&k->link);
	if (!err) /* fails without nf_tables or CAP_NET_ADMIN */
		err = nft_link_generation(&k->link, &generation);
	if (!err)
		err = nft_monitor_open(&k->monitor, k->link.port_id);
	return err;
}

void nft_kernel_fini(struct nft_kernel *k)
{
	nft_refs_fini(&k->refs);
	nft_keys_fini(&k->deferred);
	nft_numbers_fini(&k->numbers);
	nft_monitor_close(&k->monitor);
	nft_link_close(&k->link);
}

/* Subscribes again; each failure is retried with the next commit. */
static int resubscribe(struct nft_kernel *k)
{
	int err = nft_monitor_subscribe(&k->monitor, true);

	if (err && !k->is_unsubscribed)
		log_warn("nft: cannot subscribe to ruleset changes: %s; retrying, "
			 "changes by other processes are found by full syncs only",
			 strerror(-err));
	k->is_unsubscribed = err != 0;
	return err;
}

static int commit(struct nft_kernel *k, struct nft_tx *tx, uint32_t generation,
		  struct nft_refusals *ret_refusals)
{
	int err;

	if (k->around_commit)
		k->around_commit(k->around_data, false);
	err = nft_tx_commit(tx, &k->link, generation, ret_refusals);
	if (k->around_commit)
		k->around_commit(k->around_data, true);
	return err;
}

/* Every transaction increases the generation by one: there must have been only ours. */
static int commit_unsubscribed(struct nft_kernel *k, struct nft_tx *tx,
			       uint32_t generation, struct nft_refusals *ret_refusals,
			       bool *ret_is_missed)
{
	uint32_t before = generation, after = 0;
	int err = generation ? 0 : nft_link_generation(&k->link, &before);
	int subscribe_err;

	if (err)
		return err;
	(void)nft_monitor_subscribe(&k->monitor, false); /* then it just takes longer */
	err = commit(k, tx, generation, ret_refusals);
	subscribe_err = resubscribe(k);
	if (subscribe_err || nft_link_generation(&k->link, &after))
		*ret_is_missed = true;
	else
		*ret_is_missed =
			after != (err ? before : nft_link_next_generation(before));
	return err;
}

int nft_kernel_commit(struct nft_kernel *k, struct nft_tx *tx, uint32_t generation,
		      struct nft_refusals *ret_refusals, bool *ret_is_missed)
{
	uint64_t start_us = clock_monotonic_us();
	size_t n = nft_tx_n_messages(tx);
	int err;

	*ret_is_missed = k->is_unsubscribed && resubscribe(k) == 0;
	if (tx->n_added + tx->n_deleted < UNSUBSCRIBE_FROM_ELEMENTS)
		err = commit(k, tx, generation, ret_refusals);
	else
		err = commit_unsubscribed(k, tx, generation, ret_refusals, ret_is_missed);
	k->stats.last_kernel_us = clock_monotonic_us() - start_us;
	if (err)
		return err;
	k->stats.n_transactions += n > 0;
	k->stats.n_messages += n;
	k->stats.n_elements_added += tx->n_added;
	k->stats.n_elements_deleted += tx->n_deleted;
	k->n_elements += tx->n_added - tx->n_deleted;
	return 0;
}

void nft_refusal_log(const struct nft_refusal *r)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	nft_label_print(r->label, &text);
	log_warn("nftables: could not %s: %s", buf_string(&text), strerror(-r->err));
}

void nft_refusal_report(const struct nft_refusal *r, const struct changeset *cs)
{
	_cleanup_(buf_fini) struct buf why = BUF_INIT;

	nft_label_print(r->label, &why);
	buf_printf(&why, ": %s", strerror(-r->err));
	changeset_refuse(cs, r->label->service, buf_string(&why));
}
