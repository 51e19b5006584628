/*
 * One transaction: messages in the order that the kernel needs, each with a label
 * that describes it, so that a refusal can be logged as "add element to endpoints
 * for default/web:http: File exists".
 *
 * Messages are added in any order; each goes to its part, and the parts are sent
 * one after the other in one batch.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/service.h"
#include "rules/nft/nft_element.h"
#include "rules/nft/nft_link.h"

enum nft_part {
	PART_STRUCTURE, /* tables, sets, chains, rules, and flushing chains */
	PART_DELETE,	/* elements */
	PART_ADD,	/* elements */
	PART_TAIL,	/* deleted chains and sets */
	PART_N,
};

enum nft_what { WHAT_TABLE, WHAT_SET, WHAT_CHAIN, WHAT_RULE, WHAT_ELEMENT, WHAT_FOREIGN };
#define WHAT_N (WHAT_FOREIGN + 1)

enum nft_verb { VERB_ADD, VERB_DELETE, VERB_FLUSH };

struct nft_label {
	const struct service *service; /* borrowed; NULL: of no service */
	uint8_t verb, what, family;
	uint8_t set; /* of elements and sets */
	struct nft_chain chain;
};

struct nft_messages {
	char *data;
	size_t len, cap;
	struct nft_label *labels;
	size_t n, n_cap;
	size_t last; /* where the last message starts */
	size_t list; /* where its list of elements starts; 0: without a list */
};

struct nft_tx { /* embedded; zeroed is empty */
	struct nft_messages parts[PART_N];
	uint64_t n_added, n_deleted; /* elements */
};

void nft_tx_fini(struct nft_tx *tx);
void nft_tx_clear(struct nft_tx *tx);
size_t nft_tx_n_messages(const struct nft_tx *tx);
/* Objects of this kind that it adds or deletes. */
uint64_t nft_tx_n_objects(const struct nft_tx *tx, enum nft_what what);

/*
 * Starts a message: room for 64 KiB of attributes. nft_tx_end() closes it.
 * type is NFT_MSG_*, flags NLM_F_* besides NLM_F_REQUEST.
 */
struct nlmsghdr *nft_tx_begin(struct nft_tx *tx, enum nft_part part, uint16_t type,
			      uint16_t flags, const struct nft_label *label);
void nft_tx_end(struct nft_tx *tx, enum nft_part part, const struct nlmsghdr *message);

/*
 * Adds or deletes an element. Those that follow each other with the same set
 * and service share messages.
 */
void nft_tx_element(struct nft_tx *tx, enum nft_verb verb, const struct nft_element *e,
		    const struct service *service);

/* One message that the kernel refused. */
struct nft_refusal {
	const struct nft_label *label; /* into the transaction */
	enum nft_part part;
	int err;
};

struct nft_refusals {
	struct nft_refusal *items;
	size_t n, cap;
};
void nft_refusals_fini(struct nft_refusals *refusals);

/*
 * Sends all of it. 0: everything is in the kernel; an empty one is not sent.
 * -EREMOTEIO: nothing is, see the refusals; other: nothing is, or (only when it
 * had to be sent in pieces) not all.  generation 0: any; otherwise -ERESTART when
 * another process has changed the ruleset since.
 *
 * Kernels before 6.2 keep chains that were in use when a transaction started;
 * PART_TAIL is then sent in a transaction of its own.
 */
int nft_tx_commit(struct nft_tx *tx, struct nft_link *link, uint32_t generation,
		  struct nft_refusals *ret_refusals);

/* "add element to endpoints for default/web:http" */
void nft_label_print(const struct nft_label *label, struct buf *out);
