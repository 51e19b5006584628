/*
 * One link for each hook and cgroup, pinned as skip_CGROUPID_HOOK: the pins are
 * the list, so that a restart finds what an earlier daemon did.
 */
#include "bpf/ebpf_optout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bpf/ebpf_private.h"
#include "bpf/hooks.skel.h"
#include "bpf/optout.skel.h"
#include "core/cleanup.h"
#include "core/mem.h"

#define PREFIX	     "skip_"
#define N_SKIP_HOOKS 4

struct ebpf_optout {
	const struct ebpf_kernel *kernel;
	struct optout *programs;
};

int ebpf_optout_new(const struct ebpf_kernel *kernel, struct ebpf_optout **ret)
{
	struct optout *programs = optout__open();
	int err;

	if (!programs)
		return -errno;
	err = bpf_map__reuse_fd(programs->maps.sockets,
				bpf_map__fd(kernel->hooks->maps.sockets));
	if (err == 0)
		err = optout__load(programs);
	if (err != 0) {
		optout__destroy(programs);
		return err;
	}
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->kernel = kernel;
	(*ret)->programs = programs;
	return 0;
}

void ebpf_optout_free(struct ebpf_optout *o)
{
	if (!o)
		return;
	optout__destroy(o->programs);
	free(o);
}

static char *pin_path(const struct ebpf_optout *o, uint64_t cgroup, const char *hook)
{
	_cleanup_(freep) char *name =
		xasprintf(PREFIX "%llu_%s", (unsigned long long)cgroup, hook);

	return ebpf_pin_path(o->kernel, name);
}

static int attach_hook(const struct ebpf_optout *o, struct bpf_program *program,
		       int cgroup, uint64_t id)
{
	_cleanup_(freep) char *path = pin_path(o, id, bpf_program__name(program));
	struct bpf_link *link;
	int err;

	if (access(path, F_OK) == 0)
		return 0; /* an earlier daemon's, or ours */
	link = bpf_program__attach_cgroup(program, cgroup);
	if (!link)
		return -errno;
	err = bpf_link__pin(link, path);
	(void)bpf_link__destroy(link); /* the pin holds it */
	return err;
}

/* 0 and the cgroup's number, or -errno. */
static int opt_out(const struct ebpf_optout *o, const char *path, uint64_t *ret_id)
{
	struct bpf_program *const programs[N_SKIP_HOOKS] = {
		o->programs->progs.skip_connect4,
		o->programs->progs.skip_connect6,
		o->programs->progs.skip_sendmsg4,
		o->programs->progs.skip_sendmsg6,
	};
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return -errno;
	for (size_t i = 0; i < N_SKIP_HOOKS; i++) {
		int err = attach_hook(o, programs[i], fd, st.st_ino);

		if (err != 0)
			return err;
	}
	*ret_id = st.st_ino;
	return 0;
}

static bool is_in(const uint64_t *ids, size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/* Unpins, and so detaches, what is not in the list any more. */
static void drop_others(const struct ebpf_optout *o, const uint64_t *ids, size_t n)
{
	DIR *dir = opendir(o->kernel->pins);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL) {
		unsigned long long id;

		if (sscanf(entry->d_name, PREFIX "%llu_", &id) == 1 && !is_in(ids, n, id))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		(void)closedir(dir);
}

void ebpf_optout_set(struct ebpf_optout *o, const char *const *paths, size_t n,
		     void (*failed)(void *data, const char *path, int err), void *data)
{
	_cleanup_(freep) uint64_t *ids = xcalloc(n + 1, sizeof(*ids));
	size_t n_ids = 0;

	for (size_t i = 0; i < n; i++) {
		int err = opt_out(o, paths[i], &ids[n_ids]);

		if (err == 0)
			n_ids++;
		else
			failed(data, paths[i], err);
	}
	drop_others(o, ids, n_ids);
}
