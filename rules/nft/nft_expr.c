/*
 * Registers are numbered as the kernel lists them (a full one where it starts on 16
 * bytes, a quarter else), and widths and forms are nft's, so that a rule read back
 * equals the one built.
 */
#include "rules/nft/nft_expr.h"

#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "core/cleanup.h"

uint32_t nft_expr_register(size_t offset)
{
	if (offset % NFT_REGISTER_LEN == 0)
		return NFT_REG_1 + (uint32_t)(offset / NFT_REGISTER_LEN);
	return NFT_REG32_00 + (uint32_t)(offset / 4);
}

struct nftnl_expr *nft_expr_add(struct nftnl_rule *r, const char *name)
{
	struct nftnl_expr *e = nftnl_expr_alloc(name);

	if (!e)
		abort(); /* out of memory; the names are libnftnl's own */
	nftnl_rule_add_expr(r, e);
	return e;
}

void nft_expr_compare(struct nftnl_rule *r, uint32_t op, const void *bytes, uint32_t len)
{
	struct nftnl_expr *e = nft_expr_add(r, "cmp");

	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, bytes, len);
}

void nft_expr_compare_u32(struct nftnl_rule *r, uint32_t op, uint32_t value)
{
	nft_expr_compare(r, op, &value, sizeof(value));
}

static void add_bitwise_at(struct nftnl_rule *r, uint32_t at, const void *mask,
			   const void * xor, uint32_t len)
{
	struct nftnl_expr *e = nft_expr_add(r, "bitwise");

	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, at);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, at);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, len);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask, len);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, xor, len);
}

void nft_expr_bitwise(struct nftnl_rule *r, const void *mask, const void * xor,
		      uint32_t len)
{
	add_bitwise_at(r, NFT_REG_1, mask, xor, len);
}

void nft_expr_bitwise_u32(struct nftnl_rule *r, uint32_t mask, uint32_t xor)
{
	nft_expr_bitwise(r, &mask, &xor, sizeof(mask));
}

void nft_expr_meta(struct nftnl_rule *r, uint32_t key, uint32_t dreg)
{
	struct nftnl_expr *e = nft_expr_add(r, "meta");

	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, dreg);
}

static void add_meta_field(struct nftnl_rule *r, const struct nft_field_info *info,
			   enum family family, uint32_t dreg)
{
	static const uint32_t none;

	nft_expr_meta(r, info->key[family], dreg);
	if (info->mask)
		add_bitwise_at(r, dreg, &info->mask, &none, sizeof(none));
}

void nft_expr_payload(struct nftnl_rule *r, const struct nft_field_info *info,
		      enum family family, uint32_t dreg)
{
	struct nftnl_expr *e = nft_expr_add(r, "payload");

	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, info->arg);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, info->key[family]);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, info->len[family]);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, dreg);
}

void nft_expr_ct(struct nftnl_rule *r, uint32_t key, const uint8_t *dir, uint32_t dreg)
{
	struct nftnl_expr *e = nft_expr_add(r, "ct");

	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
	if (dir)
		nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, *dir);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, dreg);
}

static void add_numgen(struct nftnl_rule *r, struct nft_chain chain, uint32_t dreg)
{
	struct nftnl_expr *e = nft_expr_add(r, "numgen");

	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_DREG, dreg);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_MODULUS, chain.number);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_TYPE, NFT_NG_RANDOM);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_OFFSET,
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
	e = nft_expr_add(r, "hash");
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SREG, nft_expr_register(free_offset));
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_DREG, dreg);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_LEN, nft_field(hashed)->len[rule->family]);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_MODULUS, NFT_HASH_MODULUS);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SEED, info->arg);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_OFFSET, 0);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_TYPE, NFT_HASH_JENKINS);
}

static void load_field(struct nftnl_rule *r, const struct nft_rule *rule,
		       enum nft_field field, size_t offset, size_t free_offset)
{
	const struct nft_field_info *info = nft_field(field);
	uint32_t dreg = nft_expr_register(offset);
	uint8_t dir = (uint8_t)info->arg;

	switch (info->kind) {
	case FIELD_KIND_PAYLOAD:
		return nft_expr_payload(r, info, rule->family, dreg);
	case FIELD_KIND_META:
		return add_meta_field(r, info, rule->family, dreg);
	case FIELD_KIND_CT:
		return nft_expr_ct(r, info->key[rule->family], &dir, dreg);
	case FIELD_KIND_NUMGEN:
		return add_numgen(r, rule->chain, dreg);
	case FIELD_KIND_HASH:
		return add_hash(r, rule, info, dreg, free_offset);
	}
}

void nft_expr_load(struct nftnl_rule *r, const struct nft_rule *rule,
		   enum nft_shape shape, size_t offset, size_t free_offset)
{
	const uint8_t *fields = nft_shape_fields(shape, rule->family);
	size_t end = offset + nft_shape_len(shape, rule->family);
	static const uint8_t none[16];

	if (free_offset < end)
		free_offset = (end + NFT_REGISTER_LEN - 1) / NFT_REGISTER_LEN *
			      NFT_REGISTER_LEN;
	for (unsigned i = 0; i < NFT_SHAPE_MAX && fields[i]; i++) {
		load_field(r, rule, fields[i], offset, free_offset);
		if (nft_field(fields[i])->is_zeroed)
			add_bitwise_at(r, nft_expr_register(offset), none, none,
				       nft_field(fields[i])->len[rule->family]);
		offset += (nft_field(fields[i])->len[rule->family] + 3u) & ~3u;
	}
}

struct nftnl_expr *nft_expr_lookup(struct nftnl_rule *r, uint32_t sreg, enum nft_set set)
{
	struct nftnl_expr *e = nft_expr_add(r, "lookup");

	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, sreg);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, nft_set_info(set)->name);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, 0);
	return e;
}
