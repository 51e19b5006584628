/*
 * The tables of nft_layout.h.
 *
 * A client is bound to a number, in a map that is updated from packets.  For
 * that a rule needs the service's number in a key and the endpoint's in data,
 * and the only place where rules can keep a number is a field of the packet.
 * It is the priority (the mark would change the route), which nothing looks at
 * between two hooks except forwarding and queues, and it is cleared after use.
 *
 * nft 1.0.6 loads no update with a key longer than 16 bytes: for IPv6 the
 * client's address is two hashes.  When they collide (64 bits) two clients
 * share their choice.
 */
#include "rules/nft/nft_layout.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

/* nft's numbers: datatypes, expressions, protocols and their templates. */
enum {
	TYPE_INTEGER = 4,
	TYPE_IPV4 = 7,
	TYPE_IPV6 = 8,
	TYPE_PROTO = 12,
	TYPE_PORT = 13,
	TYPE_CLASSID = 23,
};
enum { EXPR_PAYLOAD = 7, EXPR_META = 9, EXPR_NUMGEN = 23 };
enum { PROTO_TH = 11, PROTO_IP = 12, PROTO_IP6 = 13 };

#define ADDR_LEN    .len = {4, 16}, .datatype = {TYPE_IPV4, TYPE_IPV6}
#define PROTO_LEN   .len = {1, 1}, .datatype = {TYPE_PROTO, TYPE_PROTO}
#define PORT_LEN    .len = {2, 2}, .datatype = {TYPE_PORT, TYPE_PORT}
#define INTEGER_LEN .len = {4, 4}, .datatype = {TYPE_INTEGER, TYPE_INTEGER}
#define NUMBER_LEN  .len = {4, 4}, .datatype = {TYPE_CLASSID, TYPE_CLASSID}
#define HASH_OF(f, n)                                                                    \
	FIELD_KIND_HASH, .key = {f, f}, .arg = (n), INTEGER_LEN,                         \
			 .typeof_expr = EXPR_NUMGEN

static const struct nft_field_info fields[FIELD_N] = {
	[FIELD_SADDR] = {FIELD_KIND_PAYLOAD,
			 {"ip saddr", "ip6 saddr"},
			 {12, 8},
			 NFT_PAYLOAD_NETWORK_HEADER,
			 ADDR_LEN,
			 EXPR_PAYLOAD,
			 {PROTO_IP, PROTO_IP6},
			 {11, 8}},
	[FIELD_DADDR] = {FIELD_KIND_PAYLOAD,
			 {"ip daddr", "ip6 daddr"},
			 {16, 24},
			 NFT_PAYLOAD_NETWORK_HEADER,
			 ADDR_LEN,
			 EXPR_PAYLOAD,
			 {PROTO_IP, PROTO_IP6},
			 {12, 9}},
	[FIELD_ANY_DADDR] = {FIELD_KIND_PAYLOAD,
			     {"ip daddr & 0.0.0.0", "ip6 daddr & ::"},
			     {16, 24},
			     NFT_PAYLOAD_NETWORK_HEADER,
			     .is_zeroed = true,
			     ADDR_LEN},
	[FIELD_L4PROTO] = {FIELD_KIND_META,
			   {"meta l4proto", "meta l4proto"},
			   {NFT_META_L4PROTO, NFT_META_L4PROTO},
			   0,
			   PROTO_LEN,
			   EXPR_META,
			   {0, 0},
			   {NFT_META_L4PROTO, NFT_META_L4PROTO}},
	[FIELD_DPORT] = {FIELD_KIND_PAYLOAD,
			 {"th dport", "th dport"},
			 {2, 2},
			 NFT_PAYLOAD_TRANSPORT_HEADER,
			 PORT_LEN,
			 EXPR_PAYLOAD,
			 {PROTO_TH, PROTO_TH},
			 {2, 2}},
	[FIELD_ORIGINAL_DADDR] = {FIELD_KIND_CT,
				  {"ct original ip daddr", "ct original ip6 daddr"},
				  {NFT_CT_DST_IP, NFT_CT_DST_IP6},
				  0,
				  ADDR_LEN},
	[FIELD_ANY_ORIGINAL_DADDR] = {FIELD_KIND_CT,
				      {"ct original ip daddr & 0.0.0.0",
				       "ct original ip6 daddr & ::"},
				      {NFT_CT_DST_IP, NFT_CT_DST_IP6},
				      0,
				      .is_zeroed = true,
				      ADDR_LEN},
	[FIELD_ORIGINAL_DPORT] = {FIELD_KIND_CT,
				  {"ct original proto-dst", "ct original proto-dst"},
				  {NFT_CT_PROTO_DST, NFT_CT_PROTO_DST},
				  0,
				  PORT_LEN},
	[FIELD_REPLY_SADDR] = {FIELD_KIND_CT,
			       {"ct reply ip saddr", "ct reply ip6 saddr"},
			       {NFT_CT_SRC_IP, NFT_CT_SRC_IP6},
			       1,
			       ADDR_LEN},
	[FIELD_REPLY_SPORT] = {FIELD_KIND_CT,
			       {"ct reply proto-src", "ct reply proto-src"},
			       {NFT_CT_PROTO_SRC, NFT_CT_PROTO_SRC},
			       1,
			       PORT_LEN},
	[FIELD_SLOT] = {FIELD_KIND_NUMGEN, INTEGER_LEN, EXPR_NUMGEN},
	[FIELD_SADDR_HASH] = {HASH_OF(FIELD_SADDR, 1)},
	[FIELD_SADDR_HASH_2] = {HASH_OF(FIELD_SADDR, 2)},
	[FIELD_NUMBER] = {FIELD_KIND_META,
			  {"meta priority", "meta priority"},
			  {NFT_META_PRIORITY, NFT_META_PRIORITY},
			  0,
			  0,
			  NUMBER_LEN,
			  EXPR_META,
			  {0, 0},
			  {NFT_META_PRIORITY, NFT_META_PRIORITY}},
	[FIELD_NUMBER_SERVICE] = {FIELD_KIND_META,
				  {"meta priority & ffff:0", "meta priority & ffff:0"},
				  {NFT_META_PRIORITY, NFT_META_PRIORITY},
				  0,
				  NFT_NUMBER_MASK,
				  NUMBER_LEN},
};

const struct nft_field_info *nft_field(enum nft_field field)
{
	return &fields[field];
}

const char *nft_field_type(enum nft_field field, enum family family)
{
	switch (fields[field].datatype[family]) {
	case TYPE_IPV4:
		return "ipv4_addr";
	case TYPE_IPV6:
		return "ipv6_addr";
	case TYPE_PROTO:
		return "inet_proto";
	case TYPE_PORT:
		return "inet_service";
	case TYPE_CLASSID:
		return "classid";
	}
	return NULL;
}

/* IPv6 only where it differs. */
static const uint8_t shapes[SHAPE_N][FAMILY_N][NFT_SHAPE_MAX] = {
	[SHAPE_ADDR] = {{FIELD_DADDR}},
	[SHAPE_FRONTEND] = {{FIELD_DADDR, FIELD_L4PROTO, FIELD_DPORT}},
	[SHAPE_SLOT] = {{FIELD_DADDR, FIELD_L4PROTO, FIELD_DPORT, FIELD_SLOT}},
	[SHAPE_NODE_PORT] = {{FIELD_ANY_DADDR, FIELD_L4PROTO, FIELD_DPORT}},
	[SHAPE_NODE_PORT_SLOT] = {{FIELD_ANY_DADDR, FIELD_L4PROTO, FIELD_DPORT,
				   FIELD_SLOT}},
	[SHAPE_SOURCE] = {{FIELD_DADDR, FIELD_L4PROTO, FIELD_DPORT, FIELD_SADDR}},
	[SHAPE_HAIRPIN] = {{FIELD_SADDR, FIELD_DADDR}},
	[SHAPE_ENDPOINT] = {{FIELD_DADDR, FIELD_DPORT}},
	[SHAPE_ORIGINAL] = {{FIELD_ORIGINAL_DADDR, FIELD_L4PROTO, FIELD_ORIGINAL_DPORT}},
	[SHAPE_ORIGINAL_ADDR] = {{FIELD_ORIGINAL_DADDR}},
	[SHAPE_ORIGINAL_NODE_PORT] = {{FIELD_ANY_ORIGINAL_DADDR, FIELD_L4PROTO,
				       FIELD_ORIGINAL_DPORT}},
	[SHAPE_NUMBER] = {{FIELD_NUMBER}},
	[SHAPE_NUMBERED] = {{FIELD_NUMBER, FIELD_DADDR, FIELD_DPORT}},
	[SHAPE_REPLY_NUMBERED] = {{FIELD_NUMBER, FIELD_REPLY_SADDR, FIELD_REPLY_SPORT}},
	[SHAPE_CLIENT] = {{FIELD_SADDR, FIELD_NUMBER},
			  {FIELD_SADDR_HASH, FIELD_SADDR_HASH_2, FIELD_NUMBER}},
	[SHAPE_BOUND_CLIENT] = {{FIELD_SADDR, FIELD_NUMBER_SERVICE},
				{FIELD_SADDR_HASH, FIELD_SADDR_HASH_2,
				 FIELD_NUMBER_SERVICE}},
};

const uint8_t *nft_shape_fields(enum nft_shape shape, enum family family)
{
	return shapes[shape][shapes[shape][family][0] ? family : FAMILY_IPV4];
}

size_t nft_shape_len(enum nft_shape shape, enum family family)
{
	const uint8_t *list = nft_shape_fields(shape, family);
	size_t len = 0;

	if (!list[1]) /* one that stands alone isn't padded */
		return fields[list[0]].len[family];
	for (unsigned i = 0; i < NFT_SHAPE_MAX && list[i]; i++)
		len += (fields[list[i]].len[family] + 3u) & ~3u;
	return len;
}

bool nft_shape_is_named(enum nft_shape shape, enum family family)
{
	const uint8_t *list = nft_shape_fields(shape, family);

	for (unsigned i = 0; i < NFT_SHAPE_MAX && list[i]; i++)
		if (!nft_field_type(list[i], family))
			return false;
	return true;
}

uint32_t nft_shape_type(enum nft_shape shape, enum family family)
{
	const uint8_t *list = nft_shape_fields(shape, family);
	uint32_t type = 0;

	for (unsigned i = 0; i < NFT_SHAPE_MAX && list[i]; i++)
		type = type << 6 | fields[list[i]].datatype[family];
	return type;
}

static const struct nft_set_info sets[SET_N] = {
	[SET_FRONTENDS] = {"frontends", SHAPE_FRONTEND, SHAPE_NONE,
			   SET_COUNTS | SET_HAS_VERDICTS},
	[SET_INTERNAL_FRONTENDS] = {"internal-frontends", SHAPE_FRONTEND, SHAPE_NONE,
				    SET_COUNTS | SET_HAS_VERDICTS},
	[SET_ENDPOINTS] = {"endpoints", SHAPE_SLOT, SHAPE_ENDPOINT, SET_COUNTS},
	[SET_MASQUERADE_FROM_NODE] = {"masquerade-from-node", SHAPE_FRONTEND, SHAPE_NONE,
				      0},
	[SET_MASQUERADE_ALWAYS] = {"masquerade-always", SHAPE_FRONTEND, SHAPE_NONE, 0},
	[SET_CLUSTER_IPS] = {"cluster-ips", SHAPE_ADDR, SHAPE_NONE, SET_IS_SHARED},
	[SET_EXTERNAL_ADDRESSES] = {"external-addresses", SHAPE_ADDR, SHAPE_NONE,
				    SET_IS_SHARED},
	[SET_NODE_ADDRESSES] = {"node-addresses", SHAPE_ADDR, SHAPE_NONE, 0},
	[SET_NO_ENDPOINTS] = {"no-endpoints", SHAPE_FRONTEND, SHAPE_NONE,
			      SET_COUNTS | SET_HAS_VERDICTS},
	[SET_SOURCE_LIMITED] = {"source-limited", SHAPE_FRONTEND, SHAPE_NONE, 0},
	[SET_SOURCE_RANGES] = {"source-ranges", SHAPE_SOURCE, SHAPE_NONE,
			       SET_HAS_INTERVALS},
	[SET_SOURCE_DROPS] = {"source-drops", SHAPE_FRONTEND, SHAPE_NONE,
			      SET_COUNTS | SET_HAS_VERDICTS},
	[SET_HAIRPIN] = {"hairpin", SHAPE_HAIRPIN, SHAPE_NONE, SET_IS_SHARED},
	[SET_AFFINITY_SERVICES] = {"affinity-services", SHAPE_FRONTEND, SHAPE_NUMBER, 0},
	[SET_AFFINITY_TIMEOUTS] = {"affinity-timeouts", SHAPE_NUMBER, SHAPE_NONE,
				   SET_HAS_VERDICTS},
	[SET_AFFINITY_NUMBERS] = {"affinity-numbers", SHAPE_NUMBERED, SHAPE_NUMBER,
				  SET_COUNTS},
	[SET_AFFINITY_ENDPOINTS] = {"affinity-endpoints", SHAPE_NUMBER, SHAPE_ENDPOINT,
				    0},
	[SET_AFFINITY_LOCAL_ENDPOINTS] = {"affinity-local-endpoints", SHAPE_NUMBER,
					  SHAPE_ENDPOINT, 0},
	[SET_AFFINITY_CLIENTS] = {"affinity-clients", SHAPE_CLIENT, SHAPE_NUMBER,
				  SET_IS_LEARNED},
};

const struct nft_set_info *nft_set_info(enum nft_set set)
{
	return &sets[set];
}

bool nft_set_is_map(enum nft_set set)
{
	return sets[set].data || sets[set].flags & SET_HAS_VERDICTS;
}

enum nft_set nft_set_find(const char *name)
{
	unsigned set = 0;

	while (set < SET_N && strcmp(sets[set].name, name) != 0)
		set++;
	return set;
}

/*
 * A Service comes before the host ports of iptables and network plugins (-100): at equal
 * priority the chain that was registered first would win.  Learning comes before the
 * postrouting chains of other programs, which may end the hook's walk.
 */
static const struct nft_chain_info chains[CHAIN_N] = {
	[CHAIN_REFUSE] = {.name = "refuse"},
	[CHAIN_DISPATCH_FROM_NODE] = {.name = "dispatch-from-node"},
	[CHAIN_DISPATCH] = {.name = "dispatch"},
	[CHAIN_CHECK_SOURCE] = {.name = "check-source"},
	[CHAIN_REFUSE_NO_ENDPOINTS] = {.name = "refuse-no-endpoints"},
	[CHAIN_REFUSE_UNKNOWN_PORTS] = {.name = "refuse-unknown-ports"},
	[CHAIN_REFUSE_FORWARDED] = {.name = "refuse-forwarded"},
	[CHAIN_DROP_UNKNOWN_SERVICES] = {.name = "drop-unknown-services"},
	[CHAIN_MASQUERADE_TRANSLATED] = {.name = "masquerade-translated"},
	[CHAIN_AFFINITY_BOUND] = {.name = "affinity-bound"},
	[CHAIN_AFFINITY_LEARN] = {.name = "affinity-learn"},
	[CHAIN_SOURCE_PREROUTING] = {"source-prerouting", "filter", NF_INET_PRE_ROUTING,
				     -110},
	[CHAIN_SOURCE_OUTPUT] = {"source-output", "filter", NF_INET_LOCAL_OUT, -110},
	[CHAIN_NAT_PREROUTING] = {"nat-prerouting", "nat", NF_INET_PRE_ROUTING, -101},
	[CHAIN_NAT_OUTPUT] = {"nat-output", "nat", NF_INET_LOCAL_OUT, -101},
	[CHAIN_FILTER_INPUT] = {"filter-input", "filter", NF_INET_LOCAL_IN, 0},
	[CHAIN_FILTER_FORWARD] = {"filter-forward", "filter", NF_INET_FORWARD, 0},
	[CHAIN_FILTER_OUTPUT] = {"filter-output", "filter", NF_INET_LOCAL_OUT, 0},
	[CHAIN_AFFINITY_INPUT] = {"affinity-input", "nat", NF_INET_LOCAL_IN, 90},
	[CHAIN_AFFINITY_POSTROUTING] = {"affinity-postrouting", "nat",
					NF_INET_POST_ROUTING, 90},
	[CHAIN_NAT_POSTROUTING] = {"nat-postrouting", "nat", NF_INET_POST_ROUTING, 100},
	[CHAIN_PICK] = {.name = "pick-%u"},
	[CHAIN_PICK_LOCAL] = {.name = "pick-local-%u"},
	[CHAIN_AFFINITY] = {.name = "affinity-%u"},
	[CHAIN_AFFINITY_LOCAL] = {.name = "affinity-local-%u"},
	[CHAIN_AFFINITY_LEARN_FOR] = {.name = "affinity-learn-%us"},
};

const struct nft_chain_info *nft_chain_info(uint32_t kind)
{
	return &chains[kind];
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
const char *nft_chain_name(struct nft_chain chain, char buf[static NFT_CHAIN_NAME_LEN])
{
	(void)snprintf(buf, NFT_CHAIN_NAME_LEN, chains[chain.kind].name, chain.number);
	return buf;
}
#pragma GCC diagnostic pop

bool nft_chain_parse(const char *name, struct nft_chain *ret)
{
	const char *digits = name + strcspn(name, "0123456789");
	struct nft_chain chain = {0};
	char again[NFT_CHAIN_NAME_LEN];

	chain.number = (uint32_t)strtoul(digits, NULL, 10);
	for (; chain.kind < CHAIN_N; chain.kind++) {
		const char *format = chains[chain.kind].name;

		/* formatting all would take most of the time of reading a map */
		if (strncmp(format, name, strcspn(format, "%")) == 0 &&
		    strcmp(nft_chain_name(chain, again), name) == 0) {
			*ret = chain;
			return true;
		}
	}
	return false;
}

bool nft_chain_needs(struct nft_chain chain, struct nft_chain *ret)
{
	if (chain.kind != CHAIN_AFFINITY && chain.kind != CHAIN_AFFINITY_LOCAL)
		return false;
	ret->kind = chain.kind == CHAIN_AFFINITY ? CHAIN_PICK : CHAIN_PICK_LOCAL;
	ret->number = chain.number;
	return true;
}

const char *nft_hook_name(uint32_t hook)
{
	static const char *const names[] = {"prerouting", "input", "forward", "output",
					    "postrouting"};

	return hook < N_ELEMENTS(names) ? names[hook] : "?";
}

const char *nft_family_name(enum family family)
{
	return family == FAMILY_IPV4 ? "ip" : "ip6";
}

uint8_t nft_family_number(enum family family)
{
	return family == FAMILY_IPV4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
}
