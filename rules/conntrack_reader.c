/*
 * mnl_cb_run() would drop the messages of an interrupted dump, and their flows
 * are as good as any; hence a loop of our own.
 */
#include "rules/conntrack_reader.h"

#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

static const struct {
	size_t len;
	uint16_t src, dst;
} addr_attrs[FAMILY_N] = {
	[FAMILY_IPV4] = {4, CTA_IP_V4_SRC, CTA_IP_V4_DST},
	[FAMILY_IPV6] = {16, CTA_IP_V6_SRC, CTA_IP_V6_DST},
};

/* NULL when there is none, or nothing to look into. */
static const struct nlattr *find_in(const struct nlattr *parent, uint16_t type)
{
	const struct nlattr *attr;

	if (!parent)
		return NULL;
	mnl_attr_for_each_nested(attr,
				 parent) if (mnl_attr_get_type(attr) == type) return attr;
	return NULL;
}

static const struct nlattr *find(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh,
			  sizeof(struct nfgenmsg)) if (mnl_attr_get_type(attr) ==
						       type) return attr;
	return NULL;
}

static bool has_len(const struct nlattr *attr, size_t len)
{
	return attr && mnl_attr_get_payload_len(attr) == len;
}

static bool read_addr(const struct nlattr *tuple, enum family family, uint16_t type,
		      struct addr *ret)
{
	const struct nlattr *attr = find_in(find_in(tuple, CTA_TUPLE_IP), type);

	if (!has_len(attr, addr_attrs[family].len))
		return false;
	*ret = addr_from_bytes(family, mnl_attr_get_payload(attr));
	return true;
}

static bool read_port(const struct nlattr *tuple, uint16_t type, uint16_t *ret)
{
	const struct nlattr *attr = find_in(find_in(tuple, CTA_TUPLE_PROTO), type);

	if (!has_len(attr, sizeof(*ret)))
		return false;
	*ret = ntohs(mnl_attr_get_u16(attr));
	return true;
}

static bool read_proto(const struct nlattr *tuple, uint8_t *ret)
{
	const struct nlattr *attr =
		find_in(find_in(tuple, CTA_TUPLE_PROTO), CTA_PROTO_NUM);

	if (!has_len(attr, sizeof(*ret)))
		return false;
	*ret = mnl_attr_get_u8(attr);
	return true;
}

static void read_flow(const struct conntrack_reader *r, const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	struct conntrack_flow found = {0};
	const struct nlattr *reply;
	struct flow *flow = &found.flow;
	enum family family;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*nfg))
		return;
	if (nfg->nfgen_family != AF_INET && nfg->nfgen_family != AF_INET6)
		return;
	family = nfg->nfgen_family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6;
	found.tuple = find(nlh, CTA_TUPLE_ORIG);
	reply = find(nlh, CTA_TUPLE_REPLY);
	found.zone = find(nlh, CTA_ZONE);
	found.id = find(nlh, CTA_ID);
	if ((found.zone && !has_len(found.zone, sizeof(uint16_t))) ||
	    (found.id && !has_len(found.id, sizeof(uint32_t))))
		return;
	if (read_addr(found.tuple, family, addr_attrs[family].dst, &flow->dst) &&
	    read_addr(reply, family, addr_attrs[family].src, &flow->reply_src) &&
	    read_proto(found.tuple, &flow->proto) &&
	    read_port(found.tuple, CTA_PROTO_DST_PORT, &flow->dst_port) &&
	    read_port(reply, CTA_PROTO_SRC_PORT, &flow->reply_src_port))
		r->fn(r->data, &found);
}

/* NLMSG_DONE and NLMSG_ERROR both start with an int that is 0 or -errno. */
static int result_of(const struct nlmsghdr *nlh)
{
	int err = 0;

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(err))
		memcpy(&err, mnl_nlmsg_get_payload(nlh), sizeof(err));
	return err > 0 ? -EBADMSG : err;
}

/* mnl_nlmsg_ok() takes lengths of 2 GiB and more for negative ones, which always fit. */
static bool is_message(const struct nlmsghdr *nlh, int left)
{
	return mnl_nlmsg_ok(nlh, left) && nlh->nlmsg_len <= (uint32_t)left;
}

int conntrack_reader_feed(struct conntrack_reader *r, const void *bytes, size_t len)
{
	const struct nlmsghdr *nlh = bytes;
	int left = len > INT32_MAX ? INT32_MAX : (int)len;

	for (; is_message(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
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
