/*
 * Opening, growing, closing. A kernel that is open has its arrays mapped and
 * holds the lock on its pins; nothing is attached before ebpf_kernel_attach().
 */
#include "bpf/ebpf_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bpf/ebpf_cgroup.h"
#include "bpf/ebpf_grace.h"
#include "bpf/ebpf_netns.h"
#include "bpf/ebpf_private.h"
#include "bpf/hooks.skel.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"

static const struct ebpf_sizes first_sizes = {
	.frontends = 4096,
	.services = 2048,
	.slots = 8192,
	.endpoints = 8192,
};

int ebpf_fail(int err, char **ret_why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(ret_why, fmt, ap) < 0)
		abort();
	va_end(ap);
	return err;
}

int ebpf_cgroup_enter(struct ebpf_kernel *k, char **ret_why)
{
	_cleanup_(closep) int fd = open(k->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	struct statfs fs;

	if (fd < 0)
		return ebpf_fail(-errno, ret_why, "%s: %s", k->cgroup, strerror(errno));
	if (fstatfs(fd, &fs) != 0 || fs.f_type != CGROUP2_SUPER_MAGIC ||
	    fstat(fd, &st) != 0)
		return ebpf_fail(-ENOTSUP, ret_why, "%s is not in cgroup v2", k->cgroup);
	if (k->cgroup_fd >= 0)
		(void)close(k->cgroup_fd);
	k->cgroup_fd = take_fd(fd);
	k->cgroup_id = st.st_ino;
	return 0;
}

static int open_cgroup(struct ebpf_kernel *k, const char *root, char **ret_why)
{
	int err;

	k->cgroup = root ? xstrdup(root) : ebpf_cgroup_find();
	if (!k->cgroup)
		return ebpf_fail(-ENOTSUP, ret_why, "cgroup v2 is not mounted");
	err = ebpf_cgroup_enter(k, ret_why);
	if (err == 0 && !root && !ebpf_cgroup_is_real_root(k->cgroup_fd))
		log_warn("ebpf: %s is not the root of all cgroups: only the sockets of "
			 "processes in it are sent to endpoints directly",
			 k->cgroup);
	return err;
}

/* The kernel would refuse ours beside it. */
static int check_exclusive(struct ebpf_kernel *k, char **ret_why)
{
	struct ebpf_other other;

	if (!ebpf_find_exclusive(k, &other))
		return 0;
	return ebpf_fail(
		-EPERM, ret_why,
		"the BPF program %s (id %u) of other software is attached to the "
		"cgroup at %s and allows no other",
		other.name, other.id, other.hook);
}

static int read_node_cookie(struct ebpf_kernel *k, char **ret_why)
{
	int err = ebpf_netns_cookie(&k->node_cookie);

	return err == 0
		       ? 0
		       : ebpf_fail(
				 err, ret_why,
				 "the kernel has no network namespace cookies (5.14): %s",
				 strerror(-err));
}

static int load_first(struct ebpf_kernel *k, char **ret_why)
{
	int err = ebpf_load(k, NULL, &first_sizes, &k->hooks);

	if (err != 0 && k->sock.cast) { /* a kernel that wants more for it than ours */
		k->sock.cast = 0;
		err = ebpf_load(k, NULL, &first_sizes, &k->hooks);
	}
	if (err != 0)
		return ebpf_fail(
			err, ret_why, "the kernel refuses the programs: %s%s",
			strerror(-err),
			err == -EPERM || err == -EACCES
				? " (CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are needed)"
				: "");
	err = ebpf_map_arrays(k->hooks, &k->arrays, &k->sizes);
	if (err != 0)
		return ebpf_fail(err, ret_why, "the maps cannot be mapped: %s",
				 strerror(-err));
	return 0;
}

static int discard(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

static struct ebpf_kernel *kernel_new(const struct ebpf_params *params)
{
	struct ebpf_kernel *k = xcalloc(1, sizeof(*k));

	k->pins_fd = k->cgroup_fd = -1;
	k->params = *params;
	(void)libbpf_set_print(
		discard); /* errors are returned, with one line for people */
	return k;
}

int ebpf_kernel_probe(const struct ebpf_params *params, char **ret_why)
{
	struct ebpf_kernel *k = kernel_new(params);
	int err = open_cgroup(k, params->cgroup_root, ret_why);

	k->is_probe = true;
	if (err == 0)
		err = ebpf_pins_mount(params->bpffs_root, ret_why);
	if (err == 0)
		err = ebpf_pins_check_lock(params->bpffs_root, ret_why);
	if (err == 0)
		err = read_node_cookie(k, ret_why);
	if (err == 0)
		err = load_first(k, ret_why);
	if (err == 0)
		err = check_exclusive(k, ret_why);
	ebpf_kernel_close(k);
	return err;
}

int ebpf_kernel_open(const struct ebpf_params *params, struct ebpf_kernel **ret,
		     char **ret_why)
{
	struct ebpf_kernel *k = kernel_new(params);
	int err = open_cgroup(k, params->cgroup_root, ret_why);

	if (err == 0)
		err = read_node_cookie(k, ret_why);
	if (err == 0)
		err = ebpf_pins_mount(params->bpffs_root, ret_why);
	if (err == 0) {
		k->pins = ebpf_pins_path(params->bpffs_root);
		err = ebpf_pins_open(k, ret_why);
	}
	if (err == 0 && !params->is_plain)
		k->sock = ebpf_kernel_sock_find();
	if (err == 0)
		err = load_first(k, ret_why);
	if (err == 0)
		err = check_exclusive(k, ret_why);
	if (err == 0) {
		err = ebpf_pin_maps(k, k->hooks);
		if (err != 0)
			(void)ebpf_fail(err, ret_why, "%s: %s", k->pins, strerror(-err));
	}
	if (err != 0) {
		ebpf_kernel_close(k);
		return err;
	}
	*ret = k;
	return 0;
}

void ebpf_kernel_close(struct ebpf_kernel *k)
{
	if (!k)
		return;
	for (enum ebpf_hook i = 0; i < EBPF_HOOK_N; i++)
		(void)bpf_link__destroy(k->links[i]); /* closes it; the pin holds it */
	ebpf_unmap_arrays(&k->arrays, &k->sizes);
	if (k->hooks)
		hooks__destroy(k->hooks);
	if (k->pins_fd >= 0)
		(void)close(k->pins_fd);
	if (k->cgroup_fd >= 0)
		(void)close(k->cgroup_fd);
	free(k->pins);
	free(k->cgroup);
	free(k);
}

bool ebpf_kernel_can_refuse(const struct ebpf_kernel *k)
{
	return k->hooks->rodata->can_refuse;
}

struct ebpf_arrays ebpf_kernel_arrays(const struct ebpf_kernel *k)
{
	return k->arrays;
}

struct ebpf_sizes ebpf_kernel_sizes(const struct ebpf_kernel *k)
{
	return k->sizes;
}

void ebpf_kernel_next_epoch(struct ebpf_kernel *k)
{
	uint32_t next = k->hooks->bss->epoch + EBPF_EPOCH_STEP;

	__atomic_store_n(&k->hooks->bss->epoch, next ? next : EBPF_EPOCH_STEP,
			 __ATOMIC_RELEASE);
}

int ebpf_kernel_wait(struct ebpf_kernel *k)
{
	int err = ebpf_grace_wait();

	if (err == 0)
		k->has_deleted = false;
	return err;
}

int ebpf_kernel_settle(struct ebpf_kernel *k)
{
	return k->has_deleted ? ebpf_kernel_wait(k) : 0;
}
