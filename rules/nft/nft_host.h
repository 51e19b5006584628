/*
 * The tables of other programs on this host: listing their chains, and removing
 * those of kube-proxy.
 */
#pragma once

#include "core/buf.h"
#include "core/nf_chain.h"

/* Reports every chain of every table, ours included; 0 or -errno. */
int nft_host_chains(nf_chain_fn fn, void *data);

/* Is it one that kube-proxy makes, in nftables, iptables or ipvs mode? Not the kubelet's or a network plugin's. */
bool nft_host_is_kube_proxy(const struct nf_chain *chain);

/*
 * Removes kube-proxy's tables, its chains in the tables of iptables-nft and the
 * rules that jump to them; adds a line for each table to removed.  0 or -errno.
 */
int nft_host_remove_kube_proxy(struct buf *removed);
