/*
 * Compares the maps and the attachment with what should be. A service is
 * followed from its frontends through the maps, as a program would do it;
 * numbers of records are of no interest, only where they lead.
 */
#pragma once

#include "bpf/ebpf_kernel.h"
#include "core/changeset.h"
#include "core/sink_view.h"

struct ebpf_table;

/* Borrows all until sink_diff_free(). */
struct sink_diff *ebpf_diff_new(struct ebpf_kernel *kernel,
				const struct ebpf_table *table,
				const struct changeset *full);
