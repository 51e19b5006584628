/*
 * libnftnl's expressions, added to a rule one by one: what a statement loads into
 * registers, and what it does with them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "rules/nft/nft_rules.h"

struct nftnl_expr;
struct nftnl_rule;

#define NFT_REGISTER_LEN 16u

/* The register at this offset: 0, or a later one when that is in use. */
uint32_t nft_expr_register(size_t offset);

/* Adds one of this name; its attributes follow. */
struct nftnl_expr *nft_expr_add(struct nftnl_rule *r, const char *name);

/* Of the first register; op is NFT_CMP_... */
void nft_expr_compare(struct nftnl_rule *r, uint32_t op, const void *bytes, uint32_t len);
void nft_expr_compare_u32(struct nftnl_rule *r, uint32_t op, uint32_t value);
void nft_expr_bitwise(struct nftnl_rule *r, const void *mask, const void * xor,
		      uint32_t len);
void nft_expr_bitwise_u32(struct nftnl_rule *r, uint32_t mask, uint32_t xor);

/* Into the register dreg. */
void nft_expr_meta(struct nftnl_rule *r, uint32_t key, uint32_t dreg);
void nft_expr_payload(struct nftnl_rule *r, const struct nft_field_info *info,
		      enum family family, uint32_t dreg);
/* dir: NULL for keys without a direction */
void nft_expr_ct(struct nftnl_rule *r, uint32_t key, const uint8_t *dir, uint32_t dreg);

/* Loads a concatenation at offset; hashes take their input at free_offset, or after it. */
void nft_expr_load(struct nftnl_rule *r, const struct nft_rule *rule,
		   enum nft_shape shape, size_t offset, size_t free_offset);
/* Of the register sreg in a set; a map's value goes where NFTNL_EXPR_LOOKUP_DREG says. */
struct nftnl_expr *nft_expr_lookup(struct nftnl_rule *r, uint32_t sreg, enum nft_set set);
