/*
 * The kernel's connection tracking table over netlink: a streamed dump of some
 * flows of one family (filtered by the kernel where it can) that deletes
 * unwanted ones on the way.  Memory is constant, whatever the number of flows, and
 * the event loop does the work in steps.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/cleanup.h"
#include "rules/conntrack/flow_match.h"

struct conntrack;

/* -errno when conntrack's netlink interface is missing or not permitted. */
int conntrack_open(struct conntrack **ret);
void conntrack_close(struct conntrack *c);
DEFINE_CLEANUP(struct conntrack *, conntrack_close);

enum conntrack_scope {
	CONNTRACK_UDP,	   /* kernels filter since 5.8 */
	CONNTRACK_OPENING, /* opened, but neither answered nor DNATed: since 5.15 */
	CONNTRACK_SCOPE_N,
};

struct conntrack_pass {
	enum family family;
	enum conntrack_scope scope;
	bool (*is_unwanted)(void *data, const struct flow *flow);
	void *data;
};

/*
 * Starts to delete the flows for which is_unwanted() is true. A flow that has ended
 * meanwhile is not an error, and a later one with the same addresses is kept.  A
 * dump that the kernel reports as interrupted is repeated a few times, and so is
 * one that found UDP flows: answers on their way may have made new ones.
 * One pass at a time.
 */
int conntrack_prune(struct conntrack *c, const struct conntrack_pass *pass);
/* Readable when conntrack_step() has work; always the same descriptor. */
int conntrack_fd(const struct conntrack *c);
/* About two milliseconds of a pass. 0: it is complete; -EINPROGRESS; or -errno. */
int conntrack_step(struct conntrack *c);
/* By the current or last pass, also if it failed. */
uint64_t conntrack_n_deleted(const struct conntrack *c);
