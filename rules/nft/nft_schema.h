/*
 * Messages that add and delete tables, sets, chains and rules.  Built by libnftnl
 * from nft_layout and nft_rules.
 */
#pragma once

#include "core/environment.h"
#include "rules/nft/nft_tx.h"

struct nft_object;
struct nftnl_chain;
struct nftnl_set;

void nft_schema_add_table(struct nft_tx *tx, enum family family);
void nft_schema_delete_table(struct nft_tx *tx, enum family family);

void nft_schema_add_set(struct nft_tx *tx, enum family family, enum nft_set set);
/* Also for foreign sets. */
void nft_schema_delete_set(struct nft_tx *tx, enum family family, const char *name);

/* Empty; for a base chain that exists it sets the policy. */
void nft_schema_add_chain(struct nft_tx *tx, enum family family, struct nft_chain chain);
void nft_schema_add_rules(struct nft_tx *tx, enum family family, struct nft_chain chain,
			  const struct environment *env);
/* By name, as they may be foreign. Deleting includes the rules. */
void nft_schema_flush_chain(struct nft_tx *tx, enum family family, const char *name);
void nft_schema_delete_chain(struct nft_tx *tx, enum family family, const char *name);

/* Deleted after the chains and sets that may refer to them. */
void nft_schema_delete_object(struct nft_tx *tx, enum family family,
			      const struct nft_object *object);

/* The desired set, to compare with; freed with nftnl_set_free(). */
struct nftnl_set *nft_schema_set(enum family family, enum nft_set set);
