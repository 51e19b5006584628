/*
 * Least privilege: after start only the capabilities that the work needs stay
 * (CAP_NET_ADMIN for nftables and conntrack, CAP_NET_BIND_SERVICE for low health
 * check ports), new ones can't be gained, and system calls that we never make
 * are refused (seccomp).  Works for root and for others with ambient
 * capabilities.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct privileges {
	bool keep_exec;	 /* a credential plugin will be run: no seccomp filter */
	bool has_filter; /* filled in: the filter is in place */
	/* Kept besides what every data plane needs. */
	const unsigned *caps; /* CAP_* */
	size_t n_caps;
	const int *syscalls;
	size_t n_syscalls;
};

/* 0, or -EPERM and why (static text) if CAP_NET_ADMIN is missing. */
int privileges_check(const char **ret_why);
/* Everything that can be given up is; what could not be is logged. Never fails. */
void privileges_drop(struct privileges *p);
