/*
 * The hash of frontends, read and written in batches. The order of elements in
 * a batch is the kernel's own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/ebpf_private.h"
#include "bpf/hooks.skel.h"
#include "core/cleanup.h"
#include "core/mem.h"

#define BATCH 4096u

static int fd_of(const struct ebpf_kernel *k)
{
	return bpf_map__fd(k->hooks->maps.frontends);
}

int ebpf_kernel_read_frontends(const struct ebpf_kernel *k,
			       struct ebpf_frontend_key **ret_keys,
			       struct ebpf_frontend **ret_values, size_t *ret_n)
{
	/* a bucket that doesn't fit ends a batch early: room for all of them */
	size_t cap = k->sizes.frontends;
	_cleanup_(freep) struct ebpf_frontend_key *keys = xcalloc(cap, sizeof(*keys));
	_cleanup_(freep) struct ebpf_frontend *values = xcalloc(cap, sizeof(*values));
	uint32_t cursor;
	size_t n = 0;

	for (void *from = NULL; n < cap; from = &cursor) {
		uint32_t got = (uint32_t)(cap - n);
		int err = bpf_map_lookup_batch(fd_of(k), from, &cursor, keys + n,
					       values + n, &got, NULL);

		if (err != 0 && errno != ENOENT)
			return -errno;
		n += got;
		if (err != 0) /* ENOENT: that was all */
			break;
	}
	*ret_keys = take_ptr(keys);
	*ret_values = take_ptr(values);
	*ret_n = n;
	return 0;
}

bool ebpf_kernel_has_frontend(const struct ebpf_kernel *k,
			      const struct ebpf_frontend_key *key)
{
	struct ebpf_frontend value;

	return bpf_map_lookup_elem(fd_of(k), key, &value) == 0;
}

int ebpf_kernel_add_frontends(struct ebpf_kernel *k, const struct ebpf_frontend_key *keys,
			      const struct ebpf_frontend *values, size_t n)
{
	int err = n ? ebpf_kernel_settle(k) : 0;

	if (err != 0)
		return err;
	for (size_t at = 0; at < n;) {
		uint32_t count = n - at < BATCH ? (uint32_t)(n - at) : BATCH;

		/* batches know no BPF_NOEXIST: the caller vouches for it */
		if (bpf_map_update_batch(fd_of(k), keys + at, values + at, &count,
					 NULL) != 0)
			return -errno;
		at += count;
	}
	return 0;
}

int ebpf_kernel_delete_frontends(struct ebpf_kernel *k,
				 const struct ebpf_frontend_key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bpf_map_delete_elem(fd_of(k), &keys[i]) != 0 && errno != ENOENT)
			return -errno;
	k->has_deleted |= n > 0;
	return 0;
}
