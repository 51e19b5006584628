/*
 * Growth is the path of an upgrade: larger maps are made beside the old ones,
 * filled, and the links changed over one by one. A socket meets the old or the
 * new maps, which say the same. What the old ones counted meanwhile is added.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/ebpf_private.h"
#include "bpf/hooks.skel.h"
#include "core/cleanup.h"
#include "core/mem.h"

static uint32_t grown(uint32_t size, uint32_t at_least)
{
	while (size < at_least && size <= UINT32_MAX / 2)
		size *= 2;
	return size;
}

/* The counters of the old arrays as they were when copied. */
struct counted {
	uint64_t *endpoints, *services;
};

static struct counted copy_arrays(const struct ebpf_arrays *from,
				  const struct ebpf_sizes *sizes,
				  const struct ebpf_arrays *to)
{
	struct counted counted = {
		.endpoints = xcalloc(sizes->endpoints, sizeof(uint64_t)),
		.services = xcalloc(sizes->services, sizeof(uint64_t)),
	};

	memcpy(to->services, from->services, sizes->services * sizeof(*to->services));
	memcpy(to->slots, from->slots, sizes->slots * sizeof(*to->slots));
	memcpy(to->endpoints, from->endpoints, sizes->endpoints * sizeof(*to->endpoints));
	for (uint32_t i = 0; i < sizes->endpoints; i++)
		counted.endpoints[i] = to->endpoints[i].n_connections;
	for (uint32_t i = 0; i < sizes->services; i++)
		counted.services[i] = to->services[i].n_refused;
	return counted;
}

static void add_counts(const struct ebpf_arrays *from, const struct ebpf_sizes *sizes,
		       const struct counted *counted, const struct ebpf_arrays *to)
{
	for (uint32_t i = 0; i < sizes->endpoints; i++)
		__atomic_fetch_add(&to->endpoints[i].n_connections,
				   from->endpoints[i].n_connections -
					   counted->endpoints[i],
				   __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < sizes->services; i++)
		__atomic_fetch_add(&to->services[i].n_refused,
				   from->services[i].n_refused - counted->services[i],
				   __ATOMIC_RELAXED);
}

static int copy_frontends(struct ebpf_kernel *from, struct ebpf_kernel *to)
{
	_cleanup_(freep) struct ebpf_frontend_key *keys = NULL;
	_cleanup_(freep) struct ebpf_frontend *values = NULL;
	size_t n = 0;
	int err = ebpf_kernel_read_frontends(from, &keys, &values, &n);

	return err == 0 ? ebpf_kernel_add_frontends(to, keys, values, n) : err;
}

/* Puts the new programs into the links, if there are any yet. */
static int change_over(struct ebpf_kernel *k, const struct hooks *hooks)
{
	for (enum ebpf_hook i = 0; i < EBPF_HOOK_N; i++) {
		int err = k->links[i]
				  ? bpf_link__update_program(k->links[i],
							     ebpf_hook_program(hooks, i))
				  : 0;

		if (err != 0)
			return err;
	}
	return 0;
}

/* At the first start nothing is attached yet. */
static bool is_in_use(const struct ebpf_kernel *k)
{
	for (enum ebpf_hook i = 0; i < EBPF_HOOK_N; i++)
		if (k->links[i])
			return true;
	return false;
}

int ebpf_kernel_grow(struct ebpf_kernel *k, const struct ebpf_sizes *at_least)
{
	const struct ebpf_sizes sizes = {
		.frontends = grown(k->sizes.frontends, at_least->frontends),
		.services = grown(k->sizes.services, at_least->services),
		.slots = grown(k->sizes.slots, at_least->slots),
		.endpoints = grown(k->sizes.endpoints, at_least->endpoints),
	};
	struct ebpf_kernel larger = *k;
	struct counted counted;
	int err = ebpf_load(k, k->hooks, &sizes, &larger.hooks);

	if (err != 0)
		return err;
	larger.has_deleted = false;
	err = ebpf_map_arrays(larger.hooks, &larger.arrays, &larger.sizes);
	if (err != 0)
		goto err_hooks;
	counted = copy_arrays(&k->arrays, &k->sizes, &larger.arrays);
	err = copy_frontends(k, &larger);
	if (err == 0)
		err = change_over(k, larger.hooks);
	if (err == 0)
		err = ebpf_pin_maps(k, larger.hooks);
	if (err != 0)
		goto err_arrays;
	/* then no program counts in the old arrays any more; otherwise a few are lost */
	if (is_in_use(k))
		(void)ebpf_kernel_wait(k);
	add_counts(&k->arrays, &k->sizes, &counted, &larger.arrays);
	free(counted.endpoints);
	free(counted.services);
	ebpf_unmap_arrays(&k->arrays, &k->sizes);
	hooks__destroy(k->hooks);
	*k = larger;
	return 0;

err_arrays:
	(void)change_over(k, k->hooks);
	free(counted.endpoints);
	free(counted.services);
	ebpf_unmap_arrays(&larger.arrays, &larger.sizes);
err_hooks:
	hooks__destroy(larger.hooks);
	return err;
}
