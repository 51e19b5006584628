/*
 * Parts of this node's set-up that make Services fail or behave in another way than
 * expected. Logged after the first sync; `status` reports those that hold now.
 */
#pragma once

#include <stdbool.h>

#include "core/nf_chain.h"

struct engine;

/* list_chains reports every chain of netfilter on this host; NULL: they are not looked at. */
void hints_check(const struct engine *e, int (*list_chains)(nf_chain_fn fn, void *data),
		 void (*fn)(void *data, bool is_warning, const char *hint), void *data);
