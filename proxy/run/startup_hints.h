/*
 * Logs once, after the first sync, what in this node's set-up makes Services fail
 * or behave in another way than expected.
 */
#pragma once

#include "core/nf_chain.h"

struct engine;

/* list_chains reports every chain of netfilter on this host; NULL: they are not looked at. */
void startup_hints(const struct engine *e,
		   int (*list_chains)(nf_chain_fn fn, void *data));
