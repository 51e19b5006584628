/*
 * What the kernel has against what it should have: one walk, which tells of
 * every difference, for a full apply (which sends them) and for `diff` (which
 * prints them).
 */
#pragma once

#include "core/environment.h"
#include "rules/nft/nft_desired.h"
#include "rules/nft/nft_link.h"
#include "rules/nft/nft_read.h"
#include "rules/nft/nft_refs.h"
#include "rules/nft/nft_tx.h"

struct nft_difference_ops {
	/* VERB_DELETE: of no use any more, or made in another shape */
	void (*table)(void *data, enum nft_verb verb, enum family family);
	void (*set)(void *data, enum family family, enum nft_set missing);
	void (*foreign_set)(void *data, enum family family, const char *name);
	/* is_there: only its policy is another */
	void (*chain)(void *data, enum family family, struct nft_chain chain,
		      bool is_there);
	void (*foreign_chain)(void *data, enum family family, const char *name);
	void (*foreign_object)(void *data, enum family family,
			       const struct nft_object *object);
	/* The rules differ; actual is libnftnl's text of those that are there. */
	void (*rules)(void *data, enum family family, struct nft_chain chain,
		      const char *actual);
	void (*element)(void *data, enum nft_verb verb, const struct nft_element *e,
			const struct service *service);
};

struct nft_comparison {
	struct nft_link *link;
	const struct environment *env;
	struct nft_desired *desired; /* states are set */
	const struct nft_refs *refs;
	int64_t *n_clients; /* by family: bound by affinity, -1: not known; may be NULL */
	const struct nft_difference_ops *ops;
	void *data;
};

/*
 * A comparison in pieces.  c is borrowed, and so is what it points at.  It is
 * worth nothing when the ruleset changed between two steps: the caller looks at
 * the generation.
 */
struct nft_comparing;

struct nft_comparing *nft_comparing_new(const struct nft_comparison *c);
void nft_comparing_free(struct nft_comparing *n);
/*
 * A piece that takes a millisecond or so (all of a set, when that differs): 1
 * when there is more to do, 0 at the end, -errno.
 */
int nft_comparing_step(struct nft_comparing *n);

/*
 * All of it. Tells of all but what is missing in sets. -EINTR: the ruleset
 * changed meanwhile, what was told is worth nothing.
 */
int nft_compare(const struct nft_comparison *c);
/* Then of that. */
void nft_compare_missing(const struct nft_comparison *c);
