/*
 * Least privilege: after the start the process keeps only the capabilities that it
 * needs (CAP_NET_ADMIN for nftables and conntrack, CAP_NET_BIND_SERVICE for low
 * health check ports) and cannot gain new ones.  A seccomp filter refuses unused
 * system calls.  Works for root and for other users with ambient capabilities.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct privileges {
	bool keep_exec;	 /* a credential plugin will be run: no seccomp filter */
	bool has_filter; /* output: the filter is in effect */
	/* Kept besides those that every data plane needs. */
	const unsigned *caps; /* CAP_* */
	size_t n_caps;
	const int *syscalls;
	size_t n_syscalls;
};

/* 0, or -EPERM and why (static text) if CAP_NET_ADMIN is missing. */
int privileges_check(const char **ret_why);
/* Drops all other rights, and logs each failure. Never fails. */
void privileges_drop(struct privileges *p);
