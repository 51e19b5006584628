/*
 * The links between our programs and the cgroup. They are pinned, so that they
 * outlive the daemon; a link that another process detached reports no cgroup.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "bpf/ebpf_owner.h"
#include "bpf/ebpf_private.h"
#include "bpf/hooks.skel.h"
#include "core/cleanup.h"
#include "core/mem.h"

#define MAX_OTHERS 64u /* the kernel's own limit */

char *ebpf_link_path(const struct ebpf_kernel *k, enum ebpf_hook hook)
{
	return xasprintf("%s/link_%s", k->pins, ebpf_hook_name(hook));
}

static bool is_attached(const struct ebpf_kernel *k, const struct bpf_link *link)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);

	return link && bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &len) == 0 &&
	       info.type == BPF_LINK_TYPE_CGROUP && info.cgroup.cgroup_id == k->cgroup_id;
}

static void drop(struct bpf_link **link)
{
	if (*link)
		(void)bpf_link__destroy(*link); /* detaches, unless it is pinned */
	*link = NULL;
}

/* An earlier daemon's link gets our program; false if there is none that is attached here. */
static bool adopt(struct ebpf_kernel *k, enum ebpf_hook hook, const char *path)
{
	struct bpf_link *link = bpf_link__open(path);

	if (!link)
		return false;
	if (!is_attached(k, link) ||
	    bpf_link__update_program(link, ebpf_hook_program(k->hooks, hook)) != 0) {
		drop(&link);
		return false;
	}
	k->links[hook] = link;
	return true;
}

static int attach(struct ebpf_kernel *k, enum ebpf_hook hook, const char *path)
{
	struct bpf_link *link =
		bpf_program__attach_cgroup(ebpf_hook_program(k->hooks, hook),
					   k->cgroup_fd);
	int err;

	if (!link)
		return -errno;
	(void)unlink(path); /* of a link that was detached */
	err = bpf_link__pin(link, path);
	if (err != 0) {
		drop(&link);
		return err;
	}
	k->links[hook] = link;
	return 0;
}

/* A cgroup that was removed and made again is another one. */
static void follow_cgroup(struct ebpf_kernel *k)
{
	_cleanup_(freep) char *why = NULL;

	(void)ebpf_cgroup_enter(k, &why); /* while there is none, attaching says so */
}

int ebpf_kernel_attach(struct ebpf_kernel *k, unsigned *ret_reattached)
{
	unsigned n_reattached = 0;

	follow_cgroup(k);
	/* last those that send sockets to endpoints: the others show their answers by name */
	for (enum ebpf_hook i = EBPF_HOOK_N; i-- > 0;) {
		_cleanup_(freep) char *path = ebpf_link_path(k, i);
		bool was_attached = k->links[i];
		int err;

		if (is_attached(k, k->links[i]))
			continue;
		drop(&k->links[i]);
		if (adopt(k, i, path))
			continue;
		err = attach(k, i, path);
		if (err != 0)
			return err;
		n_reattached += was_attached;
	}
	*ret_reattached = n_reattached;
	return 0;
}

bool ebpf_kernel_is_attached(const struct ebpf_kernel *k)
{
	for (enum ebpf_hook i = 0; i < EBPF_HOOK_N; i++)
		if (!is_attached(k, k->links[i]))
			return false;
	return true;
}

static uint32_t own_id(const struct ebpf_kernel *k, enum ebpf_hook hook)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);

	if (!k->links[hook] ||
	    bpf_obj_get_info_by_fd(bpf_link__fd(k->links[hook]), &info, &len) != 0)
		return 0;
	return info.prog_id;
}

/* False when the program has gone, or only CAP_SYS_ADMIN may look. */
static bool describe(uint32_t id, struct ebpf_other *ret)
{
	_cleanup_(closep) int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);

	ret->id = id;
	(void)snprintf(ret->name, sizeof(ret->name), "without a name");
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) != 0)
		return false;
	if (*info.name)
		memcpy(ret->name, info.name, sizeof(ret->name));
	return true;
}

/* The programs at the cgroup itself; 0 also when they cannot be listed. */
static uint32_t list_programs(const struct ebpf_kernel *k, enum ebpf_hook hook,
			      uint32_t *ret_flags, uint32_t ret_ids[static MAX_OTHERS])
{
	const struct bpf_program *program = ebpf_hook_program(k->hooks, hook);
	uint32_t n = MAX_OTHERS;

	return bpf_prog_query(k->cgroup_fd, bpf_program__expected_attach_type(program), 0,
			      ret_flags, ret_ids, &n) == 0
		       ? n
		       : 0;
}

bool ebpf_find_exclusive(const struct ebpf_kernel *k, struct ebpf_other *ret)
{
	uint32_t ids[MAX_OTHERS], flags;

	for (enum ebpf_hook hook = 0; hook < EBPF_HOOK_N; hook++) {
		if (list_programs(k, hook, &flags, ids) == 0 || flags & BPF_F_ALLOW_MULTI)
			continue;
		*ret = (struct ebpf_other){.hook = ebpf_hook_name(hook)};
		(void)describe(ids[0], ret); /* its id is known in any case */
		return true;
	}
	return false;
}

void ebpf_kernel_list_others(const struct ebpf_kernel *k,
			     void (*fn)(void *data, const struct ebpf_other *other),
			     void *data)
{
	/* one that runs when a socket is closed has no address to see or to change */
	for (enum ebpf_hook hook = 0; hook < EBPF_SOCK_RELEASE; hook++) {
		struct ebpf_other other = {.hook = ebpf_hook_name(hook),
					   .is_before = true};
		uint32_t ids[MAX_OTHERS], flags, own = own_id(k, hook);
		uint32_t n = own ? list_programs(k, hook, &flags, ids) : 0;

		for (uint32_t i = 0; i < n; i++) {
			if (ids[i] == own)
				other.is_before = false;
			else if (describe(ids[i], &other))
				fn(data, &other);
		}
	}
}

int ebpf_kernel_cleanup(const char *bpffs_root, unsigned *ret_removed)
{
	_cleanup_(freep) char *pins = ebpf_pins_path(bpffs_root);
	_cleanup_(closep) int fd = open(pins, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? opendir(pins) : NULL;
	const struct dirent *entry;

	*ret_removed = 0;
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	if (!ebpf_owner_is_self(fd)) {
		(void)closedir(dir);
		return -EXDEV;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		(void)closedir(dir);
		return -EBUSY;
	}
	ebpf_owner_release(fd);
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && unlinkat(fd, entry->d_name, 0) == 0)
			(*ret_removed)++;
	(void)closedir(dir);
	/* rmdir() is not among the calls that the daemon keeps */
	return unlinkat(AT_FDCWD, pins, AT_REMOVEDIR) == 0 ? 0 : -errno;
}
