/*
 * Cgroups whose sockets are left to nftables: a small program of theirs marks
 * each socket before ours see it. The mark holds for cgroups below, too, and
 * goes with the cgroup.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ebpf_kernel;
struct ebpf_optout;

int ebpf_optout_new(const struct ebpf_kernel *kernel, struct ebpf_optout **ret);
/* Pins stay. */
void ebpf_optout_free(struct ebpf_optout *o);

/*
 * These directories in cgroup v2 are opted out from now on, and no others. Those
 * that cannot be are reported, with their -errno, and skipped.
 */
void ebpf_optout_set(struct ebpf_optout *o, const char *const *paths, size_t n,
		     void (*failed)(void *data, const char *path, int err), void *data);
