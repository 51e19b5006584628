/*
 * Loading: which maps are reused, how large the others are, and what the
 * programs know of this node.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "bpf/ebpf_private.h"
#include "bpf/hooks.skel.h"
#include "core/cleanup.h"
#include "core/hash.h"
#include "core/mem.h"

#define N_MAPS 9

/* Do they grow? Those that do are made new with larger sizes, the others stay. */
struct map_use {
	struct bpf_map *map;
	uint32_t size; /* 0: as it is */
};

struct bpf_program *ebpf_hook_program(const struct hooks *hooks, enum ebpf_hook hook)
{
	struct bpf_program *const programs[EBPF_HOOK_N] = {
		[EBPF_CONNECT4] = hooks->progs.connect4,
		[EBPF_CONNECT6] = hooks->progs.connect6,
		[EBPF_SENDMSG4] = hooks->progs.sendmsg4,
		[EBPF_SENDMSG6] = hooks->progs.sendmsg6,
		[EBPF_RECVMSG4] = hooks->progs.recvmsg4,
		[EBPF_RECVMSG6] = hooks->progs.recvmsg6,
		[EBPF_GETPEERNAME4] = hooks->progs.getpeername4,
		[EBPF_GETPEERNAME6] = hooks->progs.getpeername6,
		[EBPF_SOCK_RELEASE] = hooks->progs.sock_release,
	};

	return programs[hook];
}

const char *ebpf_hook_name(enum ebpf_hook hook)
{
	static const char *const names[EBPF_HOOK_N] = {
		[EBPF_CONNECT4] = "connect4",
		[EBPF_CONNECT6] = "connect6",
		[EBPF_SENDMSG4] = "sendmsg4",
		[EBPF_SENDMSG6] = "sendmsg6",
		[EBPF_RECVMSG4] = "recvmsg4",
		[EBPF_RECVMSG6] = "recvmsg6",
		[EBPF_GETPEERNAME4] = "getpeername4",
		[EBPF_GETPEERNAME6] = "getpeername6",
		[EBPF_SOCK_RELEASE] = "sock_release",
	};

	return names[hook];
}

char *ebpf_pin_path(const struct ebpf_kernel *k, const char *name)
{
	return xasprintf("%s/%s", k->pins, name);
}

static size_t list_maps(const struct hooks *h, const struct ebpf_sizes *sizes,
			struct map_use ret[static N_MAPS])
{
	const struct map_use maps[N_MAPS] = {
		{h->maps.frontends, sizes->frontends},
		{h->maps.services, sizes->services},
		{h->maps.slots, sizes->slots},
		{h->maps.endpoints, sizes->endpoints},
		{h->maps.affinity, 0},
		{h->maps.connections, 0},
		{h->maps.sockets, 0},
		{h->maps.more_routes, 0},
		{h->maps.meta, 0},
	};

	memcpy(ret, maps, sizeof(maps));
	return N_MAPS;
}

static bool has_layout(const struct bpf_map *map, const struct bpf_map_info *info)
{
	return info->type == bpf_map__type(map) &&
	       info->key_size == bpf_map__key_size(map) &&
	       info->value_size == bpf_map__value_size(map) &&
	       info->map_flags == bpf_map__map_flags(map);
}

/* An open map that is pinned there and fits, or -1. */
static int open_pinned(const struct ebpf_kernel *k, const struct bpf_map *map,
		       uint32_t *ret_size)
{
	_cleanup_(freep) char *path = ebpf_pin_path(k, bpf_map__name(map));
	_cleanup_(closep) int fd = bpf_obj_get(path);
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) != 0 ||
	    !has_layout(map, &info))
		return -1;
	*ret_size = info.max_entries;
	return take_fd(fd);
}

/* Are there maps of this very layout? */
static bool is_known_version(const struct ebpf_kernel *k, const struct hooks *hooks)
{
	const uint32_t key = 0;
	struct ebpf_meta found;
	uint32_t size;
	_cleanup_(closep) int fd = open_pinned(k, hooks->maps.meta, &size);

	return fd >= 0 && bpf_map_lookup_elem(fd, &key, &found) == 0 &&
	       found.version == EBPF_LAYOUT_VERSION;
}

/* The same map of another skeleton. */
static int fd_of(const struct hooks *hooks, const char *name)
{
	return bpf_object__find_map_fd_by_name(hooks->obj, name);
}

static int prepare_maps(const struct ebpf_kernel *k, struct hooks *hooks,
			const struct hooks *from, const struct ebpf_sizes *sizes)
{
	bool adopt = !from && k->pins && is_known_version(k, hooks);
	struct map_use maps[N_MAPS];
	size_t n = list_maps(hooks, sizes, maps);

	for (size_t i = 0; i < n; i++) {
		_cleanup_(closep) int fd = -1;
		uint32_t size = maps[i].size;
		int err = 0;

		if (adopt)
			fd = open_pinned(k, maps[i].map, &size);
		if (size)
			err = bpf_map__set_max_entries(maps[i].map, size);
		if (err == 0 && fd >= 0)
			err = bpf_map__reuse_fd(maps[i].map, fd);
		else if (err == 0 && from && !maps[i].size)
			err = bpf_map__reuse_fd(maps[i].map,
						fd_of(from, bpf_map__name(maps[i].map)));
		if (err != 0)
			return err;
	}
	return 0;
}

static int write_version(const struct hooks *hooks)
{
	const struct ebpf_meta now = {.version = EBPF_LAYOUT_VERSION};
	const uint32_t key = 0;

	return bpf_map_update_elem(bpf_map__fd(hooks->maps.meta), &key, &now, BPF_ANY) ==
			       0
		       ? 0
		       : -errno;
}

/* Sockets have epochs of earlier loads: this one is another. */
static uint32_t random_epoch(void)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* it is always there */
	return ((uint32_t)hash_mix((uint64_t)now.tv_sec, (uint64_t)now.tv_nsec) &
		EBPF_EPOCH_MASK) |
	       EBPF_EPOCH_STEP;
}

static bool has_set_retval(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
				       BPF_FUNC_set_retval, NULL) == 1;
}

static int use_kernel_sock(const struct hooks *hooks, const struct ebpf_kernel_sock *sock)
{
	int err = 0;

	if (!sock->cast)
		return 0;
	hooks->rodata->can_read_sock = true;
	hooks->rodata->sock_type = sock->type;
	hooks->rodata->sock_cookie = sock->cookie;
	hooks->rodata->sock_storage = sock->storage;
	for (enum ebpf_hook i = 0; err == 0 && i < EBPF_HOOK_N; i++)
		err = ebpf_kernel_sock_put(ebpf_hook_program(hooks, i), sock->cast);
	return err;
}

/* Those of IPv6 do all that those of IPv4 do: a probe takes half of the time without them. */
static void leave_out_ipv4(const struct hooks *hooks)
{
	static const enum ebpf_hook of_ipv4[] = {EBPF_CONNECT4, EBPF_SENDMSG4,
						 EBPF_RECVMSG4, EBPF_GETPEERNAME4};

	for (size_t i = 0; i < N_ELEMENTS(of_ipv4); i++)
		(void)bpf_program__set_autoload(ebpf_hook_program(hooks, of_ipv4[i]),
						false); /* fails only after loading */
}

int ebpf_load(const struct ebpf_kernel *k, const struct hooks *from,
	      const struct ebpf_sizes *sizes, struct hooks **ret)
{
	struct hooks *hooks = hooks__open();
	int err;

	if (!hooks)
		return -errno;
	hooks->rodata->node_cookie = k->node_cookie;
	hooks->rodata->can_refuse = has_set_retval();
	hooks->rodata->is_host_only = k->params.is_host_only;
	hooks->bss->epoch = random_epoch();
	err = use_kernel_sock(hooks, &k->sock);
	if (k->is_probe)
		leave_out_ipv4(hooks);
	if (err == 0)
		err = prepare_maps(k, hooks, from, sizes);
	if (err == 0)
		err = hooks__load(hooks);
	if (err == 0)
		err = write_version(hooks);
	if (err != 0) {
		hooks__destroy(hooks);
		return err;
	}
	*ret = hooks;
	return 0;
}

/* The new pin takes the place of the old one in one step. */
static int replace_pin(const struct ebpf_kernel *k, const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);
	_cleanup_(freep) char *path = ebpf_pin_path(k, name);
	_cleanup_(freep) char *fresh = xasprintf("%s_new", path);

	(void)unlink(fresh); /* of a daemon that was killed here */
	if (bpf_obj_pin(bpf_map__fd(map), fresh) != 0)
		return -errno;
	return rename(fresh, path) == 0 ? 0 : -errno;
}

int ebpf_pin_maps(const struct ebpf_kernel *k, struct hooks *hooks)
{
	const struct ebpf_sizes sizes = {0};
	struct map_use maps[N_MAPS];
	size_t n = list_maps(hooks, &sizes, maps);

	for (size_t i = 0; i < n; i++) {
		int err = replace_pin(k, maps[i].map);

		if (err != 0)
			return err;
	}
	return 0;
}

static void *map_array(const struct bpf_map *map, uint32_t *ret_n)
{
	size_t len = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);
	void *memory =
		mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	*ret_n = bpf_map__max_entries(map);
	return memory == MAP_FAILED ? NULL : memory;
}

void ebpf_unmap_arrays(struct ebpf_arrays *a, const struct ebpf_sizes *sizes)
{
	if (a->services)
		(void)munmap(a->services, sizes->services * sizeof(*a->services));
	if (a->slots)
		(void)munmap(a->slots, sizes->slots * sizeof(*a->slots));
	if (a->endpoints)
		(void)munmap(a->endpoints, sizes->endpoints * sizeof(*a->endpoints));
	*a = (struct ebpf_arrays){0};
}

int ebpf_map_arrays(const struct hooks *hooks, struct ebpf_arrays *ret,
		    struct ebpf_sizes *ret_sizes)
{
	struct ebpf_sizes sizes = {
		.frontends = bpf_map__max_entries(hooks->maps.frontends),
	};
	struct ebpf_arrays arrays = {
		.services = map_array(hooks->maps.services, &sizes.services),
		.slots = map_array(hooks->maps.slots, &sizes.slots),
		.endpoints = map_array(hooks->maps.endpoints, &sizes.endpoints),
	};

	if (!arrays.services || !arrays.slots || !arrays.endpoints) {
		ebpf_unmap_arrays(&arrays, &sizes);
		return -ENOMEM;
	}
	*ret = arrays;
	*ret_sizes = sizes;
	return 0;
}
