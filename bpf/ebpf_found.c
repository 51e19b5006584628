#include "bpf/ebpf_found.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"

static uint64_t hash_key(const void *key)
{
	return hash_bytes(key, sizeof(struct ebpf_frontend_key));
}

static bool equal_key(const void *item, const void *key)
{
	return memcmp(item, key, sizeof(struct ebpf_frontend_key)) == 0;
}

static const struct hash_ops key_ops = {.hash = hash_key, .equal = equal_key};

static bool is_retired(const struct ebpf_kernel *k, uint32_t service)
{
	return service < ebpf_kernel_sizes(k).services &&
	       ebpf_kernel_arrays(k).services[service].rows == 0;
}

int ebpf_found_read(struct ebpf_found *f, const struct ebpf_kernel *k)
{
	int err;

	*f = (struct ebpf_found){0};
	hash_init(&f->index, &key_ops);
	err = ebpf_kernel_read_frontends(k, &f->keys, &f->values, &f->n);
	if (err != 0)
		return err;
	f->flags = xcalloc(f->n + 1, 1);
	hash_reserve(&f->index, f->n);
	for (size_t i = 0; i < f->n; i++) {
		if (is_retired(k, f->values[i].service))
			f->flags[i] = EBPF_FOUND_RETIRED;
		(void)hash_put(&f->index, &f->keys[i]);
	}
	return 0;
}

void ebpf_found_fini(struct ebpf_found *f)
{
	hash_fini(&f->index);
	free(f->keys);
	free(f->values);
	free(f->flags);
}

size_t ebpf_found_find(const struct ebpf_found *f, const struct ebpf_frontend_key *key)
{
	const struct ebpf_frontend_key *found = hash_find(&f->index, key);

	return found ? (size_t)(found - f->keys) : EBPF_FOUND_NONE;
}

struct owned { /* copied once: other processes can write to the maps */
	uint32_t id, service;
};

/* All records in use, in order; returns how many. */
static uint32_t list_records(struct ebpf_found_endpoints *f,
			     const struct ebpf_endpoint *endpoints, uint32_t n,
			     struct owned **ret)
{
	struct owned *list = NULL;
	size_t cap = 0;
	uint32_t n_used = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t service = endpoints[i].service;

		if (endpoints[i].generation > f->generation)
			f->generation = endpoints[i].generation;
		if (endpoints[i].flags == 0)
			continue;
		list = xgrow(list, n_used, &cap, sizeof(*list));
		list[n_used++] = (struct owned){
			.id = i,
			.service = service < f->n_services ? service : f->n_services,
		};
	}
	*ret = list;
	return n_used;
}

void ebpf_found_read_endpoints(struct ebpf_found_endpoints *f,
			       const struct ebpf_arrays *arrays,
			       const struct ebpf_sizes *sizes)
{
	_cleanup_(freep) struct owned *list = NULL;
	_cleanup_(freep) uint32_t *next = NULL;
	uint32_t sum = 0;

	*f = (struct ebpf_found_endpoints){.n_services = sizes->services};
	f->n = list_records(f, arrays->endpoints, sizes->endpoints, &list);
	f->ids = xcalloc((size_t)f->n + 1, sizeof(*f->ids));
	f->first = xcalloc((size_t)f->n_services + 2, sizeof(*f->first));
	for (uint32_t i = 0; i < f->n; i++)
		f->first[list[i].service + 1]++;
	next = xcalloc((size_t)f->n_services + 1, sizeof(*next));
	for (uint32_t i = 0; i <= f->n_services; i++) {
		sum += f->first[i];
		f->first[i] = next[i] = sum;
	}
	for (uint32_t i = 0; i < f->n; i++)
		f->ids[next[list[i].service]++] = list[i].id;
}

void ebpf_found_endpoints_fini(struct ebpf_found_endpoints *f)
{
	free(f->ids);
	free(f->first);
}
