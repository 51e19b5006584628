/*
 * Tables of expected traffic.  Each row is tried with TCP and UDP, IPv4 and
 * IPv6, with enough connections to see every endpoint that may answer. In eBPF
 * mode rows of the node and of pods are tried with each kind of client, too:
 * UDP without connect(), IPv4-mapped addresses, a pod's own cgroup (with the
 * node's namespace: a hostNetwork pod), and a pod that is left to nftables.
 *
 * expect:  "pod1:80 far1:80"     each of these answers, no others, and sees
 *                                the client's own address
 *          "pod1:80 +m"          each sees an address of the node instead
 *          "pod1:80+m far1:80"   this one only
 *          "pod1:80 +M"          the same, and in eBPF mode, too; there sockets of the node
 *                                and of pods are seen by their own address otherwise
 *          "refused"             immediately: TCP by a reset, UDP by ICMP
 *          "silent"
 *          "silent ~reset"        silent, but in userspace mode TCP is connected and then
 *                                reset; any other outcome can follow the ~, too
 *
 * In userspace mode each endpoint sees an address of the node. SCTP is not tried.
 */
#pragma once

#include <stddef.h>

#include "tests/kernel/world.h"

struct traffic_row {
	const char *from, *to, *expect;
	const char *
		only; /* NULL: all but SCTP; else any of "TCP" "UDP" "SCTP" "IPv4" "IPv6" */
};

/* Tries all rows, prints what is not as expected, then fails if there was any. */
void traffic_check(const struct world *w, const struct traffic_row *rows, size_t n);

/* "Immediately" for a refusal. */
#define TRAFFIC_REFUSED_US 10000
