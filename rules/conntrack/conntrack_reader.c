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

static const struct nlattr *find(const struct nlmsghdr *message, uint16_t type)
{
	return netlink_attr(message, sizeof(struct nfgenmsg), type);
}

static bool read_addr(const struct nlattr *tuple, enum family family, uint16_t type,
		      struct addr *ret)
{
	const struct nlattr *attr =
		netlink_attr_in(netlink_attr_in(tuple, CTA_TUPLE_IP), type);

	if (!netlink_has_len(attr, addr_attrs[family].len))
		return false;
	*ret = addr_from_bytes(family, mnl_attr_get_payload(attr));
	return true;
}

static bool read_port(const struct nlattr *tuple, uint16_t type, uint16_t *ret)
{
	const struct nlattr *attr =
		netlink_attr_in(netlink_attr_in(tuple, CTA_TUPLE_PROTO), type);

	if (!netlink_has_len(attr, sizeof(*ret)))
		return false;
	*ret = ntohs(mnl_attr_get_u16(attr));
	return true;
}

static bool read_ends(const struct nlattr *tuple, enum family family,
		      struct flow_ends *ret)
{
	return read_addr(tuple, family, addr_attrs[family].src, &ret->src) &&
	       read_addr(tuple, family, addr_attrs[family].dst, &ret->dst) &&
	       read_port(tuple, CTA_PROTO_SRC_PORT, &ret->src_port) &&
	       read_port(tuple, CTA_PROTO_DST_PORT, &ret->dst_port);
}

static bool read_u8(const struct nlattr *attr, uint8_t *ret)
{
	if (!netlink_has_len(attr, sizeof(*ret)))
		return false;
	*ret = mnl_attr_get_u8(attr);
	return true;
}

static bool is_opening(const struct nlmsghdr *nlh, uint8_t proto)
{
	const struct nlattr *status = find(nlh, CTA_STATUS);
	const struct nlattr *info = find(nlh, CTA_PROTOINFO);
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

static bool is_ended(const struct nlmsghdr *nlh, uint8_t proto)
{
	const struct nlattr *info = find(nlh, CTA_PROTOINFO);
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

	*ret = (struct conntrack_traffic){.is_ended = is_ended(nlh, proto)};
	for (size_t i = 0; i < N_ELEMENTS(directions); i++) {
		const struct nlattr *counters = find(nlh, directions[i]);

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

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*nfg))
		return false;
	if (nfg->nfgen_family != AF_INET && nfg->nfgen_family != AF_INET6)
		return false;
	family = nfg->nfgen_family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6;
	found.tuple = find(nlh, CTA_TUPLE_ORIG);
	found.zone = find(nlh, CTA_ZONE);
	found.id = find(nlh, CTA_ID);
	if ((found.zone && !netlink_has_len(found.zone, sizeof(uint16_t))) ||
	    (found.id && !netlink_has_len(found.id, sizeof(uint32_t))))
		return false;
	if (!read_ends(found.tuple, family, &flow->original) ||
	    !read_ends(find(nlh, CTA_TUPLE_REPLY), family, &flow->reply) ||
	    !read_u8(netlink_attr_in(netlink_attr_in(found.tuple, CTA_TUPLE_PROTO),
				     CTA_PROTO_NUM),
		     &flow->proto))
		return false;
	flow->is_opening = is_opening(nlh, flow->proto);
	*ret = found;
	return true;
}
