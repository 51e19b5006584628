/*
 * The eBPF plane by itself: programs attached to the cgroup of a stage, and
 * their maps, without a daemon and without nftables. A connection that no
 * program decides fails.
 */
#pragma once

#include "bpf/ebpf_table.h"
#include "core/service.h"
#include "tests/kernel/ebpf_stage.h"

struct ebpf_plane {
	const struct ebpf_stage *stage;
	struct ebpf_kernel *kernel;
	struct ebpf_table *table;
};

/* Open and attached, without services. */
struct ebpf_plane ebpf_plane_open(const struct ebpf_stage *stage);
/* Removes everything from the kernel. */
void ebpf_plane_close(struct ebpf_plane *p);
/* The service, instead of an earlier one with its key. Takes the reference. */
void ebpf_plane_put(const struct ebpf_plane *p, struct service *s);
