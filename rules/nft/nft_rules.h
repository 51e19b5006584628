/*
 * Every rule that we make, written down once: a page of rows, each a few
 * statements.  Two translators work from it, one to libnftnl expressions
 * (nft_rule_expr) and one to text (nft_rule_text), so that what `dump` shows
 * and what the kernel runs can't drift apart.
 */
#pragma once

#include "core/buf.h"
#include "core/environment.h"
#include "rules/nft/nft_layout.h"

enum nft_stmt_op {
	STMT_END,
	STMT_PROTO,	    /* of the protocol that the row is repeated for */
	STMT_IS_NEW,	    /* conntrack state */
	STMT_IS_TRANSLATED, /* by DNAT */
	STMT_IS_POD,
	STMT_IS_NO_POD,
	STMT_IS_HERE,	      /* the sender is this node */
	STMT_IS_ROUTED_BACK,  /* would leave by the interface that it came in by */
	STMT_IS_UNMARKED,     /* our bit */
	STMT_IN_SERVICE_CIDR, /* the one that the row is repeated for */
	STMT_IN,	      /* shape in set */
	STMT_NOT_IN,
	STMT_VMAP,	   /* verdict by shape out of set */
	STMT_DNAT,	   /* by shape out of set */
	STMT_LOAD_NUMBER,  /* by shape out of set, into the packet */
	STMT_CLEAR_NUMBER, /* of the packet */
	STMT_LEARN,	   /* shape -> the number, into set */
	STMT_FORGET,	   /* shape, out of set */
	STMT_MARK,
	STMT_UNMARK,
	STMT_JUMP, /* to the static chain */
	STMT_GOTO,
	STMT_GOTO_NEXT, /* to the chain that this one needs */
	STMT_MASQUERADE,
	STMT_REJECT,
	STMT_RESET, /* TCP */
	STMT_DROP,
	STMT_RETURN,
};

struct nft_stmt {
	uint8_t op; /* enum nft_stmt_op */
	uint8_t shape, set, chain;
};

#define NFT_RULE_MAX 5 /* statements */

/* One rule, ready for a translator: its statements and their operands. */
struct nft_rule {
	const struct nft_stmt *stmts; /* ends with STMT_END */
	struct nft_chain chain;
	enum family family;
	const struct environment *env;
	uint8_t proto;
	const struct cidr *cidr;
};

/* The rules of a chain, in order. */
void nft_rules_each(struct nft_chain chain, enum family family,
		    const struct environment *env,
		    void (*fn)(void *data, const struct nft_rule *rule), void *data);

struct nftnl_rule;

/* The caller frees it with nftnl_rule_free(). */
struct nftnl_rule *nft_rule_build(const struct nft_rule *rule);
/* One line, without indent and newline. */
void nft_rule_print(const struct nft_rule *rule, struct buf *out);
