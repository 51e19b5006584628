/*
 * Least privilege: after start only the capabilities that the work needs stay
 * (CAP_NET_ADMIN for nftables and conntrack, CAP_NET_BIND_SERVICE for low health
 * check ports), new ones can't be gained, and system calls that we never make
 * are refused (seccomp).  Works for root and for others with ambient
 * capabilities.
 */
#pragma once

#include <stdbool.h>

struct privileges {
	bool keep_exec;	 /* a credential plugin will be run: no seccomp filter */
	bool has_filter; /* filled in: the filter is in place */
};

/* -EPERM when CAP_NET_ADMIN is missing; told through *ret_why (static text). */
int privileges_check(const char **ret_why);
/* Everything that can be given up is; what could not be is logged. Never fails. */
void privileges_drop(struct privileges *p);
