/*
 * The sink: a kernel and a monitor, and what is asked of them from outside.
 */
#include "rules/nft/nft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>

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

	return cs->full ? nft_full_apply(k, cs) : nft_delta_apply(k, cs);
}

static void nft_sink_close(struct sink *sink)
{
	struct nft_sink *s = nft_sink_of(sink);

	nft_kernel_fini(&s->kernel);
	free(s);
}

static const struct sink_ops nft_sink_ops = {
	.name = "nftables",
	.apply = nft_sink_apply,
	.close = nft_sink_close,
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

int nft_sink_fd(const struct sink *sink)
{
	return nft_sink_of(sink)->kernel.monitor.fd;
}

bool nft_sink_drain(struct sink *sink)
{
	struct nft_sink *s = nft_sink_of(sink);
	bool is_touched = nft_monitor_drain(&s->kernel.monitor);

	s->kernel.was_touched |= is_touched;
	return is_touched;
}

struct nft_stats nft_sink_stats(const struct sink *sink)
{
	return nft_sink_of(sink)->kernel.stats;
}

int nft_sink_counts(struct sink *sink, const struct changeset *of, bool with_endpoints,
		    void (*fn)(void *data, const struct nft_count *count), void *data)
{
	return nft_counts_each(&nft_sink_of(sink)->kernel, of, with_endpoints, fn, data);
}

struct nft_diff *nft_sink_diff(struct sink *sink, const struct changeset *full)
{
	return nft_diff_new(&nft_sink_of(sink)->kernel, full);
}

static int cleanup_family(struct nft_link *link, enum family family)
{
	struct nft_refusals refusals = {0};
	struct nft_tx tx = {0};
	uint32_t flags;
	bool exists;
	int err = nft_read_table(link, family, &exists, &flags);

	if (!err && exists) {
		nft_schema_delete_table(&tx, family);
		err = nft_tx_commit(&tx, link, 0, &refusals);
		if (err == -EREMOTEIO)
			err = refusals.items[0].err;
		if (err == -ENOENT) /* somebody was quicker */
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
