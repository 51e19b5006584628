/* Shared by the files of ebpf_kernel. */
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/ebpf_kernel.h"
#include "bpf/ebpf_kernel_sock.h"

struct hooks; /* the skeleton of the programs: bpf/hooks.skel.h of the build */

enum ebpf_hook {
	EBPF_CONNECT4,
	EBPF_CONNECT6,
	EBPF_SENDMSG4,
	EBPF_SENDMSG6,
	EBPF_RECVMSG4,
	EBPF_RECVMSG6,
	EBPF_GETPEERNAME4,
	EBPF_GETPEERNAME6,
	EBPF_SOCK_RELEASE,
	EBPF_HOOK_N,
};

struct ebpf_kernel {
	struct hooks *hooks;
	struct ebpf_arrays arrays;
	struct ebpf_sizes sizes;
	struct bpf_link *links[EBPF_HOOK_N]; /* NULL: not attached yet */
	char *pins;			     /* the folder of our pins */
	char *cgroup;			     /* the path that cgroup_fd was opened by */
	int pins_fd, cgroup_fd;		     /* pins_fd holds the lock */
	uint64_t cgroup_id, node_cookie;
	struct ebpf_kernel_sock sock;
	struct ebpf_params params; /* its paths are not used after opening */
	bool has_deleted;	   /* since the last grace period */
	bool is_probe;		   /* nothing is attached */
};

/* Returns err, with *ret_why as one line for people. */
int ebpf_fail(int err, char **ret_why, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Opens what k->cgroup leads to now. */
int ebpf_cgroup_enter(struct ebpf_kernel *k, char **ret_why);

char *ebpf_pins_path(const char *bpffs_root); /* the caller frees it */
/* Makes sure that a BPF filesystem is there. */
int ebpf_pins_mount(const char *bpffs_root, char **ret_why);
/* -EBUSY when a daemon runs. */
int ebpf_pins_check_lock(const char *bpffs_root, char **ret_why);
/* Makes the folder k->pins, and takes the lock on it. */
int ebpf_pins_open(struct ebpf_kernel *k, char **ret_why);

struct bpf_program *ebpf_hook_program(const struct hooks *hooks, enum ebpf_hook hook);
const char *ebpf_hook_name(enum ebpf_hook hook); /* "connect4" */
/* A program that was attached to our cgroup as the only one of its hook. */
bool ebpf_find_exclusive(const struct ebpf_kernel *k, struct ebpf_other *ret);
/* PINS/name; the caller frees it. */
char *ebpf_pin_path(const struct ebpf_kernel *k, const char *name);
char *ebpf_link_path(const struct ebpf_kernel *k, enum ebpf_hook hook); /* the same */

/*
 * Loads the programs with maps of these sizes. Maps that are pinned with the
 * same layout are used as they are, if from is NULL; otherwise those maps of
 * from that do not grow are.
 */
int ebpf_load(const struct ebpf_kernel *k, const struct hooks *from,
	      const struct ebpf_sizes *sizes, struct hooks **ret);
/* Pins the maps that are not pinned yet, or replaces the pins. */
int ebpf_pin_maps(const struct ebpf_kernel *k, struct hooks *hooks);
int ebpf_map_arrays(const struct hooks *hooks, struct ebpf_arrays *ret,
		    struct ebpf_sizes *ret_sizes);
void ebpf_unmap_arrays(struct ebpf_arrays *arrays, const struct ebpf_sizes *sizes);
