/*
 * The text of one table of an iptables-restore file: the declarations of its
 * chains, then its rules.  Rules of one family are marked with it ("-4",
 * "-6"), so that iptables-restore and ip6tables-restore both load the file and
 * each takes its own.
 */
#pragma once

#include "core/buf.h"
#include "core/environment.h"
#include "core/hash.h"
#include "core/service.h"

struct iptables_table { /* embedded */
	struct buf chains, rules;
	struct hash names; /* of the chains */
};

void iptables_table_init(struct iptables_table *t);
void iptables_table_fini(struct iptables_table *t);
/* Repeating one has no effect: a Service's names are the same in both families. */
void iptables_table_add_chain(struct iptables_table *t, const char *chain);
/* FAMILY_N: for both. */
__attribute__((format(printf, 4, 5))) void
iptables_table_add_rule(struct iptables_table *t, enum family family, const char *chain,
			const char *fmt, ...);
/* From one chain to another, for packets to each node address. */
void iptables_table_add_jumps(struct iptables_table *t, const struct environment *env,
			      const char *from, const char *to);
void iptables_table_write(const struct iptables_table *t, const char *name,
			  struct buf *out);

/*
 * Matches packets to this frontend, in the chain of node ports if it is everywhere;
 * what ("cluster IP") is added to the comment.
 */
#define IPTABLES_MATCH_LEN 512
const char *iptables_match_frontend(const struct service *s, const struct frontend *f,
				    const char *what,
				    char buf[static IPTABLES_MATCH_LEN]);
/* A comment with the service in it. */
#define IPTABLES_COMMENT_LEN 300
const char *iptables_comment(const struct service *s, const char *what,
			     char buf[static IPTABLES_COMMENT_LEN]);
