/*
 * The eBPF plane's sink: sockets of this node and of its pods go straight to an
 * endpoint, decided once in connect() or sendmsg(). It is a short cut on top of
 * complete nftables rules: whatever it cannot decide passes untouched.
 *
 * It is applied before nftables: it is done sooner, and a socket that was sent
 * to an endpoint needs no rule. What it made stays when the daemon ends.
 */
#pragma once

#include "bpf/ebpf_kernel.h"
#include "core/sink.h"

/* -errno with *ret_why, one line for people, as ebpf_kernel_open() does. */
int ebpf_sink_new(const struct ebpf_params *params, struct sink **ret, char **ret_why);

/*
 * Could ebpf_sink_new() succeed here? Loads the programs to find out, and
 * leaves nothing.
 */
int ebpf_probe(const struct ebpf_params *params, char **ret_why);

/*
 * Removes links, pins and maps. 0 also when there are none; *ret_removed counts them.
 * -EXDEV: they serve another network namespace. -EBUSY: a daemon uses them.
 */
int ebpf_cleanup(const struct ebpf_params *params, unsigned *ret_removed);
