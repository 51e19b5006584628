/*
 * Cgroups whose sockets are left to nftables: a small program of theirs marks
 * each socket before ours see it. The mark holds for cgroups below, too, and
 * goes with the cgroup.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ebpf_kernel;
struct ebpf_optout;

int ebpf_optout_new(struct ebpf_kernel *kernel, struct ebpf_optout **ret);
/* Pins stay. */
void ebpf_optout_free(struct ebpf_optout *o);

/*
 * These directories in cgroup v2 are excluded from now on, and no others by path. One may
 * not exist yet, which is logged. Programs that an earlier daemon attached elsewhere stay
 * until the Pods are known.
 */
void ebpf_optout_set_paths(struct ebpf_optout *o, const char *const *paths, size_t n);

/*
 * The cgroups of these Pods are excluded from now on, and those of no others. A
 * cgroup may not exist yet: true when one was not found.
 */
bool ebpf_optout_set_pods(struct ebpf_optout *o, const char *const *uids, size_t n);
/* One line for each cgroup and Pod that is excluded. */
void ebpf_optout_list(const struct ebpf_optout *o,
		      void (*fn)(void *data, const char *what), void *data);
/* Looks for the cgroups again, with the result of ebpf_optout_set_pods(). */
bool ebpf_optout_look(struct ebpf_optout *o);
/* Attaches what another program detached. */
void ebpf_optout_repair(struct ebpf_optout *o);
