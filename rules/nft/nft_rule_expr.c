/*
 * Rules as libnftnl expressions.  Registers are numbered as the kernel lists
 * them (a full one where it starts on 16 bytes, a quarter else), and widths
 * and forms are nft's, so that a rule read back equals the one built.
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

#include "core/cleanup.h"

#define REGISTER_LEN 16u

/* The register that a statement loads into: offset 0, or a later one when that is in use. */
static uint32_t register_at(size_t offset)
{
	if (offset % REGISTER_LEN == 0)
		return NFT_REG_1 + (uint32_t)(offset / REGISTER_LEN);
	return NFT_REG32_00 + (uint32_t)(offset / 4);
}

static struct nftnl_expr *add_expr(struct nftnl_rule *r, const char *name)
{
	struct nftnl_expr *e = nftnl_expr_alloc(name);

	if (!e)
		abort(); /* out of memory; the names are libnftnl's own */
	nftnl_rule_add_expr(r, e);
	return e;
}

static void set_u32(struct nftnl_expr *e, uint16_t attr, uint32_t value)
{
	nftnl_expr_set_u32(e, attr, value);
}

static void add_compare(struct nftnl_rule *r, uint32_t op, const void *bytes,
			uint32_t len)
{
	struct nftnl_expr *e = add_expr(r, "cmp");

	set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	set_u32(e, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, bytes, len);
}

static void add_compare_u32(struct nftnl_rule *r, uint32_t op, uint32_t value)
{
	add_compare(r, op, &value, sizeof(value));
}

static void add_bitwise_at(struct nftnl_rule *r, uint32_t at, const void *mask,
			   const void * xor, uint32_t len)
{
	struct nftnl_expr *e = add_expr(r, "bitwise");

	set_u32(e, NFTNL_EXPR_BITWISE_SREG, at);
	set_u32(e, NFTNL_EXPR_BITWISE_DREG, at);
	set_u32(e, NFTNL_EXPR_BITWISE_LEN, len);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask, len);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, xor, len);
}

static void add_bitwise(struct nftnl_rule *r, const void *mask, const void * xor,
			uint32_t len)
{
	add_bitwise_at(r, NFT_REG_1, mask, xor, len);
}

static void add_bitwise_u32(struct nftnl_rule *r, uint32_t mask, uint32_t xor)
{
	add_bitwise(r, &mask, &xor, sizeof(mask));
}

static void add_meta(struct nftnl_rule *r, uint32_t key, uint32_t dreg)
{
	struct nftnl_expr *e = add_expr(r, "meta");

	set_u32(e, NFTNL_EXPR_META_KEY, key);
	set_u32(e, NFTNL_EXPR_META_DREG, dreg);
}

static void add_meta_field(struct nftnl_rule *r, const struct nft_field_info *info,
			   enum family family, uint32_t dreg)
{
	static const uint32_t none;

	add_meta(r, info->key[family], dreg);
	if (info->mask)
		add_bitwise_at(r, dreg, &info->mask, &none, sizeof(none));
}

static void add_payload(struct nftnl_rule *r, const struct nft_field_info *info,
			enum family family, uint32_t dreg)
{
	struct nftnl_expr *e = add_expr(r, "payload");

	set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, info->arg);
	set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, info->key[family]);
	set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, info->len[family]);
	set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, dreg);
}

static void add_ct(struct nftnl_rule *r, uint32_t key, const uint8_t *dir, uint32_t dreg)
{
	struct nftnl_expr *e = add_expr(r, "ct");

	set_u32(e, NFTNL_EXPR_CT_KEY, key);
	if (dir)
		nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, *dir);
	set_u32(e, NFTNL_EXPR_CT_DREG, dreg);
}

static void add_numgen(struct nftnl_rule *r, struct nft_chain chain, uint32_t dreg)
{
	struct nftnl_expr *e = add_expr(r, "numgen");

	set_u32(e, NFTNL_EXPR_NG_DREG, dreg);
	set_u32(e, NFTNL_EXPR_NG_MODULUS, chain.number);
	set_u32(e, NFTNL_EXPR_NG_TYPE, NFT_NG_RANDOM);
	set_u32(e, NFTNL_EXPR_NG_OFFSET,
		chain.kind == CHAIN_PICK_LOCAL ? NFT_LOCAL_SLOT : 0);
}

static void load_field(struct nftnl_rule *r, const struct nft_rule *rule,
		       enum nft_field field, size_t offset, size_t free_offset);

/* The hashed field is loaded after the registers that the statement uses already. */
static void add_hash(struct nftnl_rule *r, const struct nft_rule *rule,
		     const struct nft_field_info *info, uint32_t dreg, size_t free_offset)
{
	enum nft_field hashed = info->key[rule->family];
	struct nftnl_expr *e;

	load_field(r, rule, hashed, free_offset, 0);
	e = add_expr(r, "hash");
	set_u32(e, NFTNL_EXPR_HASH_SREG, register_at(free_offset));
	set_u32(e, NFTNL_EXPR_HASH_DREG, dreg);
	set_u32(e, NFTNL_EXPR_HASH_LEN, nft_field(hashed)->len[rule->family]);
	set_u32(e, NFTNL_EXPR_HASH_MODULUS, NFT_HASH_MODULUS);
	set_u32(e, NFTNL_EXPR_HASH_SEED, info->arg);
	set_u32(e, NFTNL_EXPR_HASH_OFFSET, 0);
	set_u32(e, NFTNL_EXPR_HASH_TYPE, NFT_HASH_JENKINS);
}

static void load_field(struct nftnl_rule *r, const struct nft_rule *rule,
		       enum nft_field field, size_t offset, size_t free_offset)
{
	const struct nft_field_info *info = nft_field(field);
	uint32_t dreg = register_at(offset);
	uint8_t dir = (uint8_t)info->arg;

	switch (info->kind) {
	case FIELD_KIND_PAYLOAD:
		return add_payload(r, info, rule->family, dreg);
	case FIELD_KIND_META:
		return add_meta_field(r, info, rule->family, dreg);
	case FIELD_KIND_CT:
		return add_ct(r, info->key[rule->family], &dir, dreg);
	case FIELD_KIND_NUMGEN:
		return add_numgen(r, rule->chain, dreg);
	case FIELD_KIND_HASH:
		return add_hash(r, rule, info, dreg, free_offset);
	}
}

/* Loads a concatenation at offset; hashes take their input at free_offset, or after it. */
static void load_shape(struct nftnl_rule *r, const struct nft_rule *rule,
		       enum nft_shape shape, size_t offset, size_t free_offset)
{
	const uint8_t *fields = nft_shape_fields(shape, rule->family);
	size_t end = offset + nft_shape_len(shape, rule->family);
	static const uint8_t none[16];

	if (free_offset < end)
		free_offset = (end + REGISTER_LEN - 1) / REGISTER_LEN * REGISTER_LEN;
	for (unsigned i = 0; i < NFT_SHAPE_MAX && fields[i]; i++) {
		load_field(r, rule, fields[i], offset, free_offset);
		if (nft_field(fields[i])->is_zeroed)
			add_bitwise_at(r, register_at(offset), none, none,
				       nft_field(fields[i])->len[rule->family]);
		offset += (nft_field(fields[i])->len[rule->family] + 3u) & ~3u;
	}
}

static struct nftnl_expr *add_lookup(struct nftnl_rule *r, uint32_t sreg,
				     enum nft_set set)
{
	struct nftnl_expr *e = add_expr(r, "lookup");

	set_u32(e, NFTNL_EXPR_LOOKUP_SREG, sreg);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, nft_set_info(set)->name);
	set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, 0);
	return e;
}

static void add_match(struct nftnl_rule *r, const struct nft_rule *rule,
		      const struct nft_stmt *s)
{
	struct nftnl_expr *e;

	load_shape(r, rule, s->shape, 0, 0);
	e = add_lookup(r, NFT_REG_1, s->set);
	if (s->op == STMT_NOT_IN)
		set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	if (s->op == STMT_VMAP)
		set_u32(e, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
}

/* The address, then the port. */
static void add_dnat(struct nftnl_rule *r, const struct nft_rule *rule,
		     const struct nft_stmt *s)
{
	size_t port = nft_field(FIELD_DADDR)->len[rule->family];
	struct nftnl_expr *e;

	load_shape(r, rule, s->shape, 0, 0);
	set_u32(add_lookup(r, NFT_REG_1, s->set), NFTNL_EXPR_LOOKUP_DREG, NFT_REG_1);
	e = add_expr(r, "nat");
	set_u32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	set_u32(e, NFTNL_EXPR_NAT_FAMILY, nft_family_number(rule->family));
	set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
	set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MAX, NFT_REG_1);
	set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, register_at(port));
	set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MAX, register_at(port));
	set_u32(e, NFTNL_EXPR_NAT_FLAGS,
		NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED);
}

static void add_set_priority(struct nftnl_rule *r)
{
	struct nftnl_expr *e = add_expr(r, "meta");

	set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_PRIORITY);
	set_u32(e, NFTNL_EXPR_META_SREG, NFT_REG_1);
}

static void add_load_number(struct nftnl_rule *r, const struct nft_rule *rule,
			    const struct nft_stmt *s)
{
	/* nft keeps a register for the result between the key and a hash's input */
	size_t hashed = nft_shape_len(s->shape, rule->family) + REGISTER_LEN;

	load_shape(r, rule, s->shape, 0, hashed);
	set_u32(add_lookup(r, NFT_REG_1, s->set), NFTNL_EXPR_LOOKUP_DREG, NFT_REG_1);
	add_set_priority(r);
}

static void add_clear_number(struct nftnl_rule *r)
{
	static const uint32_t none;
	struct nftnl_expr *e = add_expr(r, "immediate");

	set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, &none, sizeof(none));
	add_set_priority(r);
}

static void add_update(struct nftnl_rule *r, const struct nft_rule *rule,
		       const struct nft_stmt *s)
{
	bool is_learn = s->op == STMT_LEARN;
	/* keys fit into one register, see nft_layout.c */
	size_t data = REGISTER_LEN;
	struct nftnl_expr *e;

	load_shape(r, rule, s->shape, 0, 0);
	load_shape(r, rule, SHAPE_NUMBER, data, 0);
	e = add_expr(r, "dynset");
	set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
	set_u32(e, NFTNL_EXPR_DYNSET_SREG_DATA, register_at(data));
	set_u32(e, NFTNL_EXPR_DYNSET_OP,
		is_learn ? NFT_DYNSET_OP_UPDATE : NFT_DYNSET_OP_DELETE);
	nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT,
			   is_learn ? rule->chain.number * 1000ull : 0);
	nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, nft_set_info(s->set)->name);
}

static void add_proto(struct nftnl_rule *r, uint8_t proto)
{
	add_meta(r, NFT_META_L4PROTO, NFT_REG_1);
	add_compare(r, NFT_CMP_EQ, &proto, sizeof(proto));
}

static void add_ct_bit(struct nftnl_rule *r, uint32_t key, uint32_t bit)
{
	add_ct(r, key, NULL, NFT_REG_1);
	add_bitwise_u32(r, bit, 0);
	add_compare_u32(r, NFT_CMP_NEQ, 0);
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
	add_payload(r, nft_field(field), cidr_family(cidr), NFT_REG_1);
	if (cidr->prefix_len < 8 * len)
		add_bitwise(r, mask, zero, (uint32_t)len);
	add_compare(r, op, bytes, (uint32_t)len);
}

static void add_pod(struct nftnl_rule *r, const struct nft_rule *rule, uint32_t op)
{
	const struct environment *env = rule->env;
	char ifname[IFNAMSIZ] = "";

	if (env->detector == POD_DETECTOR_CIDR)
		return add_in_cidr(r, FIELD_SADDR, &env->pod_cidr[rule->family], op);
	(void)snprintf(ifname, sizeof(ifname), "%s", env->ifname);
	add_meta(r, NFT_META_IIFNAME, NFT_REG_1);
	add_compare(r, op, ifname,
		    env->detector == POD_DETECTOR_PREFIX ? (uint32_t)strlen(ifname)
							 : IFNAMSIZ);
}

static void add_here(struct nftnl_rule *r)
{
	struct nftnl_expr *e = add_expr(r, "fib");

	set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	set_u32(e, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_SADDR);
	set_u32(e, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
	add_compare_u32(r, NFT_CMP_EQ, RTN_LOCAL);
}

static void add_is_routed_back(struct nftnl_rule *r)
{
	struct nftnl_expr *e = add_expr(r, "fib");

	set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_OIF);
	set_u32(e, NFTNL_EXPR_FIB_FLAGS,
		NFTA_FIB_F_DADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT);
	set_u32(e, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
	add_compare_u32(r, NFT_CMP_EQ, true);
}

static void add_is_unmarked(struct nftnl_rule *r, uint32_t mark)
{
	add_meta(r, NFT_META_MARK, NFT_REG_1);
	add_bitwise_u32(r, mark, 0);
	add_compare_u32(r, NFT_CMP_EQ, 0);
}

static void add_set_mark(struct nftnl_rule *r, uint32_t mask, uint32_t xor)
{
	struct nftnl_expr *e;

	add_meta(r, NFT_META_MARK, NFT_REG_1);
	add_bitwise_u32(r, mask, xor);
	e = add_expr(r, "meta");
	set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	set_u32(e, NFTNL_EXPR_META_SREG, NFT_REG_1);
}

static void add_verdict(struct nftnl_rule *r, int verdict, const struct nft_chain *chain)
{
	struct nftnl_expr *e = add_expr(r, "immediate");
	char name[NFT_CHAIN_NAME_LEN];

	set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
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
	struct nftnl_expr *e = add_expr(r, "reject");
	uint8_t code = rule->family == FAMILY_IPV4 ? ICMP_PORT_UNREACH
						   : 4 /* ICMPv6: port unreachable */;

	set_u32(e, NFTNL_EXPR_REJECT_TYPE, type);
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
	set_u32(add_expr(r, "masq"), NFTNL_EXPR_MASQ_FLAGS,
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
