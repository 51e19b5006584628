/*
 * Rules as libnftnl expressions: a function for each kind of statement.
 */
#include "rules/nft/nft_rules.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "rules/nft/nft_expr.h"

static void add_match(struct nftnl_rule *r, const struct nft_rule *rule,
		      const struct nft_stmt *s)
{
	struct nftnl_expr *e;

	nft_expr_load(r, rule, s->shape, 0, 0);
	e = nft_expr_lookup(r, NFT_REG_1, s->set);
	if (s->op == STMT_NOT_IN)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	if (s->op == STMT_VMAP)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
}

/* The address, then the port. */
static void add_dnat(struct nftnl_rule *r, const struct nft_rule *rule,
		     const struct nft_stmt *s)
{
	size_t port = nft_field(FIELD_DADDR)->len[rule->family];
	struct nftnl_expr *e;

	nft_expr_load(r, rule, s->shape, 0, 0);
	nftnl_expr_set_u32(nft_expr_lookup(r, NFT_REG_1, s->set), NFTNL_EXPR_LOOKUP_DREG,
			   NFT_REG_1);
	e = nft_expr_add(r, "nat");
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, nft_family_number(rule->family));
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MAX, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, nft_expr_register(port));
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MAX, nft_expr_register(port));
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FLAGS,
			   NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED);
}

static void add_set_priority(struct nftnl_rule *r)
{
	struct nftnl_expr *e = nft_expr_add(r, "meta");

	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_PRIORITY);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_SREG, NFT_REG_1);
}

static void add_load_number(struct nftnl_rule *r, const struct nft_rule *rule,
			    const struct nft_stmt *s)
{
	/* nft keeps a register for the result between the key and a hash's input */
	size_t hashed = nft_shape_len(s->shape, rule->family) + NFT_REGISTER_LEN;

	nft_expr_load(r, rule, s->shape, 0, hashed);
	nftnl_expr_set_u32(nft_expr_lookup(r, NFT_REG_1, s->set), NFTNL_EXPR_LOOKUP_DREG,
			   NFT_REG_1);
	add_set_priority(r);
}

static void add_clear_number(struct nftnl_rule *r)
{
	static const uint32_t none;
	struct nftnl_expr *e = nft_expr_add(r, "immediate");

	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, &none, sizeof(none));
	add_set_priority(r);
}

static void add_update(struct nftnl_rule *r, const struct nft_rule *rule,
		       const struct nft_stmt *s)
{
	bool is_learn = s->op == STMT_LEARN;
	/* keys fit into one register, see nft_layout.c */
	size_t data = NFT_REGISTER_LEN;
	struct nftnl_expr *e;

	nft_expr_load(r, rule, s->shape, 0, 0);
	nft_expr_load(r, rule, SHAPE_NUMBER, data, 0);
	e = nft_expr_add(r, "dynset");
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_DATA, nft_expr_register(data));
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP,
			   is_learn ? NFT_DYNSET_OP_UPDATE : NFT_DYNSET_OP_DELETE);
	nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT,
			   is_learn ? rule->chain.number * 1000ull : 0);
	nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, nft_set_info(s->set)->name);
}

static void add_proto(struct nftnl_rule *r, uint8_t proto)
{
	nft_expr_meta(r, NFT_META_L4PROTO, NFT_REG_1);
	nft_expr_compare(r, NFT_CMP_EQ, &proto, sizeof(proto));
}

static void add_ct_bit(struct nftnl_rule *r, uint32_t key, uint32_t bit)
{
	nft_expr_ct(r, key, NULL, NFT_REG_1);
	nft_expr_bitwise_u32(r, bit, 0);
	nft_expr_compare_u32(r, NFT_CMP_NEQ, 0);
}

static void mask_bytes(uint8_t *mask, size_t len, unsigned prefix_len)
{
	for (size_t i = 0; i<len; i++, prefix_len -= prefix_len> 8 ? 8 : prefix_len)
		mask[i] = prefix_len >= 8 ? 0xff : (uint8_t)(0xff00u >> prefix_len);
}

static void add_in_cidr(struct nftnl_rule *r, enum nft_field field,
			const struct cidr *cidr, uint32_t op)
{
	static const uint8_t zero[16];
	uint8_t mask[16];
	size_t len;
	const uint8_t *bytes = addr_bytes(&cidr->addr, &len);

	mask_bytes(mask, len, cidr->prefix_len);
	nft_expr_payload(r, nft_field(field), cidr_family(cidr), NFT_REG_1);
	if (cidr->prefix_len < 8 * len)
		nft_expr_bitwise(r, mask, zero, (uint32_t)len);
	nft_expr_compare(r, op, bytes, (uint32_t)len);
}

static void add_pod(struct nftnl_rule *r, const struct nft_rule *rule, uint32_t op)
{
	const struct environment *env = rule->env;
	char ifname[IFNAMSIZ] = "";

	if (env->detector == POD_DETECTOR_CIDR)
		return add_in_cidr(r, FIELD_SADDR, &env->pod_cidr[rule->family], op);
	(void)snprintf(ifname, sizeof(ifname), "%s", env->ifname);
	nft_expr_meta(r, NFT_META_IIFNAME, NFT_REG_1);
	nft_expr_compare(r, op, ifname,
			 env->detector == POD_DETECTOR_PREFIX ? (uint32_t)strlen(ifname)
							      : IFNAMSIZ);
}

static void add_here(struct nftnl_rule *r)
{
	struct nftnl_expr *e = nft_expr_add(r, "fib");

	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_SADDR);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
	nft_expr_compare_u32(r, NFT_CMP_EQ, RTN_LOCAL);
}

static void add_is_routed_back(struct nftnl_rule *r)
{
	struct nftnl_expr *e = nft_expr_add(r, "fib");

	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_OIF);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS,
			   NFTA_FIB_F_DADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
	nft_expr_compare_u32(r, NFT_CMP_EQ, true);
}

static void add_is_unmarked(struct nftnl_rule *r, uint32_t mark)
{
	nft_expr_meta(r, NFT_META_MARK, NFT_REG_1);
	nft_expr_bitwise_u32(r, mark, 0);
	nft_expr_compare_u32(r, NFT_CMP_EQ, 0);
}

static void add_set_mark(struct nftnl_rule *r, uint32_t mask, uint32_t xor)
{
	struct nftnl_expr *e;

	nft_expr_meta(r, NFT_META_MARK, NFT_REG_1);
	nft_expr_bitwise_u32(r, mask, xor);
	e = nft_expr_add(r, "meta");
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_SREG, NFT_REG_1);
}

static void add_verdict(struct nftnl_rule *r, int verdict, const struct nft_chain *chain)
{
	struct nftnl_expr *e = nft_expr_add(r, "immediate");
	char name[NFT_CHAIN_NAME_LEN];

	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
	if (chain)
		nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, nft_chain_name(*chain, name));
}

static void add_next(struct nftnl_rule *r, const struct nft_rule *rule)
{
	struct nft_chain next = {0};

	(void)nft_chain_needs(rule->chain, &next); /* only such chains have this */
	add_verdict(r, NFT_GOTO, &next);
}

static void add_reject(struct nftnl_rule *r, const struct nft_rule *rule, uint32_t type)
{
	struct nftnl_expr *e = nft_expr_add(r, "reject");
	uint8_t code = rule->family == FAMILY_IPV4 ? ICMP_PORT_UNREACH
						   : 4 /* ICMPv6: port unreachable */;

	nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, type);
	nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE,
			  type == NFT_REJECT_TCP_RST ? 0 : code);
}

static void add_reset(struct nftnl_rule *r, const struct nft_rule *rule)
{
	add_proto(r, IPPROTO_TCP);
	add_reject(r, rule, NFT_REJECT_TCP_RST);
}

static void add_masquerade(struct nftnl_rule *r)
{
	nftnl_expr_set_u32(nft_expr_add(r, "masq"), NFTNL_EXPR_MASQ_FLAGS,
			   NF_NAT_RANGE_PROTO_RANDOM_FULLY);
}

static void add_stmt(struct nftnl_rule *r, const struct nft_rule *rule,
		     const struct nft_stmt *s)
{
	const struct nft_chain target = {.kind = s->chain};
	uint32_t mark = rule->env->masquerade_mark;

	switch ((enum nft_stmt_op)s->op) {
	case STMT_END:
		return;
	case STMT_PROTO:
		return add_proto(r, rule->proto);
	case STMT_IS_NEW:
		return add_ct_bit(r, NFT_CT_STATE, NF_CT_STATE_BIT(IP_CT_NEW));
	case STMT_IS_TRANSLATED:
		return add_ct_bit(r, NFT_CT_STATUS, IPS_DST_NAT);
	case STMT_IS_POD:
		return add_pod(r, rule, NFT_CMP_EQ);
	case STMT_IS_NO_POD:
		return add_pod(r, rule, NFT_CMP_NEQ);
	case STMT_IS_HERE:
		return add_here(r);
	case STMT_IS_ROUTED_BACK:
		return add_is_routed_back(r);
	case STMT_IS_UNMARKED:
		return add_is_unmarked(r, mark);
	case STMT_IN_SERVICE_CIDR:
		return add_in_cidr(r, FIELD_DADDR, rule->cidr, NFT_CMP_EQ);
	case STMT_IN:
	case STMT_NOT_IN:
	case STMT_VMAP:
		return add_match(r, rule, s);
	case STMT_DNAT:
		return add_dnat(r, rule, s);
	case STMT_LOAD_NUMBER:
		return add_load_number(r, rule, s);
	case STMT_CLEAR_NUMBER:
		return add_clear_number(r);
	case STMT_LEARN:
	case STMT_FORGET:
		return add_update(r, rule, s);
	case STMT_MARK:
		return add_set_mark(r, ~mark, mark);
	case STMT_UNMARK:
		return add_set_mark(r, UINT32_MAX, mark);
	case STMT_JUMP:
		return add_verdict(r, NFT_JUMP, &target);
	case STMT_GOTO:
		return add_verdict(r, NFT_GOTO, &target);
	case STMT_GOTO_NEXT:
		return add_next(r, rule);
	case STMT_MASQUERADE:
		return add_masquerade(r);
	case STMT_REJECT:
		return add_reject(r, rule, NFT_REJECT_ICMP_UNREACH);
	case STMT_RESET:
		return add_reset(r, rule);
	case STMT_DROP:
		return add_verdict(r, NF_DROP, NULL);
	case STMT_RETURN:
		return add_verdict(r, NFT_RETURN, NULL);
	}
}

struct nftnl_rule *nft_rule_build(const struct nft_rule *rule)
{
	struct nftnl_rule *r = nftnl_rule_alloc();
	char name[NFT_CHAIN_NAME_LEN];

	if (!r)
		abort(); /* out of memory, as xmalloc() does */
	nftnl_rule_set_u32(r, NFTNL_RULE_FAMILY, nft_family_number(rule->family));
	nftnl_rule_set_str(r, NFTNL_RULE_TABLE, NFT_TABLE_NAME);
	nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, nft_chain_name(rule->chain, name));
	for (const struct nft_stmt *s = rule->stmts; s->op; s++)
		add_stmt(r, rule, s);
	return r;
}
