/*
 * iptables-nft keeps its chains in tables called nat, filter and mangle, which other
 * programs use, too.  There only three things go, in this order: rules that jump to
 * kube-proxy's chains, the rules in these chains, the chains.
 */
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/nft/nft_host.h"
#include "rules/nft/nft_link.h"

DEFINE_CLEANUP(struct nftnl_rule *, nftnl_rule_free);

#define BATCH_LEN   100000 /* of one transaction: fits the default send buffer */
#define MESSAGE_LEN 4096   /* of one message, at most */

struct found { /* a chain of kube-proxy's */
	uint8_t family;
	const char *family_text; /* static */
	char *table, *name;
};

struct removal {
	struct nft_link *link;
	struct found *chains;
	size_t n, cap;
	char *batch;
	size_t len;
	int err; /* the first one of the kernel */
};

static void collect(void *data, const struct nf_chain *chain)
{
	struct removal *r = data;
	bool is_ip = strcmp(chain->family, "ip") == 0;

	if (!nft_host_is_kube_proxy(chain) ||
	    (!is_ip && strcmp(chain->family, "ip6") != 0))
		return;
	r->chains = xgrow(r->chains, r->n, &r->cap, sizeof(*r->chains));
	r->chains[r->n++] = (struct found){
		.family = is_ip ? NFPROTO_IPV4 : NFPROTO_IPV6,
		.family_text = is_ip ? "ip" : "ip6",
		.table = xstrdup(chain->table),
		.name = xstrdup(chain->name),
	};
}

static void note_error(void *data, uint32_t seq, int err)
{
	struct removal *r = data;

	if (!r->err && err != -ENOENT) /* gone meanwhile */
		r->err = err;
}

static void commit(struct removal *r)
{
	struct iovec part = {.iov_base = r->batch};
	int err;

	if (!r->len)
		return;
	nftnl_batch_end(r->batch + r->len, ++r->link->seq);
	part.iov_len =
		r->len + ((struct nlmsghdr *)(void *)(r->batch + r->len))->nlmsg_len;
	r->len = 0;
	err = nft_link_send(r->link, &part, 1);
	if (!err)
		err = nft_link_errors(r->link, note_error, r);
	if (err && !r->err)
		r->err = err;
}

/* Adds a message about a chain, a rule of it (handle), or its table alone (chain NULL). */
static void add(struct removal *r, uint16_t type, const struct found *f,
		const char *chain, uint64_t handle)
{
	struct nlmsghdr *message;

	if (!r->len) {
		nftnl_batch_begin(r->batch, ++r->link->seq);
		r->len = ((struct nlmsghdr *)(void *)r->batch)->nlmsg_len;
	}
	message = nftnl_nlmsg_build_hdr(r->batch + r->len, type, f->family, 0,
					++r->link->seq);
	mnl_attr_put_strz(message, 1, f->table); /* NFTA_*_TABLE, the same for all */
	if (chain)
		mnl_attr_put_strz(message,
				  type == NFT_MSG_DELCHAIN ? NFTA_CHAIN_NAME
							   : NFTA_RULE_CHAIN,
				  chain);
	if (handle)
		mnl_attr_put_u64(message, NFTA_RULE_HANDLE, htobe64(handle));
	r->len += message->nlmsg_len;
	if (r->len > BATCH_LEN)
		commit(r);
}

static bool jumps_to_kube_proxy(const struct nftnl_rule *rule)
{
	struct nftnl_expr_iter *iter = nftnl_expr_iter_create(rule);
	struct nf_chain target = {
		.table = nftnl_rule_get_str(rule, NFTNL_RULE_TABLE),
	};
	struct nftnl_expr *expr;
	bool result = false;

	while (iter && (expr = nftnl_expr_iter_next(iter)))
		if (strcmp(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME), "immediate") == 0 &&
		    nftnl_expr_is_set(expr, NFTNL_EXPR_IMM_CHAIN)) {
			target.name = nftnl_expr_get_str(expr, NFTNL_EXPR_IMM_CHAIN);
			result |= nft_host_is_kube_proxy(&target);
		}
	if (iter)
		nftnl_expr_iter_destroy(iter);
	return result;
}

struct rules { /* of one table */
	struct removal *removal;
	const struct found *table;
	struct {
		char *chain;
		uint64_t handle;
	} * jumps;
	size_t n, cap;
};

static int take_rule(void *data, const struct nlmsghdr *message)
{
	struct rules *rules = data;
	_cleanup_(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();
	struct nf_chain chain;

	if (!rule)
		return -ENOMEM;
	/* one with parts that libnftnl does not know is not kube-proxy's */
	if (nftnl_rule_nlmsg_parse(message, rule) < 0)
		return 0;
	chain = (struct nf_chain){
		.table = nftnl_rule_get_str(rule, NFTNL_RULE_TABLE),
		.name = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN),
	};
	if (!chain.table || !chain.name ||
	    strcmp(chain.table, rules->table->table) != 0 ||
	    nft_host_is_kube_proxy(&chain) || !jumps_to_kube_proxy(rule))
		return 0;
	rules->jumps = xgrow(rules->jumps, rules->n, &rules->cap, sizeof(*rules->jumps));
	rules->jumps[rules->n].chain = xstrdup(chain.name);
	rules->jumps[rules->n++].handle = nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE);
	return 0;
}

static int remove_jumps(struct removal *r, const struct found *table)
{
	struct nlmsghdr buf[NFT_REQUEST_N];
	struct rules rules = {.removal = r, .table = table};
	struct nlmsghdr *request =
		nft_link_request(r->link, buf, NFT_MSG_GETRULE, table->family, 0);
	int err;

	mnl_attr_put_strz(request, NFTA_RULE_TABLE, table->table);
	err = nft_link_dump(r->link, request, take_rule, &rules);
	for (size_t i = 0; i < rules.n; i++) {
		add(r, NFT_MSG_DELRULE, table, rules.jumps[i].chain,
		    rules.jumps[i].handle);
		free(rules.jumps[i].chain);
	}
	free(rules.jumps);
	return err;
}

static bool same_table(const struct found *a, const struct found *b)
{
	return a->family == b->family && strcmp(a->table, b->table) == 0;
}

/* The chains [first, end) of one table. */
static int remove_table(struct removal *r, size_t first, size_t end, struct buf *removed)
{
	const struct found *table = &r->chains[first];
	bool is_whole = strcmp(table->table, "kube-proxy") == 0;
	int err = is_whole ? 0 : remove_jumps(r, table);

	if (is_whole)
		add(r, NFT_MSG_DELTABLE, table, NULL, 0);
	for (size_t i = first; !is_whole && i < end; i++)
		add(r, NFT_MSG_DELRULE, table, r->chains[i].name, 0);
	for (size_t i = first; !is_whole && i < end; i++)
		add(r, NFT_MSG_DELCHAIN, table, r->chains[i].name, 0);
	commit(r);
	err = err ? err : r->err;
	if (!err && is_whole)
		buf_printf(removed, "table %s kube-proxy\n", table->family_text);
	else if (!err)
		buf_printf(removed, "%zu chains of table %s %s\n", end - first,
			   table->family_text, table->table);
	return err;
}

int nft_host_remove_kube_proxy(struct buf *removed)
{
	struct nft_link link = NFT_LINK_INIT;
	struct removal r = {.link = &link};
	int err = nft_host_chains(collect, &r);

	if (!err)
		err = nft_link_open(&link);
	r.batch = xmalloc(BATCH_LEN + 2 * MESSAGE_LEN);
	for (size_t i = 0, end; i < r.n && !err; i = end) {
		for (end = i + 1; end < r.n && same_table(&r.chains[i], &r.chains[end]);)
			end++;
		err = remove_table(&r, i, end, removed);
	}
	for (size_t i = 0; i < r.n; i++) {
		free(r.chains[i].table);
		free(r.chains[i].name);
	}
	free(r.chains);
	free(r.batch);
	nft_link_close(&link);
	return err;
}
