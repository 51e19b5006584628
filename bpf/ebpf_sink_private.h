#pragma once

#include "bpf/ebpf.h"
#include "bpf/ebpf_optout.h"
#include "bpf/ebpf_sockets.h"
#include "bpf/ebpf_table.h"

struct ebpf_sink {
	struct sink sink;
	struct ebpf_kernel *kernel;
	struct ebpf_table *table;
	struct ebpf_sockets *sockets;	   /* NULL: this kernel cannot do it */
	struct ebpf_optout *optout;	   /* NULL: no cgroup can be excluded */
	struct ebpf_table_stats closed_at; /* when sockets were closed last */
	uint64_t n_closed, n_attached_again;
	uint32_t *others; /* programs of other software that were logged */
	size_t n_others, others_cap;
	int timer; /* when to look whether the programs are attached */
	bool has_logged_unreachable;
	bool has_applied;
	bool lacks_pins;   /* and they cannot be made */
	bool is_host_only; /* pods are left to nftables */
};

extern const struct sink_view ebpf_view;
