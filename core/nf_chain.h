/*
 * A chain of netfilter on this host, of any program: what decides before, after or
 * instead of ours.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct nf_chain {	    /* texts are valid for the call only */
	const char *family; /* "ip", "ip6", "inet", ... */
	const char *table, *name;
	const char *type; /* "nat", "filter", "route"; "" unless it is a base chain */
	uint32_t hook;	  /* NF_INET_*, of a base chain */
	int32_t priority;
	bool is_drop; /* its policy */
};

typedef void (*nf_chain_fn)(void *data, const struct nf_chain *chain);
