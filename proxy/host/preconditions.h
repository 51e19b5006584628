/*
 * Settings of this host that keep Services from working although their rules are right:
 * forwarding that is off, a missing route, chains of other programs that drop or
 * translate first, and those of host ports when it is about an address of this host.  Each finding is one sentence.
 */
#pragma once

#include <stdint.h>

#include "core/nf_chain.h"
#include "core/service.h"

struct node_info;

struct preconditions {	  /* all borrowed */
	const char *root; /* "", or in tests a folder in place of "/" */
	const struct node_info *node_info;
	const struct addr *to; /* about packets to this address; NULL: in general */
	/* Reports every chain on this host; NULL: they are not looked at. */
	int (*list_chains)(nf_chain_fn fn, void *data);
};

/* clients: 1 << CLIENT_*, the affected classes. */
typedef void (*precondition_fn)(void *data, enum family family, unsigned clients,
				const char *finding);

/* Reads the kernel's settings, routes and chains as they are now. */
void preconditions_check(const struct preconditions *p, precondition_fn fn, void *data);
