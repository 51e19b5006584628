/*
 * The kernel runs the program for each socket while an iterator is read. Those
 * over UDP and TCP see the namespace that they are created in, so this thread
 * enters one after the other, and comes back.
 */
#include "bpf/ebpf_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/closer.skel.h"
#include "bpf/ebpf_netns.h"
#include "bpf/ebpf_private.h"
#include "bpf/hooks.skel.h"
#include "core/cleanup.h"
#include "core/mem.h"

#define READ_LEN (256 * sizeof(struct ebpf_netns))

struct ebpf_sockets {
	const struct ebpf_kernel *kernel;
	struct closer *programs;
	struct bpf_link *find, *udp, *tcp;
	int home; /* our network namespace */
	ino_t home_inode;
};

struct ns_list {
	struct ebpf_netns *items;
	size_t n, cap;
};

static void unload(struct ebpf_sockets *s)
{
	(void)bpf_link__destroy(s->find);
	(void)bpf_link__destroy(s->udp);
	(void)bpf_link__destroy(s->tcp);
	s->find = s->udp = s->tcp = NULL;
	if (s->programs)
		closer__destroy(s->programs);
	s->programs = NULL;
}

static int reuse(struct bpf_map *map, const struct bpf_map *from)
{
	int err = bpf_map__set_max_entries(map, bpf_map__max_entries(from));

	return err == 0 ? bpf_map__reuse_fd(map, bpf_map__fd(from)) : err;
}

static int load(struct ebpf_sockets *s)
{
	const struct ebpf_kernel *k = s->kernel;
	union bpf_iter_link_info info = {
		.map.map_fd = (uint32_t)bpf_map__fd(k->hooks->maps.sockets),
	};
	struct bpf_iter_attach_opts opts;
	int err;

	memset(&opts, 0, sizeof(opts)); /* libbpf insists on zeroed padding */
	opts.sz = sizeof(opts);
	opts.link_info = &info;
	opts.link_info_len = sizeof(info);
	s->programs = closer__open();
	if (!s->programs)
		return -errno;
	err = reuse(s->programs->maps.sockets, k->hooks->maps.sockets);
	if (err == 0)
		err = reuse(s->programs->maps.endpoints, k->hooks->maps.endpoints);
	if (err == 0)
		err = reuse(s->programs->maps.frontends, k->hooks->maps.frontends);
	if (err == 0)
		err = closer__load(s->programs);
	if (err != 0)
		return err;
	s->find = bpf_program__attach_iter(s->programs->progs.find_namespaces, &opts);
	s->udp = bpf_program__attach_iter(s->programs->progs.close_udp, NULL);
	s->tcp = bpf_program__attach_iter(s->programs->progs.close_tcp, NULL);
	return s->find && s->udp && s->tcp ? 0 : -errno;
}

int ebpf_sockets_new(const struct ebpf_kernel *kernel, struct ebpf_sockets **ret,
		     char **ret_why)
{
	struct ebpf_sockets *s = xcalloc(1, sizeof(*s));
	struct stat st = {0};
	int err = 0;

	s->kernel = kernel;
	s->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (s->home < 0 || fstat(s->home, &st) != 0)
		err = -errno;
	s->home_inode = st.st_ino;
	if (err == 0)
		err = load(s);
	if (err != 0) {
		*ret_why = xasprintf("%s%s", strerror(-err),
				     err == -EPERM ? "" : " (it takes Linux 6.5)");
		ebpf_sockets_free(s);
		return err;
	}
	*ret = s;
	return 0;
}

void ebpf_sockets_free(struct ebpf_sockets *s)
{
	if (!s)
		return;
	unload(s);
	if (s->home >= 0)
		(void)close(s->home);
	free(s);
}

void ebpf_sockets_renew(struct ebpf_sockets *s)
{
	unload(s);
}

int ebpf_sockets_load(struct ebpf_sockets *s)
{
	return s->programs ? 0 : load(s);
}

static void add(struct ns_list *list, const struct ebpf_netns *found)
{
	for (size_t i = 0; i < list->n; i++)
		if (memcmp(&list->items[i], found, sizeof(*found)) == 0)
			return;
	list->items = xgrow(list->items, list->n, &list->cap, sizeof(*list->items));
	list->items[list->n++] = *found;
}

/* Runs an iterator to its end; what it wrote goes into the list, if there is one. */
static int run(const struct bpf_link *link, struct ns_list *list)
{
	_cleanup_(closep) int fd = bpf_iter_create(bpf_link__fd(link));
	unsigned char bytes[READ_LEN];
	size_t len = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, bytes + len, sizeof(bytes) - len);
		size_t used = 0;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		len += (size_t)n;
		for (; list && len - used >= sizeof(struct ebpf_netns);
		     used += sizeof(struct ebpf_netns)) {
			struct ebpf_netns found;

			memcpy(&found, bytes + used, sizeof(found));
			add(list, &found);
		}
		memmove(bytes, bytes + used, len - used);
		len = list ? len - used : 0;
	}
}

static int close_in(const struct ebpf_sockets *s, const struct ebpf_netns *where)
{
	const struct bpf_link *iterator = where->has_tcp ? s->tcp : s->udp;
	_cleanup_(closep) int fd = -1;
	int err;

	if (where->inode == s->home_inode)
		return run(iterator, NULL);
	fd = ebpf_netns_open(where->cookie, where->inode);
	if (fd < 0)
		return fd;
	if (setns(fd, CLONE_NEWNET) != 0)
		return -errno;
	err = run(iterator, NULL);
	if (setns(s->home, CLONE_NEWNET) != 0)
		abort(); /* every later socket would be in the wrong namespace */
	return err;
}

int ebpf_sockets_close_stale(struct ebpf_sockets *s, struct ebpf_closed *ret)
{
	struct ns_list list = {0};
	uint64_t before;
	int err = ebpf_sockets_load(s);

	if (err != 0)
		return err;
	before = s->programs->bss->n_closed;
	memset(s->programs->bss->written, 0, sizeof(s->programs->bss->written));
	err = run(s->find, &list);
	*ret = (struct ebpf_closed){.n_namespaces = (unsigned)list.n};
	for (size_t i = 0; i < list.n; i++)
		if (close_in(s, &list.items[i]) != 0)
			ret->n_unreachable++;
	ret->n_sockets = s->programs->bss->n_closed - before;
	free(list.items);
	return err;
}
