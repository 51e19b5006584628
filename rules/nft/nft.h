/*
 * The nftables data plane: tables `ip sluice` and `ip6 sluice`.  Chains and
 * rules are static; services and endpoints are elements of maps.  The only
 * chains that come and go are pick chains (one for each distinct number of
 * endpoints) and learn chains (one for each distinct affinity timeout).
 *
 * Everything goes over netlink (libnftnl, libmnl), all changes of one sync in
 * one transaction; the nft program is never run.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/sink.h"

/* A sink bound to the network namespace of the caller. -errno when nf_tables can't be used. */
int nft_sink_new(struct sink **ret);

/*
 * Becomes readable when somebody changes the ruleset. nft_sink_drain() reads
 * all that is there and answers whether a hand other than ours touched (or may
 * have touched) our tables: then the next apply must be full.
 */
int nft_sink_fd(const struct sink *sink);
bool nft_sink_drain(struct sink *sink);

struct nft_stats {
	uint64_t n_transactions, n_messages, n_elements_added, n_elements_deleted;
	uint64_t n_repairs; /* full applies that found a difference made by others */
	uint64_t n_refused_total; /* refusals of single services, counted */
	uint32_t n_refused;	  /* services left out now */
	/* bound by affinity, at the last full apply; -1: the kernel doesn't say (before 6.16) */
	int64_t n_clients[FAMILY_N];
	uint64_t last_build_us, last_kernel_us, last_readback_us;
};
struct nft_stats nft_sink_stats(const struct sink *sink);

/*
 * Connections counted by the kernel. For each frontend (endpoint is NULL) and
 * each endpoint of a frontend, once for each map it stands in: add them up.
 */
struct nft_count {
	struct addr frontend;
	uint8_t proto;
	uint16_t port;
	const struct endpoint
		*endpoint; /* addr and port only; NULL: the frontend itself */
	uint64_t n_connections;
};
/*
 * Of these services (the new ones; nothing is changed). It takes about a
 * millisecond for a thousand frontends and endpoints: who wants to know of
 * many asks for some at a time.
 */
int nft_sink_counts(struct sink *sink, const struct changeset *of, bool with_endpoints,
		    void (*fn)(void *data, const struct nft_count *count), void *data);

/*
 * What the kernel has against what it should have, in pieces; changes nothing.
 * full, its services and its environment are borrowed until nft_diff_free().
 */
struct nft_diff;
struct nft_diff *nft_sink_diff(struct sink *sink, const struct changeset *full);
void nft_diff_free(struct nft_diff *d);
/*
 * About a millisecond's work. 1: there is more to do; 0: that was all; -EINTR:
 * the ruleset changed since the first step, start anew; -errno: can't be read.
 */
int nft_diff_step(struct nft_diff *d);
/*
 * At the end: a line for each difference ("- " is missing in the kernel, "+ "
 * is there and should not be), and how many.
 */
const char *nft_diff_lines(const struct nft_diff *d, size_t *ret_n);

/* Removes both tables, and nothing else. 0 also when there is none. */
int nft_cleanup(void);

/* The same as text that `nft -f` loads: tables of both enabled families, from a full change set. */
void nft_dump(const struct changeset *full, struct buf *out);
