/*
 * A listing is collected first and reported when it is whole: the kernel interrupts a
 * dump when the ruleset changes meanwhile.
 */
#include "rules/nft/nft_host.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/nft/nft_link.h"

DEFINE_CLEANUP(struct nftnl_chain *, nftnl_chain_free);

#define MAX_TRIES 5

static const char *family_text(uint8_t family)
{
	return family == NFPROTO_IPV4	  ? "ip"
	       : family == NFPROTO_IPV6	  ? "ip6"
	       : family == NFPROTO_INET	  ? "inet"
	       : family == NFPROTO_BRIDGE ? "bridge"
	       : family == NFPROTO_NETDEV ? "netdev"
					  : "arp";
}

bool nft_host_is_kube_proxy(const struct nf_chain *chain)
{
	static const char *const names[] = {
		"KUBE-SERVICES",
		"KUBE-EXTERNAL-SERVICES",
		"KUBE-NODEPORTS",
		"KUBE-POSTROUTING",
		"KUBE-FORWARD",
		"KUBE-PROXY-FIREWALL",
		"KUBE-PROXY-CANARY",
		"KUBE-MARK-MASQ",
		"KUBE-NODE-PORT",
		"KUBE-LOAD-BALANCER",
		"KUBE-IPVS-FILTER",
		"KUBE-IPVS-OUT-FILTER",
		"KUBE-SOURCE-RANGES-FIREWALL",
	};
	static const char *const prefixes[] = {
		"KUBE-SVC-", "KUBE-SVL-", "KUBE-XLB-",
		"KUBE-EXT-", "KUBE-SEP-", "KUBE-FW-",
	};

	if (strcmp(chain->table, "kube-proxy") == 0)
		return true;
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (strcmp(chain->name, names[i]) == 0)
			return true;
	for (size_t i = 0; i < N_ELEMENTS(prefixes); i++)
		if (strncmp(chain->name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

struct listing {
	struct nftnl_chain **chains;
	size_t n, cap;
};

static void listing_fini(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		nftnl_chain_free(l->chains[i]);
	free(l->chains);
	*l = (struct listing){0};
}

static int take_chain(void *data, const struct nlmsghdr *message)
{
	struct listing *l = data;
	_cleanup_(nftnl_chain_freep) struct nftnl_chain *c = nftnl_chain_alloc();

	if (!c)
		return -ENOMEM;
	if (nftnl_chain_nlmsg_parse(message, c) < 0)
		return -EBADMSG;
	if (!nftnl_chain_is_set(c, NFTNL_CHAIN_TABLE) ||
	    !nftnl_chain_is_set(c, NFTNL_CHAIN_NAME))
		return 0;
	l->chains = xgrow(l->chains, l->n, &l->cap, sizeof(struct nftnl_chain *));
	l->chains[l->n++] = take_ptr(c);
	return 0;
}

static void report(const struct nftnl_chain *c, nf_chain_fn fn, void *data)
{
	struct nf_chain chain = {
		.family =
			family_text((uint8_t)nftnl_chain_get_u32(c, NFTNL_CHAIN_FAMILY)),
		.table = nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE),
		.name = nftnl_chain_get_str(c, NFTNL_CHAIN_NAME),
		.type = "",
	};

	if (nftnl_chain_is_set(c, NFTNL_CHAIN_TYPE)) {
		chain.type = nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE);
		chain.hook = nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM);
		chain.priority = nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO);
		chain.is_drop = nftnl_chain_is_set(c, NFTNL_CHAIN_POLICY) &&
				nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY) == NF_DROP;
	}
	fn(data, &chain);
}

int nft_host_chains(nf_chain_fn fn, void *data)
{
	struct nlmsghdr buf[NFT_REQUEST_N];
	struct nft_link link = NFT_LINK_INIT;
	struct listing listing = {0};
	int err = nft_link_open(&link);

	for (int i = 0; !err && i < MAX_TRIES; i++) {
		struct nlmsghdr *request =
			nft_link_request(&link, buf, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, 0);

		listing_fini(&listing);
		err = nft_link_dump(&link, request, take_chain, &listing);
		if (err != -EINTR)
			break;
		err = i + 1 < MAX_TRIES ? 0 : -EINTR;
	}
	for (size_t i = 0; !err && i < listing.n; i++)
		report(listing.chains[i], fn, data);
	listing_fini(&listing);
	nft_link_close(&link);
	return err;
}
