/*
 * As long as anybody listens (in whatever network namespace: the kernel keeps
 * one list for all), it makes a message for each element that changes, which
 * costs several times as much as the change itself.  So for a large transaction
 * we stop listening, and tell from the ruleset's generation whether somebody
 * else was there meanwhile.
 */
#include "rules/nft/nft_kernel.h"

#include "core/cleanup.h"
#include "core/clock.h"

#define DEAF_FROM_ELEMENTS 300

int nft_kernel_init(struct nft_kernel *k)
{
	uint32_t generation;
	int err;

	*k = (struct nft_kernel){.link = NFT_LINK_INIT, .monitor = NFT_MONITOR_INIT};
	nft_refs_init(&k->refs);
	nft_keys_init(&k->lingering);
	nft_numbers_init(&k->numbers);
	err = nft_link_open(&k->link);
	if (!err) /* is there an nf_tables, and may we? */
		err = nft_link_generation(&k->link, &generation);
	if (!err)
		err = nft_monitor_open(&k->monitor, k->link.port_id);
	return err;
}

void nft_kernel_fini(struct nft_kernel *k)
{
	nft_refs_fini(&k->refs);
	nft_keys_fini(&k->lingering);
	nft_numbers_fini(&k->numbers);
	nft_monitor_close(&k->monitor);
	nft_link_close(&k->link);
}

/* Anybody's transaction adds one to the generation: just ours must have been there. */
static int commit_deaf(struct nft_kernel *k, struct nft_tx *tx, uint32_t generation,
		       struct nft_refusals *ret_refusals, bool *ret_is_missed)
{
	uint32_t before = generation, after = 0;
	int err = generation ? 0 : nft_link_generation(&k->link, &before);
	int listen_err;

	if (err)
		return err;
	nft_monitor_listen(&k->monitor, false);
	err = nft_tx_commit(tx, &k->link, generation, ret_refusals);
	listen_err = nft_monitor_listen(&k->monitor, true);
	if (listen_err || nft_link_generation(&k->link, &after))
		*ret_is_missed = true;
	else
		*ret_is_missed = after != (err ? before : before + 1);
	return err;
}

int nft_kernel_commit(struct nft_kernel *k, struct nft_tx *tx, uint32_t generation,
		      struct nft_refusals *ret_refusals, bool *ret_is_missed)
{
	uint64_t start_us = clock_monotonic_us();
	size_t n = nft_tx_n_messages(tx);
	int err;

	*ret_is_missed = false;
	if (tx->n_added + tx->n_deleted < DEAF_FROM_ELEMENTS)
		err = nft_tx_commit(tx, &k->link, generation, ret_refusals);
	else
		err = commit_deaf(k, tx, generation, ret_refusals, ret_is_missed);
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
