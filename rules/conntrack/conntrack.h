/*
 * The kernel's connection tracking table over netlink: a streamed dump of some
 * flows of one family (filtered by the kernel where it can) that deletes
 * unwanted ones on the way.  Memory is constant, whatever the number of flows.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "rules/conntrack/flow_match.h"

/* 0, or -errno when conntrack's netlink interface is missing or not permitted. */
int conntrack_probe(void);

enum conntrack_scope {
	CONNTRACK_UDP,	   /* kernels filter since 5.8 */
	CONNTRACK_OPENING, /* opened, but neither answered nor DNATed: since 5.15 */
};

/*
 * Deletes the flows for which is_unwanted() is true. A flow that has ended
 * meanwhile is not an error, and a later one with the same addresses is kept.  A
 * dump that the kernel reports as interrupted is repeated a few times, and so is
 * one that found UDP flows: answers on their way may have made new ones.
 * *ret_deleted is set on failure too.
 *
 * It takes five seconds at most: -ETIMEDOUT when a dump takes longer, and -EAGAIN
 * when there was no time to repeat one; the caller calls it again later.
 */
int conntrack_prune(enum family family, enum conntrack_scope scope,
		    bool (*is_unwanted)(void *data, const struct flow *flow), void *data,
		    uint64_t *ret_deleted);
