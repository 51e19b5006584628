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

#include "bpf/ebpf_pod_cgroup.h"
#include "bpf/ebpf_private.h"
#include "bpf/hooks.skel.h"
#include "bpf/optout.skel.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"

#define PREFIX	     "skip_"
#define N_SKIP_HOOKS 4

struct pod {
	char *uid;
	uint64_t cgroup; /* its number; 0: not found */
};

struct ebpf_optout {
	const struct ebpf_kernel *kernel;
	struct optout *programs;
	uint64_t *fixed; /* cgroups that were excluded by path */
	char **paths;	 /* of them */
	size_t n_fixed;
	struct pod *pods;
	size_t n_pods;
	bool knows_pods; /* until then, what an earlier daemon excluded stays */
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

static void free_pods(struct pod *pods, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(pods[i].uid);
	free(pods);
}

static void free_fixed(struct ebpf_optout *o)
{
	for (size_t i = 0; i < o->n_fixed; i++)
		free(o->paths[i]);
	free(o->paths);
	free(o->fixed);
}

void ebpf_optout_free(struct ebpf_optout *o)
{
	if (!o)
		return;
	optout__destroy(o->programs);
	free_fixed(o);
	free_pods(o->pods, o->n_pods);
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

/* Takes a descriptor, or an error. 0 and the cgroup's number, or -errno. */
static int opt_out(const struct ebpf_optout *o, int cgroup, uint64_t *ret_id)
{
	struct bpf_program *const programs[N_SKIP_HOOKS] = {
		o->programs->progs.skip_connect4,
		o->programs->progs.skip_connect6,
		o->programs->progs.skip_sendmsg4,
		o->programs->progs.skip_sendmsg6,
	};
	_cleanup_(closep) int fd = cgroup;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) != 0)
		return -errno;
	for (size_t i = 0; i < N_SKIP_HOOKS; i++) {
		int err = attach_hook(o, programs[i], fd, st.st_ino);

		if (err != 0)
			return err;
	}
	*ret_id = st.st_ino;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Unpins, and so detaches, the programs of cgroups that are not excluded any more. */
static void drop_others(const struct ebpf_optout *o)
{
	size_t n = o->n_fixed;
	_cleanup_(freep) uint64_t *ids = xcalloc(n + o->n_pods + 1, sizeof(*ids));
	const struct dirent *entry;
	DIR *dir;

	for (size_t i = 0; i < n; i++)
		ids[i] = o->fixed[i];
	for (size_t i = 0; i < o->n_pods; i++)
		if (o->pods[i].cgroup)
			ids[n++] = o->pods[i].cgroup;
	qsort(ids, n, sizeof(*ids), compare_ids);
	dir = opendir(o->kernel->pins);
	while (dir && (entry = readdir(dir)) != NULL) {
		unsigned long long number;
		uint64_t id;

		if (sscanf(entry->d_name, PREFIX "%llu_", &number) != 1)
			continue;
		id = number;
		if (!bsearch(&id, ids, n, sizeof(*ids), compare_ids))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		(void)closedir(dir);
}

void ebpf_optout_set(struct ebpf_optout *o, const char *const *paths, size_t n,
		     void (*failed)(void *data, const char *path, int err), void *data)
{
	free_fixed(o);
	o->fixed = xcalloc(n + 1, sizeof(*o->fixed));
	o->paths = xcalloc(n + 1, sizeof(*o->paths));
	o->n_fixed = 0;
	for (size_t i = 0; i < n; i++) {
		int fd = open(paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		int err = opt_out(o, fd >= 0 ? fd : -errno, &o->fixed[o->n_fixed]);

		if (err == 0)
			o->paths[o->n_fixed++] = xstrdup(paths[i]);
		else
			failed(data, paths[i], err);
	}
	if (o->knows_pods)
		drop_others(o);
}

bool ebpf_optout_look(struct ebpf_optout *o)
{
	bool has_changed = false, is_pending = false;

	for (size_t i = 0; i < o->n_pods; i++) {
		struct pod *pod = &o->pods[i];
		int fd = ebpf_pod_cgroup_open(o->kernel->cgroup_fd, pod->uid);
		uint64_t before = pod->cgroup;
		int err = opt_out(o, fd, &pod->cgroup);

		if (err != 0)
			pod->cgroup = 0;
		if (err != 0 && err != -ENOENT && before)
			log_warn("ebpf: the cgroup of Pod %s cannot be excluded: %s",
				 pod->uid, strerror(-err));
		is_pending |= !pod->cgroup;
		has_changed |= pod->cgroup != before;
	}
	if (has_changed)
		drop_others(o);
	return is_pending;
}

void ebpf_optout_list(const struct ebpf_optout *o,
		      void (*fn)(void *data, const char *what), void *data)
{
	for (size_t i = 0; i < o->n_fixed; i++) {
		_cleanup_(freep) char *line =
			xasprintf("the cgroup %s (--ebpf-exclude-cgroup)", o->paths[i]);

		fn(data, line);
	}
	for (size_t i = 0; i < o->n_pods; i++) {
		_cleanup_(freep) char *line =
			xasprintf("the Pod with the UID %s (sluice.io/socket-lb)%s",
				  o->pods[i].uid,
				  o->pods[i].cgroup ? "" : ", once its cgroup is found");

		fn(data, line);
	}
}

bool ebpf_optout_set_pods(struct ebpf_optout *o, const char *const *uids, size_t n)
{
	struct pod *pods = xcalloc(n + 1, sizeof(*pods));
	bool is_pending;

	for (size_t i = 0; i < n; i++)
		pods[i].uid = xstrdup(uids[i]);
	free_pods(o->pods, o->n_pods);
	o->pods = pods;
	o->n_pods = n;
	o->knows_pods = true;
	is_pending = ebpf_optout_look(o);
	drop_others(o);
	return is_pending;
}
