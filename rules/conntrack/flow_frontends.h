/*
 * The TCP and SCTP frontends of a change set, to find out whether a flow goes to
 * one of them.  They are sorted for the first flow: mostly there is none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/changeset.h"
#include "rules/conntrack/flow_match.h"
#include "core/node_list.h"

struct flow_frontend;

struct flow_frontends {		   /* embedded, zeroed */
	struct service **services; /* references */
	size_t n_services;
	struct node_list nodes[FAMILY_N];
	struct flow_frontend *sorted; /* NULL: not used yet */
	size_t n;
};
/* Replaces those of another change set. */
void flow_frontends_set(struct flow_frontends *f, const struct changeset *cs);
void flow_frontends_fini(struct flow_frontends *f);

/*
 * Was this flow opened to a frontend while nothing translated it?  Conntrack
 * keeps that for all its packets, so its client would wait in vain.
 */
bool flow_frontends_is_lost(struct flow_frontends *f, const struct flow *flow);
