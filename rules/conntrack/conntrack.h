/*
 * The kernel's connection tracking table over netlink: a streamed dump of some
 * flows of one family (filtered by the kernel where it can) that deletes what
 * it is told to on the way.  Memory is constant, whatever the number of flows.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "rules/conntrack/flow_match.h"

/* 0 when conntrack's netlink interface is there and may be used. */
int conntrack_probe(void);

enum conntrack_scope {
	CONNTRACK_UDP,	   /* kernels filter since 5.8 */
	CONNTRACK_OPENING, /* opened, but neither answered nor DNATed: since 5.15 */
};

/*
 * Deletes the flows that is_unwanted() says so of. A flow that went meanwhile
 * is no error, and one that came anew under the same addresses is not hit.  A
 * dump that the kernel calls interrupted is repeated a few times, and so is one
 * that found UDP flows: answers on their way may have made new ones.
 * *ret_deleted is set on failure too.
 */
int conntrack_prune(enum family family, enum conntrack_scope scope,
		    bool (*is_unwanted)(void *data, const struct flow *flow), void *data,
		    uint64_t *ret_deleted);
