/*
 * The kernel's side of the plane: programs, maps, links and their pins.
 *
 *	BPFFS/sluice/NAME        the maps, named as in maps.bpf.h
 *	BPFFS/sluice/link_HOOK   one link for each of the nine hooks
 *
 * The pins keep all of it working when the daemon ends. A new daemon reuses the
 * maps if they have its layout, loads its own programs and puts them into the
 * links' places; no connection notices.
 */
#pragma once

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/ebpf_layout.h"

struct ebpf_kernel;

struct ebpf_params {
	const char *cgroup_root;     /* NULL: the root of the mounted cgroup v2 */
	const char *bpffs_root;	     /* NULL: /sys/fs/bpf */
	const char *const *excluded; /* cgroups that are left to nftables */
	size_t n_excluded;
	bool is_host_only; /* pods are left to nftables */
	bool is_plain; /* programs as for a kernel without bpf_rdonly_cast(); for tests */
};

struct ebpf_sizes { /* numbers of elements */
	uint32_t frontends, services, slots, endpoints;
};

/* The mapped arrays; they move when the maps grow. */
struct ebpf_arrays {
	struct ebpf_service *services;
	struct ebpf_slot *slots;
	struct ebpf_endpoint *endpoints;
};

/*
 * Loads everything; attaches nothing. -errno with *ret_why (freed by the
 * caller) as one line for people. -EBUSY: another daemon has the pins.
 */
int ebpf_kernel_open(const struct ebpf_params *params, struct ebpf_kernel **ret,
		     char **ret_why);
/* Could it be opened? Loads the programs to find out, and leaves nothing of them. */
int ebpf_kernel_probe(const struct ebpf_params *params, char **ret_why);
/* Leaves all pins in place. */
void ebpf_kernel_close(struct ebpf_kernel *k);

/* The programs can make connect() fail with ECONNREFUSED. */
bool ebpf_kernel_can_refuse(const struct ebpf_kernel *k);

struct ebpf_arrays ebpf_kernel_arrays(const struct ebpf_kernel *k);
struct ebpf_sizes ebpf_kernel_sizes(const struct ebpf_kernel *k);

/*
 * Attaches the programs, or puts them into the place of an earlier daemon's.
 * *ret_reattached counts hooks that had been attached and were not any more.
 */
int ebpf_kernel_attach(struct ebpf_kernel *k, unsigned *ret_reattached);
/* True while all hooks are attached to our cgroup. */
bool ebpf_kernel_is_attached(const struct ebpf_kernel *k);

/* False when another process removed pins, and they can be made again. */
bool ebpf_kernel_is_pinned(const struct ebpf_kernel *k);
/*
 * Makes pins that are missing; all links are attached. Without them maps and links work,
 * but do not outlive the daemon.
 */
int ebpf_kernel_pin(struct ebpf_kernel *k);

struct ebpf_other { /* a program of other software at one of our hooks */
	char name[BPF_OBJ_NAME_LEN];
	const char *hook;
	uint32_t id;
	bool is_before; /* it runs before ours */
};
/* Those that are attached to our cgroup itself; not to those above or below. */
void ebpf_kernel_list_others(const struct ebpf_kernel *k,
			     void (*fn)(void *data, const struct ebpf_other *other),
			     void *data);

/* Larger maps with the same content; sockets see either the old or the new ones. */
int ebpf_kernel_grow(struct ebpf_kernel *k, const struct ebpf_sizes *at_least);

/* All elements; the caller frees both arrays. */
int ebpf_kernel_read_frontends(const struct ebpf_kernel *k,
			       struct ebpf_frontend_key **ret_keys,
			       struct ebpf_frontend **ret_values, size_t *ret_n);
/* None of the keys exists. Waits for a grace period if elements were deleted before. */
int ebpf_kernel_add_frontends(struct ebpf_kernel *k, const struct ebpf_frontend_key *keys,
			      const struct ebpf_frontend *values, size_t n);
/* Does the hash have exactly this key? */
bool ebpf_kernel_has_frontend(const struct ebpf_kernel *k,
			      const struct ebpf_frontend_key *key);
int ebpf_kernel_delete_frontends(struct ebpf_kernel *k,
				 const struct ebpf_frontend_key *keys, size_t n);
/* From here on sockets look up again where their next datagram goes. */
void ebpf_kernel_next_epoch(struct ebpf_kernel *k);
/* After this no program holds what was replaced before. Some milliseconds. */
int ebpf_kernel_wait(struct ebpf_kernel *k);
/* The same, only if the next addition would have to. */
int ebpf_kernel_settle(struct ebpf_kernel *k);

/*
 * Removes links, pins and maps below that bpffs. 0 also when there is none; -EXDEV
 * when they serve another network namespace, -EBUSY when a daemon runs.
 */
int ebpf_kernel_cleanup(const char *bpffs_root, unsigned *ret_removed);
