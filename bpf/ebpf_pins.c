/*
 * The folder of our pins in a BPF filesystem. The lock on it keeps a second daemon out.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bpf/ebpf_owner.h"
#include "bpf/ebpf_private.h"
#include "core/cleanup.h"
#include "core/mem.h"

#define DEFAULT_BPFFS "/sys/fs/bpf"

static const char *root_of(const char *bpffs_root)
{
	return bpffs_root ? bpffs_root : DEFAULT_BPFFS;
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

char *ebpf_pins_path(const char *bpffs_root)
{
	return xasprintf("%s/sluice", root_of(bpffs_root));
}

/* systemd mounts it on every host; without systemd we do. */
int ebpf_pins_mount(const char *bpffs_root, char **ret_why)
{
	const char *root = root_of(bpffs_root);

	if (!is_bpffs(root) && mount("bpf", root, "bpf", 0, "mode=0700") != 0)
		return ebpf_fail(-ENOTSUP, ret_why,
				 "%s is not a BPF filesystem and cannot become one: %s",
				 root, strerror(errno));
	if (access(root, W_OK) != 0)
		return ebpf_fail(-errno, ret_why, "%s: %s", root, strerror(errno));
	return 0;
}

int ebpf_pins_check_lock(const char *bpffs_root, char **ret_why)
{
	_cleanup_(freep) char *pins = ebpf_pins_path(bpffs_root);
	_cleanup_(closep) int fd = open(pins, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
		return ebpf_fail(-EBUSY, ret_why, "another daemon uses %s", pins);
	return 0;
}

int ebpf_pins_open(struct ebpf_kernel *k, char **ret_why)
{
	_cleanup_(closep) int fd = -1;
	int err;

	if (mkdir(k->pins, 0700) != 0 && errno != EEXIST)
		return ebpf_fail(-errno, ret_why, "%s: %s", k->pins, strerror(errno));
	fd = open(k->pins, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ebpf_fail(-errno, ret_why, "%s: %s", k->pins, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return ebpf_fail(-EBUSY, ret_why, "another daemon uses %s", k->pins);
	err = ebpf_owner_claim(fd, k->node_cookie);
	if (err != 0)
		return ebpf_fail(err, ret_why, "%s: %s", k->pins, strerror(-err));
	if (k->pins_fd >= 0)
		(void)close(k->pins_fd);
	k->pins_fd = take_fd(fd);
	return 0;
}

/* Does the path lead to another folder by now, or to none? */
static bool is_replaced(const struct ebpf_kernel *k)
{
	struct stat now, ours;

	return stat(k->pins, &now) != 0 || fstat(k->pins_fd, &ours) != 0 ||
	       now.st_ino != ours.st_ino || now.st_dev != ours.st_dev;
}

/* "/sys/fs/bpf" of "/sys/fs/bpf/sluice" */
static bool has_bpffs(const struct ebpf_kernel *k)
{
	_cleanup_(freep) char *root = xstrdup(k->pins);

	*strrchr(root, '/') = '\0';
	return is_bpffs(root);
}

bool ebpf_kernel_is_pinned(const struct ebpf_kernel *k)
{
	for (enum ebpf_hook i = 0; i < EBPF_HOOK_N; i++) {
		_cleanup_(freep) char *path = ebpf_link_path(k, i);

		if (access(path, F_OK) != 0)
			/* without the filesystem they cannot be made again */
			return !has_bpffs(k);
	}
	return true;
}

int ebpf_kernel_pin(struct ebpf_kernel *k)
{
	_cleanup_(freep) char *why = NULL;
	int err = is_replaced(k) ? ebpf_pins_open(k, &why)
				 : ebpf_owner_claim(k->pins_fd, k->node_cookie);

	if (err == 0)
		err = ebpf_pin_maps(k, k->hooks);
	for (enum ebpf_hook i = 0; err == 0 && i < EBPF_HOOK_N; i++) {
		_cleanup_(freep) char *path = ebpf_link_path(k, i);

		if (access(path, F_OK) != 0 &&
		    bpf_obj_pin(bpf_link__fd(k->links[i]), path) != 0)
			err = -errno;
	}
	return err;
}
