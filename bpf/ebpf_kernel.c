/*
 * Opening, growing, closing. A kernel that is open has its arrays mapped and
 * holds the lock on its pins; nothing is attached before ebpf_kernel_attach().
 */
#include "bpf/ebpf_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bpf/ebpf_cgroup.h"
#include "bpf/ebpf_netns.h"
#include "bpf/ebpf_owner.h"
#include "bpf/ebpf_private.h"
#include "bpf/hooks.skel.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"

#define DEFAULT_BPFFS "/sys/fs/bpf"
#define PINS	      "sluice"

static const struct ebpf_sizes first_sizes = {
	.frontends = 4096,
	.services = 2048,
	.slots = 8192,
	.endpoints = 8192,
};

static int fail(int err, char **ret_why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(ret_why, fmt, ap) < 0)
		abort();
	va_end(ap);
	return err;
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

/* systemd mounts it on every host; without systemd we do. */
static int mount_bpffs(const char *root, char **ret_why)
{
	if (!root)
		root = DEFAULT_BPFFS;
	if (!is_bpffs(root) && mount("bpf", root, "bpf", 0, "mode=0700") != 0)
		return fail(-ENOTSUP, ret_why,
			    "%s is not a BPF filesystem and cannot become one: %s", root,
			    strerror(errno));
	if (access(root, W_OK) != 0)
		return fail(-errno, ret_why, "%s: %s", root, strerror(errno));
	return 0;
}

static int open_pins(struct ebpf_kernel *k, const char *root, char **ret_why)
{
	int err = mount_bpffs(root, ret_why);

	if (err != 0)
		return err;
	k->pins = xasprintf("%s/" PINS, root ? root : DEFAULT_BPFFS);
	if (mkdir(k->pins, 0700) != 0 && errno != EEXIST)
		return fail(-errno, ret_why, "%s: %s", k->pins, strerror(errno));
	k->pins_fd = open(k->pins, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->pins_fd < 0)
		return fail(-errno, ret_why, "%s: %s", k->pins, strerror(errno));
	if (flock(k->pins_fd, LOCK_EX | LOCK_NB) != 0)
		return fail(-EBUSY, ret_why, "another daemon uses %s", k->pins);
	return ebpf_owner_claim(k->pins_fd, k->node_cookie);
}

/* The lock of a daemon that runs. */
static int check_lock(const char *root, char **ret_why)
{
	_cleanup_(freep) char *pins = xasprintf("%s/" PINS, root ? root : DEFAULT_BPFFS);
	_cleanup_(closep) int fd = open(pins, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
		return fail(-EBUSY, ret_why, "another daemon uses %s", pins);
	return 0;
}

static int open_cgroup(struct ebpf_kernel *k, const char *root, char **ret_why)
{
	_cleanup_(freep) char *found = root ? NULL : ebpf_cgroup_find();
	const char *path = root ? root : found;
	struct stat st;
	struct statfs fs;

	if (!path)
		return fail(-ENOTSUP, ret_why, "cgroup v2 is not mounted");
	k->cgroup_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->cgroup_fd < 0)
		return fail(-errno, ret_why, "%s: %s", path, strerror(errno));
	if (fstatfs(k->cgroup_fd, &fs) != 0 || fs.f_type != CGROUP2_SUPER_MAGIC ||
	    fstat(k->cgroup_fd, &st) != 0)
		return fail(-ENOTSUP, ret_why, "%s is not in cgroup v2", path);
	if (!root && !ebpf_cgroup_is_real_root(k->cgroup_fd))
		log_warn("ebpf: %s is not the root of all cgroups: only the sockets of "
			 "processes in it are sent to endpoints directly",
			 path);
	k->cgroup_id = st.st_ino;
	return 0;
}

/* The kernel would refuse ours beside it. */
static int check_exclusive(struct ebpf_kernel *k, char **ret_why)
{
	struct ebpf_other other;

	if (!ebpf_find_exclusive(k, &other))
		return 0;
	return fail(-EPERM, ret_why,
		    "the BPF program %s (id %u) of other software is attached to the "
		    "cgroup at %s and allows no other",
		    other.name, other.id, other.hook);
}

static int read_node_cookie(struct ebpf_kernel *k, char **ret_why)
{
	int err = ebpf_netns_cookie(&k->node_cookie);

	return err == 0 ? 0
			: fail(err, ret_why,
			       "the kernel has no network namespace cookies (5.14): %s",
			       strerror(-err));
}

static int load_first(struct ebpf_kernel *k, char **ret_why)
{
	int err = ebpf_load(k, NULL, &first_sizes, &k->hooks);

	if (err != 0)
		return fail(
			err, ret_why, "the kernel refuses the programs: %s%s",
			strerror(-err),
			err == -EPERM || err == -EACCES
				? " (CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are needed)"
				: "");
	err = ebpf_map_arrays(k->hooks, &k->arrays, &k->sizes);
	if (err != 0)
		return fail(err, ret_why, "the maps cannot be mapped: %s",
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
		err = mount_bpffs(params->bpffs_root, ret_why);
	if (err == 0)
		err = check_lock(params->bpffs_root, ret_why);
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
		err = open_pins(k, params->bpffs_root, ret_why);
	if (err == 0)
		err = load_first(k, ret_why);
	if (err == 0)
		err = check_exclusive(k, ret_why);
	if (err == 0) {
		err = ebpf_pin_maps(k, k->hooks);
		if (err != 0)
			(void)fail(err, ret_why, "%s: %s", k->pins, strerror(-err));
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

void ebpf_kernel_wait(struct ebpf_kernel *k)
{
	/* programs run in RCU read-side sections; this waits for all of them */
	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	k->has_deleted = false;
}

void ebpf_kernel_settle(struct ebpf_kernel *k)
{
	if (k->has_deleted)
		ebpf_kernel_wait(k);
}
