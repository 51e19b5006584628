/*
 * Compares the kernel's tables with the desired state: one walk that reports
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
	/* VERB_DELETE: no longer needed, or made with other types */
	void (*table)(void *data, enum nft_verb verb, enum family family);
	void (*set)(void *data, enum family family, enum nft_set missing);
	void (*foreign_set)(void *data, enum family family, const char *name);
	/* is_there: only its policy differs */
	void (*chain)(void *data, enum family family, struct nft_chain chain,
		      bool is_there);
	void (*foreign_chain)(void *data, enum family family, const char *name);
	void (*foreign_object)(void *data, enum family family,
			       const struct nft_object *object);
	/* The rules differ; actual is libnftnl's text of the existing ones. */
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
 * A comparison in pieces.  c and everything it points at are borrowed.  The
 * result is invalid when the ruleset changed between two steps: the caller
 * compares the generation.
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
 * All of it. Reports all differences but elements that are missing. -EINTR: the
 * ruleset changed meanwhile, and the result is invalid.
 */
int nft_compare(const struct nft_comparison *c);
/* Reports the missing elements, after nft_compare(). */
void nft_compare_missing(const struct nft_comparison *c);
