/*
 * The nftables data plane: tables `ip sluice` and `ip6 sluice`.  Chains and
 * rules are static; services and endpoints are elements of maps.  The only
 * chains that come and go are pick chains (one for each distinct number of
 * endpoints) and learn chains (one for each distinct affinity timeout,
 * after rounding).
 *
 * Everything goes over netlink (libnftnl, libmnl), all changes of one sync in
 * one transaction, but for new chains (see nft_delta.c); the nft program is never run.
 */
#pragma once

#include <stdint.h>

#include "core/buf.h"
#include "core/sink.h"

/* A sink bound to the network namespace of the caller; -errno if nf_tables is not usable. */
int nft_sink_new(struct sink **ret);

/* Can nft_sink_new() work here? 0 or -errno. */
int nft_probe(void);

struct nft_stats {
	uint64_t n_transactions, n_messages, n_elements_added, n_elements_deleted;
	uint64_t n_failures; /* change sets of which nothing could be programmed */
	uint64_t n_repairs;  /* full applies that reverted changes of other processes */
	uint64_t n_restored; /* tables, chains, rules, sets and elements, by these */
	/* bound by affinity, at the last full apply; -1: unknown (kernels before 6.16) */
	int64_t n_clients[FAMILY_N];
	uint64_t last_build_us, last_kernel_us, last_readback_us;
};
/* For tests and benches; the sink's view reports them to /metrics. */
struct nft_stats nft_sink_stats(const struct sink *sink);

/* Removes both tables, and nothing else. 0 also when neither exists. */
int nft_cleanup(void);

/* The same as text that `nft -f` loads: tables of both enabled families, from a full change set. */
void nft_dump(const struct changeset *full, struct buf *out);
