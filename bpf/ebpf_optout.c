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

struct target {
	char *name;	 /* a path, or the UID of a Pod */
	uint64_t cgroup; /* its number; 0: not found */
	int err;	 /* of the last attempt */
};

struct target_list {
	struct target *items;
	size_t n;
};

struct ebpf_optout {
	struct ebpf_kernel *kernel;
	struct optout *programs;
	struct target_list paths, pods;
	bool knows_pods; /* until then, what an earlier daemon excluded stays */
};

/* "skip_CGROUPID_HOOK" */
static struct bpf_program *program_of(const struct ebpf_optout *o, const char *pin)
{
	const char *hook = strchr(pin + strlen(PREFIX), '_');

	return hook ? bpf_object__find_program_by_name(o->programs->obj, hook + 1) : NULL;
}

void ebpf_optout_repair(struct ebpf_optout *o)
{
	DIR *dir = opendir(o->kernel->pins);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL) {
		_cleanup_(freep) char *path = ebpf_pin_path(o->kernel, entry->d_name);
		struct bpf_program *program;
		struct bpf_link *link;

		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		program = program_of(o, entry->d_name);
		link = bpf_link__open(path);
		if (!link || !program || bpf_link__update_program(link, program) != 0)
			(void)unlinkat(dirfd(dir), entry->d_name, 0); /* detached */
		(void)bpf_link__destroy(link); /* the pin holds it */
	}
	if (dir)
		(void)closedir(dir);
	(void)ebpf_optout_look(o);
}

int ebpf_optout_new(struct ebpf_kernel *kernel, struct ebpf_optout **ret)
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
	/* those of an earlier daemon mark sockets in its maps, which may not be ours */
	ebpf_optout_repair(*ret);
	return 0;
}

static void set_names(struct target_list *list, const char *const *names, size_t n)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i].name);
	free(list->items);
	*list = (struct target_list){xcalloc(n + 1, sizeof(*list->items)), n};
	for (size_t i = 0; i < n; i++)
		list->items[i].name = xstrdup(names[i]);
}

void ebpf_optout_free(struct ebpf_optout *o)
{
	if (!o)
		return;
	optout__destroy(o->programs);
	set_names(&o->paths, NULL, 0);
	free(o->paths.items);
	set_names(&o->pods, NULL, 0);
	free(o->pods.items);
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
	ebpf_kernel_next_epoch(o->kernel); /* of sockets that were decided before */
	*ret_id = st.st_ino;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static size_t list_cgroups(const struct target_list *list, uint64_t *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		if (list->items[i].cgroup)
			ret[n++] = list->items[i].cgroup;
	return n;
}

/* Unpins, and so detaches, the programs of cgroups that are not excluded any more. */
static void drop_others(const struct ebpf_optout *o)
{
	_cleanup_(freep) uint64_t *ids =
		xcalloc(o->paths.n + o->pods.n + 1, sizeof(*ids));
	size_t n = list_cgroups(&o->paths, ids);
	const struct dirent *entry;
	DIR *dir;

	if (!o->knows_pods)
		return;
	n += list_cgroups(&o->pods, ids + n);
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

static int open_path(const struct ebpf_optout *o, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fd : -errno;
}

static int open_pod(const struct ebpf_optout *o, const char *uid)
{
	return ebpf_pod_cgroup_open(o->kernel->cgroup_fd, uid);
}

/* A new error is logged, but that a Pod has no cgroup yet. */
static void note_error(struct target *t, int err, bool is_pod)
{
	bool is_usual = !err || (is_pod && err == -ENOENT);

	if (t->err != err && !is_usual)
		log_warn("ebpf: %s %s cannot be excluded: %s; retrying",
			 is_pod ? "the cgroup of Pod" : "cgroup", t->name,
			 strerror(-err));
	t->err = err;
}

/* True when one of them has another cgroup than before, or none. */
static bool look(const struct ebpf_optout *o, const struct target_list *list,
		 int (*open_target)(const struct ebpf_optout *o, const char *name))
{
	bool has_changed = false;

	for (size_t i = 0; i < list->n; i++) {
		struct target *t = &list->items[i];
		uint64_t before = t->cgroup;
		int err = opt_out(o, open_target(o, t->name), &t->cgroup);

		if (err != 0)
			t->cgroup = 0;
		note_error(t, err, list == &o->pods);
		has_changed |= t->cgroup != before;
	}
	return has_changed;
}

bool ebpf_optout_look(struct ebpf_optout *o)
{
	bool has_changed = look(o, &o->paths, open_path), is_pending = false;

	has_changed |= look(o, &o->pods, open_pod);
	if (has_changed)
		drop_others(o);
	for (size_t i = 0; i < o->pods.n; i++)
		is_pending |= !o->pods.items[i].cgroup;
	return is_pending;
}

static void list_targets(const struct target_list *list, const char *format,
			 void (*fn)(void *data, const char *what), void *data)
{
	for (size_t i = 0; i < list->n; i++) {
		_cleanup_(freep) char *what =
			xasprintf(format, list->items[i].name,
				  list->items[i].cgroup ? ""
							: ", once its cgroup is found");

		fn(data, what);
	}
}

void ebpf_optout_list(const struct ebpf_optout *o,
		      void (*fn)(void *data, const char *what), void *data)
{
	list_targets(&o->paths, "the cgroup %s (--ebpf-exclude-cgroup)%s", fn, data);
	list_targets(&o->pods, "the Pod with the UID %s (sluice.io/socket-lb)%s", fn,
		     data);
}

void ebpf_optout_set_paths(struct ebpf_optout *o, const char *const *paths, size_t n)
{
	set_names(&o->paths, paths, n);
	(void)ebpf_optout_look(o);
}

bool ebpf_optout_set_pods(struct ebpf_optout *o, const char *const *uids, size_t n)
{
	bool is_pending;

	set_names(&o->pods, uids, n);
	o->knows_pods = true;
	is_pending = ebpf_optout_look(o);
	drop_others(o);
	return is_pending;
}
