#include "bpf/ebpf_pod_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"

static const char *const classes[] = {"", "burstable", "besteffort"};
static const char *const kubelet_roots[] = {"", "kubelet"}; /* the latter is kind's */

static char *cgroupfs_path(const char *root, const char *class, const char *uid)
{
	return xasprintf("%s%skubepods/%s%spod%s", root, *root ? "/" : "", class,
			 *class ? "/" : "", uid);
}

/* Each slice has the names of those above it in front; dashes are the separators. */
static char *systemd_path(const char *root, const char *class, const char *uid)
{
	_cleanup_(freep) char *plain = xstrdup(uid);
	_cleanup_(freep) char *top = xasprintf("%s%skubepods", root, *root ? "-" : "");
	_cleanup_(freep) char *outer = *root ? xasprintf("%s.slice/", root) : xstrdup("");

	for (char *c = plain; *c; c++)
		if (*c == '-')
			*c = '_';
	if (!*class)
		return xasprintf("%s%s.slice/%s-pod%s.slice", outer, top, top, plain);
	return xasprintf("%s%s.slice/%s-%s.slice/%s-%s-pod%s.slice", outer, top, top,
			 class, top, class, plain);
}

/* Takes the path. */
static int open_path(int root, char *path)
{
	int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = errno;

	free(path);
	return fd >= 0 ? fd : -err;
}

int ebpf_pod_cgroup_open(int root, const char *uid)
{
	int fd = -ENOENT;

	for (size_t i = 0; i < N_ELEMENTS(kubelet_roots); i++)
		for (size_t k = 0; k < N_ELEMENTS(classes); k++) {
			fd = open_path(root,
				       systemd_path(kubelet_roots[i], classes[k], uid));
			if (fd == -ENOENT)
				fd = open_path(root, cgroupfs_path(kubelet_roots[i],
								   classes[k], uid));
			if (fd != -ENOENT)
				return fd;
		}
	return fd;
}
