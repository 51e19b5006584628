/*
 * Reads back our tables from the kernel.  All return 0, -errno, or
 * -EINTR when the ruleset changed meanwhile: the caller starts over.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "rules/nft/nft_link.h"
#include "rules/nft/nft_wire.h"

struct nftnl_chain;
struct nftnl_rule;
struct nftnl_set;

struct nft_table_info {
	bool exists;
	uint32_t flags;
	uint64_t handle; /* another one after it was deleted and made again */
};
/* A family that this kernel does not support has no table. */
int nft_read_table(struct nft_link *link, enum family family, struct nft_table_info *ret);

/*
 * Arguments of fn are valid during the call. n_elements is -1 when the kernel
 * does not report it (before 6.16).
 */
int nft_read_sets(struct nft_link *link, enum family family,
		  void (*fn)(void *data, const struct nftnl_set *set, int64_t n_elements),
		  void *data);
int nft_read_chains(struct nft_link *link, enum family family,
		    void (*fn)(void *data, const struct nftnl_chain *chain), void *data);
/* rule is NULL when it has expressions that libnftnl does not know. */
int nft_read_rules(struct nft_link *link, enum family family,
		   void (*fn)(void *data, const char *chain,
			      const struct nftnl_rule *rule),
		   void *data);

/* Named counters, quotas and the like, and flow tables: we make none of them. */
struct nft_object {
	bool is_flowtable;
	const char *name;
	uint32_t type; /* NFT_OBJECT_* */
};
int nft_read_objects(struct nft_link *link, enum family family,
		     void (*fn)(void *data, const struct nft_object *object), void *data);
int nft_read_elements(struct nft_link *link, enum family family, enum nft_set set,
		      void (*fn)(void *data, const struct nft_read_element *e),
		      void *data);

/*
 * Reads elements by their keys, which all belong to one set and family: the
 * time that a dump takes grows with the square of the set's size. Elements come
 * in order; -ENOENT after those before the first missing one.
 */
#define NFT_READ_KEYS_MAX 128
int nft_read_keys(struct nft_link *link, const struct nft_element *keys, size_t n,
		  void (*fn)(void *data, const struct nft_read_element *e), void *data);
