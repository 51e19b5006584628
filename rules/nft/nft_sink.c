/*
 * The sink around a kernel and its monitor.
 */
#include "rules/nft/nft.h"

#include <errno.h>
#include <libnftnl/set.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/nft/nft_inspect.h"
#include "rules/nft/nft_kernel.h"
#include "rules/nft/nft_read.h"
#include "rules/nft/nft_schema.h"

struct nft_sink {
	struct sink sink;
	struct nft_kernel kernel;
};

static struct nft_sink *nft_sink_of(const struct sink *sink)
{
	return container_of((struct sink *)(uintptr_t)sink, struct nft_sink, sink);
}

static int nft_sink_apply(struct sink *sink, const struct changeset *cs)
{
	struct nft_kernel *k = &nft_sink_of(sink)->kernel;
	int err = cs->full ? nft_full_apply(k, cs) : nft_delta_apply(k, cs);

	k->stats.n_failures += err && err != -EREMOTEIO && err != -ESTALE;
	return err;
}

static void nft_sink_close(struct sink *sink)
{
	struct nft_sink *s = nft_sink_of(sink);

	nft_kernel_fini(&s->kernel);
	free(s);
}

static int nft_sink_fd(const struct sink *sink)
{
	return nft_sink_of(sink)->kernel.monitor.fd;
}

static bool nft_sink_check(struct sink *sink)
{
	struct nft_kernel *k = &nft_sink_of(sink)->kernel;
	bool is_changed = nft_monitor_drain(&k->monitor) || k->is_missed;

	k->is_missed = false;
	k->was_touched |= is_changed;
	return is_changed;
}

static const char *nft_sink_restored(const struct sink *sink)
{
	return nft_sink_of(sink)->kernel.restored;
}

static const char *nft_sink_changed_by(const struct sink *sink)
{
	const char *by = nft_sink_of(sink)->kernel.monitor.by;

	return *by ? by : NULL;
}

static int nft_sink_counts(struct sink *sink, const struct changeset *of,
			   bool with_endpoints,
			   void (*fn)(void *data, const struct sink_count *count),
			   void *data)
{
	return nft_counts_each(&nft_sink_of(sink)->kernel, of, with_endpoints, fn, data);
}

static struct sink_diff *nft_sink_diff(struct sink *sink, const struct changeset *full)
{
	return nft_diff_new(&nft_sink_of(sink)->kernel, full);
}

struct nft_stats nft_sink_stats(const struct sink *sink)
{
	return nft_sink_of(sink)->kernel.stats;
}

/* kube-proxy counts failures by family; a transaction has both. */
static void report_failures(const struct nft_stats *stats,
			    void (*fn)(void *data, const struct sink_stat *stat),
			    void *data)
{
	struct sink_stat stat = {
		.name = "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
		.help = "Cumulative proxy nftables sync failures",
		.is_of_family = true,
		.value = (double)stats->n_failures,
	};

	for (stat.family = 0; stat.family < FAMILY_N; stat.family++)
		fn(data, &stat);
}

/* Only where the kernel says how many there are. */
static void report_clients(const struct nft_stats *stats,
			   void (*fn)(void *data, const struct sink_stat *stat),
			   void *data)
{
	struct sink_stat stat = {
		.name = "sluice_nft_affinity_clients",
		.help = "Clients bound by affinity at the last full sync, of 1048576 at "
			"most.",
		.kind = SINK_GAUGE,
		.is_of_family = true,
	};

	for (stat.family = 0; stat.family < FAMILY_N; stat.family++)
		if (stats->n_clients[stat.family] < 0)
			return;
	for (stat.family = 0; stat.family < FAMILY_N; stat.family++) {
		stat.value = (double)stats->n_clients[stat.family];
		fn(data, &stat);
	}
}

static void nft_sink_report(const struct sink *sink,
			    void (*fn)(void *data, const struct sink_stat *stat),
			    void *data)
{
	const struct nft_stats *n = &nft_sink_of(sink)->kernel.stats;
	const struct sink_stat stats[] = {
		{.name = "sluice_nft_transactions_total",
		 .help = "Committed nftables transactions.",
		 .value = (double)n->n_transactions},
		{.name = "sluice_nft_elements_added_total",
		 .help = "Set elements that were added.",
		 .value = (double)n->n_elements_added},
		{.name = "sluice_nft_elements_deleted_total",
		 .help = "Set elements that were deleted.",
		 .value = (double)n->n_elements_deleted},
		{.name = "sluice_repairs_total",
		 .help = "Full syncs that reverted changes made by other programs.",
		 .value = (double)n->n_repairs},
		{.name = "sluice_repaired_objects_total",
		 .help = "Tables, sets, chains, rules and elements that they restored.",
		 .value = (double)n->n_restored},
	};

	report_failures(n, fn, data);
	report_clients(n, fn, data);
	for (size_t i = 0; i < N_ELEMENTS(stats); i++)
		fn(data, &stats[i]);
}

static bool nft_sink_decides(const struct sink *sink, const struct sink_question *q,
			     const char **ret_why)
{
	*ret_why = "packets from a loopback address cannot be translated";
	return !addr_is_loopback(&q->frontend->addr);
}

static int nft_sink_bound(struct sink *sink, const struct sink_question *q,
			  const struct addr *client, struct endpoint *ret)
{
	return nft_bound(&nft_sink_of(sink)->kernel, q, client, ret);
}

static void take_size(void *data, const struct nftnl_set *set, int64_t n_elements)
{
	int64_t *n_clients = data;

	if (nft_set_find(nftnl_set_get_str(set, NFTNL_SET_NAME)) == SET_AFFINITY_CLIENTS)
		*n_clients = n_elements;
}

static void nft_sink_warnings(struct sink *sink, void (*fn)(void *data, const char *text),
			      void *data)
{
	struct nft_link *link = &nft_sink_of(sink)->kernel.link;

	for (enum family family = 0; family < FAMILY_N; family++) {
		int64_t n_clients = -1;
		_cleanup_(freep) char *text = NULL;

		/* the ruleset may change meanwhile; the size was read nevertheless */
		(void)nft_read_sets(link, family, take_size, &n_clients);
		if (n_clients < (int64_t)NFT_LEARNED_SIZE)
			continue;
		text = xasprintf("the affinity map of %s is full, with %u clients: other "
				 "clients get any endpoint each time until some time "
				 "out; shorten sessionAffinityConfig's timeoutSeconds",
				 family_name(family), NFT_LEARNED_SIZE);
		fn(data, text);
	}
}

static const struct sink_view nft_sink_view = {
	.warnings = nft_sink_warnings,
	.decides = nft_sink_decides,
	.bound = nft_sink_bound,
	.counts = nft_sink_counts,
	.diff = nft_sink_diff,
	.stats = nft_sink_report,
	.changed_by = nft_sink_changed_by,
	.restored = nft_sink_restored,
};

static const struct sink_ops nft_sink_ops = {
	.name = "nftables",
	.apply = nft_sink_apply,
	.close = nft_sink_close,
	.fd = nft_sink_fd,
	.check = nft_sink_check,
	.made = "the ruleset",
	.view = &nft_sink_view,
};

int nft_sink_new(struct sink **ret)
{
	struct nft_sink *s = xcalloc(1, sizeof(*s));
	int err;

	s->sink.ops = &nft_sink_ops;
	err = nft_kernel_init(&s->kernel);
	if (err) {
		nft_sink_close(&s->sink);
		return err;
	}
	*ret = &s->sink;
	return 0;
}

int nft_probe(void)
{
	struct sink *sink;
	int err = nft_sink_new(&sink);

	if (!err)
		sink_close(sink);
	return err;
}

static int cleanup_family(struct nft_link *link, enum family family)
{
	struct nft_refusals refusals = {0};
	struct nft_tx tx = {0};
	struct nft_table_info table;
	int err = nft_read_table(link, family, &table);

	if (!err && table.exists) {
		nft_schema_delete_table(&tx, family);
		err = nft_tx_commit(&tx, link, 0, &refusals);
		if (err == -EREMOTEIO)
			err = refusals.items[0].err;
		if (err == -ENOENT) /* deleted by another process meanwhile */
			err = 0;
	}
	nft_refusals_fini(&refusals);
	nft_tx_fini(&tx);
	return err;
}

int nft_cleanup(void)
{
	struct nft_link link = NFT_LINK_INIT;
	int err = nft_link_open(&link);

	for (unsigned family = 0; family < FAMILY_N && !err; family++)
		err = cleanup_family(&link, family);
	nft_link_close(&link);
	return err;
}
