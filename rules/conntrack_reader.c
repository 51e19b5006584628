/*
 * mnl_cb_run() would drop the messages of an interrupted dump, and their flows
 * are as good as any; hence a loop of our own.
 */
#include "rules/conntrack_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nfnetlink.h>

#include "core/cleanup.h"

static const struct {
	enum nf_conntrack_attr dst, reply_src;
} addr_attrs[FAMILY_N] = {
	[FAMILY_IPV4] = {ATTR_ORIG_IPV4_DST, ATTR_REPL_IPV4_SRC},
	[FAMILY_IPV6] = {ATTR_ORIG_IPV6_DST, ATTR_REPL_IPV6_SRC},
};

DEFINE_CLEANUP(struct nf_conntrack *, nfct_destroy);

static bool flow_of(const struct nf_conntrack *ct, enum family family, struct flow *ret)
{
	enum nf_conntrack_attr dst = addr_attrs[family].dst;
	enum nf_conntrack_attr reply_src = addr_attrs[family].reply_src;

	if (nfct_attr_is_set(ct, dst) <= 0 || nfct_attr_is_set(ct, reply_src) <= 0 ||
	    nfct_attr_is_set(ct, ATTR_ORIG_L4PROTO) <= 0 ||
	    nfct_attr_is_set(ct, ATTR_ORIG_PORT_DST) <= 0 ||
	    nfct_attr_is_set(ct, ATTR_REPL_PORT_SRC) <= 0)
		return false;
	*ret = (struct flow){
		.proto = nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO),
		.dst = addr_from_bytes(family, nfct_get_attr(ct, dst)),
		.dst_port = ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_DST)),
		.reply_src = addr_from_bytes(family, nfct_get_attr(ct, reply_src)),
		.reply_src_port = ntohs(nfct_get_attr_u16(ct, ATTR_REPL_PORT_SRC)),
	};
	return true;
}

static void read_flow(const struct conntrack_reader *r, const struct nlmsghdr *nlh)
{
	_cleanup_(nfct_destroyp) struct nf_conntrack *ct = NULL;
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	enum family family;
	struct flow flow;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*nfg))
		return;
	if (nfg->nfgen_family != AF_INET && nfg->nfgen_family != AF_INET6)
		return;
	family = nfg->nfgen_family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6;
	ct = nfct_new();
	if (!ct)
		abort();
	if (nfct_nlmsg_parse(nlh, ct) < 0)
		return;
	if (flow_of(ct, family, &flow))
		r->fn(r->data, &flow, ct);
}

/* NLMSG_DONE and NLMSG_ERROR both start with an int that is 0 or -errno. */
static int result_of(const struct nlmsghdr *nlh)
{
	int err = 0;

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(err))
		memcpy(&err, mnl_nlmsg_get_payload(nlh), sizeof(err));
	return err > 0 ? -EBADMSG : err;
}

int conntrack_reader_feed(struct conntrack_reader *r, const void *bytes, size_t len)
{
	const struct nlmsghdr *nlh = bytes;
	int left = len > INT32_MAX ? INT32_MAX : (int)len;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_seq != r->seq)
			continue;
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			r->is_interrupted = true;
		if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
			return result_of(nlh);
		if (nlh->nlmsg_type >= NLMSG_MIN_TYPE)
			read_flow(r, nlh);
	}
	return left > 0 ? -EBADMSG : 1;
}
