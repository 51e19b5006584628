#include "rules/conntrack/conntrack_reader.h"

#include <endian.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_sctp.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "core/cleanup.h"
#include "core/netlink.h"

static const struct {
	size_t len;
	uint16_t src, dst;
} addr_attrs[FAMILY_N] = {
	[FAMILY_IPV4] = {4, CTA_IP_V4_SRC, CTA_IP_V4_DST},
	[FAMILY_IPV6] = {16, CTA_IP_V6_SRC, CTA_IP_V6_DST},
};

/* The state after the first packet; others follow an answer, or a flow found halfway. */
static const struct {
	uint8_t proto, state;
	uint16_t info, info_state;
} opening_states[] = {
	{IPPROTO_TCP, TCP_CONNTRACK_SYN_SENT, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE},
	{IPPROTO_SCTP, SCTP_CONNTRACK_COOKIE_WAIT, CTA_PROTOINFO_SCTP,
	 CTA_PROTOINFO_SCTP_STATE},
};

/* The first attribute of each type below N_TYPES, of a message or a nest. */
#define N_TYPES 32
_Static_assert(CTA_TUPLE_REPLY < N_TYPES && CTA_ZONE < N_TYPES && CTA_ID < N_TYPES &&
		       CTA_COUNTERS_REPLY < N_TYPES && CTA_PROTOINFO < N_TYPES,
	       "the attributes of a flow");

struct attrs {
	const struct nlattr *of[N_TYPES];
};

/*
 * In one pass and without calls: a dump has millions of attributes.  The kernel aligns
 * them; one that does not fit ends the list.
 */
static void collect(struct attrs *a, const void *start, size_t len)
{
	const struct nlattr *attr = start;

	*a = (struct attrs){0};
	while (len >= sizeof(*attr) && attr->nla_len >= sizeof(*attr) &&
	       attr->nla_len <= len) {
		uint16_t type = attr->nla_type & NLA_TYPE_MASK;
		size_t used = NLA_ALIGN(attr->nla_len);

		if (type < N_TYPES && !a->of[type])
			a->of[type] = attr;
		if (used >= len)
			return;
		len -= used;
		attr = (const void *)((const char *)attr + used);
	}
}

static void collect_nest(struct attrs *a, const struct nlattr *nest)
{
	if (nest)
		collect(a, nest + 1, nest->nla_len - sizeof(*nest));
	else
		*a = (struct attrs){0};
}

static bool collect_message(struct attrs *a, const struct nlmsghdr *nlh)
{
	size_t header_len = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));

	if (nlh->nlmsg_len < NLMSG_HDRLEN + sizeof(struct nfgenmsg))
		return false;
	collect(a, (const char *)nlh + header_len,
		nlh->nlmsg_len > header_len ? nlh->nlmsg_len - header_len : 0);
	return true;
}

static bool read_addr(const struct nlattr *attr, enum family family, struct addr *ret)
{
	if (!netlink_has_len(attr, addr_attrs[family].len))
		return false;
	*ret = addr_from_bytes(family, (const uint8_t *)(attr + 1));
	return true;
}

static bool read_port(const struct nlattr *attr, uint16_t *ret)
{
	uint16_t port;

	if (!netlink_has_len(attr, sizeof(port)))
		return false;
	memcpy(&port, attr + 1, sizeof(port));
	*ret = ntohs(port);
	return true;
}

static bool read_u8(const struct nlattr *attr, uint8_t *ret)
{
	if (!netlink_has_len(attr, sizeof(*ret)))
		return false;
	*ret = mnl_attr_get_u8(attr);
	return true;
}

static bool read_ends(const struct nlattr *tuple, enum family family,
		      struct flow_ends *ret, uint8_t *ret_proto)
{
	struct attrs parts, ip, proto;

	collect_nest(&parts, tuple);
	collect_nest(&ip, parts.of[CTA_TUPLE_IP]);
	collect_nest(&proto, parts.of[CTA_TUPLE_PROTO]);
	return read_addr(ip.of[addr_attrs[family].src], family, &ret->src) &&
	       read_addr(ip.of[addr_attrs[family].dst], family, &ret->dst) &&
	       read_port(proto.of[CTA_PROTO_SRC_PORT], &ret->src_port) &&
	       read_port(proto.of[CTA_PROTO_DST_PORT], &ret->dst_port) &&
	       (!ret_proto || read_u8(proto.of[CTA_PROTO_NUM], ret_proto));
}

static bool is_opening(const struct attrs *attrs, uint8_t proto)
{
	const struct nlattr *status = attrs->of[CTA_STATUS];
	const struct nlattr *info = attrs->of[CTA_PROTOINFO];
	uint8_t state;

	if (!netlink_has_len(status, sizeof(uint32_t)) ||
	    ntohl(mnl_attr_get_u32(status)) & IPS_SEEN_REPLY)
		return false;
	for (size_t i = 0; i < N_ELEMENTS(opening_states); i++)
		if (opening_states[i].proto == proto)
			return read_u8(netlink_attr_in(
					       netlink_attr_in(info,
							       opening_states[i].info),
					       opening_states[i].info_state),
				       &state) &&
			       state == opening_states[i].state;
	return false;
}

static bool read_u64(const struct nlattr *nest, uint16_t type, uint64_t *ret)
{
	const struct nlattr *attr = netlink_attr_in(nest, type);

	if (!netlink_has_len(attr, sizeof(*ret)))
		return false;
	*ret = be64toh(mnl_attr_get_u64(attr));
	return true;
}

static bool is_ended(const struct nlattr *info, uint8_t proto)
{
	uint8_t state;

	if (proto == IPPROTO_TCP)
		return read_u8(netlink_attr_in(netlink_attr_in(info, CTA_PROTOINFO_TCP),
					       CTA_PROTOINFO_TCP_STATE),
			       &state) &&
		       (state == TCP_CONNTRACK_TIME_WAIT || state == TCP_CONNTRACK_CLOSE);
	return proto == IPPROTO_SCTP &&
	       read_u8(netlink_attr_in(netlink_attr_in(info, CTA_PROTOINFO_SCTP),
				       CTA_PROTOINFO_SCTP_STATE),
		       &state) &&
	       state == SCTP_CONNTRACK_CLOSED;
}

void conntrack_read_traffic(const struct nlmsghdr *nlh, uint8_t proto,
			    struct conntrack_traffic *ret)
{
	static const uint16_t directions[] = {CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY};

	struct attrs attrs;

	*ret = (struct conntrack_traffic){0};
	if (!collect_message(&attrs, nlh))
		return;
	ret->is_ended = is_ended(attrs.of[CTA_PROTOINFO], proto);
	for (size_t i = 0; i < N_ELEMENTS(directions); i++) {
		const struct nlattr *counters = attrs.of[directions[i]];

		ret->has_counters |=
			read_u64(counters, CTA_COUNTERS_PACKETS, &ret->n_packets[i]) &&
			read_u64(counters, CTA_COUNTERS_BYTES, &ret->n_bytes[i]);
	}
}

bool conntrack_read_flow(const struct nlmsghdr *nlh, struct conntrack_flow *ret)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	struct conntrack_flow found = {0};
	struct flow *flow = &found.flow;
	enum family family;
	struct attrs attrs;

	if (!collect_message(&attrs, nlh))
		return false;
	if (nfg->nfgen_family != AF_INET && nfg->nfgen_family != AF_INET6)
		return false;
	family = nfg->nfgen_family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6;
	found.tuple = attrs.of[CTA_TUPLE_ORIG];
	found.zone = attrs.of[CTA_ZONE];
	found.id = attrs.of[CTA_ID];
	if ((found.zone && !netlink_has_len(found.zone, sizeof(uint16_t))) ||
	    (found.id && !netlink_has_len(found.id, sizeof(uint32_t))))
		return false;
	if (!read_ends(found.tuple, family, &flow->original, &flow->proto) ||
	    !read_ends(attrs.of[CTA_TUPLE_REPLY], family, &flow->reply, NULL))
		return false;
	flow->is_opening = is_opening(&attrs, flow->proto);
	*ret = found;
	return true;
}
