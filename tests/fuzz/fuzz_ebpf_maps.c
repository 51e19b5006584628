/*
 * A full change set over maps with any content: what an earlier daemon left, or
 * another process wrote. The table must not trust a number of them, and the maps
 * must lead where the services say afterwards, and after one more change. The
 * kernel is memory here. The first byte is the number of frontends in the hash,
 * of 9 bytes each: which key, and the value; the others fill the arrays.
 */
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/ebpf_diff.h"
#include "bpf/ebpf_kernel.h"
#include "bpf/ebpf_table.h"
#include "core/mem.h"
#include "core/service.h"

#define N_FIRST	       32u /* elements of each array */
#define N_MAX	       512u
#define N_SERVICES     4
#define N_FRONTENDS    3
#define N_ENDPOINTS    5
#define MAX_FOUND      64
#define FRONTEND_BYTES (1 + sizeof(struct ebpf_frontend))

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct ebpf_kernel {
	struct ebpf_sizes sizes;
	struct ebpf_service services[N_MAX];
	struct ebpf_slot slots[N_MAX];
	struct ebpf_endpoint endpoints[N_MAX];
	struct ebpf_frontend_key keys[N_MAX];
	struct ebpf_frontend values[N_MAX];
	size_t n;
};

/* ---- the kernel ---- */

struct ebpf_arrays ebpf_kernel_arrays(const struct ebpf_kernel *k)
{
	struct ebpf_kernel *mine = (struct ebpf_kernel *)(uintptr_t)k;

	return (struct ebpf_arrays){mine->services, mine->slots, mine->endpoints};
}

struct ebpf_sizes ebpf_kernel_sizes(const struct ebpf_kernel *k)
{
	return k->sizes;
}

bool ebpf_kernel_is_attached(const struct ebpf_kernel *k)
{
	return k;
}

bool ebpf_kernel_is_pinned(const struct ebpf_kernel *k)
{
	return k != NULL;
}

void ebpf_kernel_next_epoch(struct ebpf_kernel *k)
{
}

int ebpf_kernel_wait(struct ebpf_kernel *k)
{
	assert(k);
	return 0;
}

int ebpf_kernel_grow(struct ebpf_kernel *k, const struct ebpf_sizes *at_least)
{
	assert(at_least->services <= N_MAX && at_least->slots <= N_MAX &&
	       at_least->endpoints <= N_MAX && at_least->frontends <= N_MAX);
	k->sizes = (struct ebpf_sizes){N_MAX, N_MAX, N_MAX, N_MAX};
	return 0;
}

static size_t find(const struct ebpf_kernel *k, const struct ebpf_frontend_key *key)
{
	size_t i = 0;

	while (i < k->n && memcmp(&k->keys[i], key, sizeof(*key)) != 0)
		i++;
	return i;
}

int ebpf_kernel_read_frontends(const struct ebpf_kernel *k,
			       struct ebpf_frontend_key **ret_keys,
			       struct ebpf_frontend **ret_values, size_t *ret_n)
{
	*ret_keys = xcalloc(k->n + 1, sizeof(**ret_keys));
	*ret_values = xcalloc(k->n + 1, sizeof(**ret_values));
	memcpy(*ret_keys, k->keys, k->n * sizeof(**ret_keys));
	memcpy(*ret_values, k->values, k->n * sizeof(**ret_values));
	*ret_n = k->n;
	return 0;
}

/* An element that exists must not be overwritten. */
int ebpf_kernel_add_frontends(struct ebpf_kernel *k, const struct ebpf_frontend_key *keys,
			      const struct ebpf_frontend *values, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert(find(k, &keys[i]) == k->n && k->n < k->sizes.frontends);
		k->keys[k->n] = keys[i];
		k->values[k->n++] = values[i];
	}
	return 0;
}

int ebpf_kernel_delete_frontends(struct ebpf_kernel *k,
				 const struct ebpf_frontend_key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = find(k, &keys[i]);

		if (at == k->n)
			continue;
		k->keys[at] = k->keys[--k->n];
		k->values[at] = k->values[k->n];
	}
	return 0;
}

/* ---- services ---- */

static struct addr make_addr(enum family family, size_t a, size_t b)
{
	const uint8_t bytes[16] = {10, (uint8_t)a, 0, (uint8_t)b};

	return addr_from_bytes(family, bytes);
}

static struct service *make_service(size_t number)
{
	enum family family = number % 2 ? FAMILY_IPV6 : FAMILY_IPV4;
	struct frontend frontends[N_FRONTENDS] = {0};
	struct endpoint endpoints[N_ENDPOINTS] = {0};
	char name[16];
	struct service_spec spec = {
		.ns = "test",
		.name = name,
		.port_name = "",
		.family = family,
		.proto = number < 2 ? IPPROTO_TCP : IPPROTO_UDP,
		.affinity_sec = number == 0 ? 60 : 0,
		.frontends = frontends,
		.n_frontends = N_FRONTENDS,
		.endpoints = endpoints,
		.n_endpoints = N_ENDPOINTS,
	};

	(void)snprintf(name, sizeof(name), "s%zu", number);
	for (size_t i = 0; i < N_FRONTENDS; i++) {
		frontends[i].addr = make_addr(family, 96, i);
		frontends[i].port = (uint16_t)(80 + number);
		frontends[i].kind = i == 0 ? FRONTEND_CLUSTER_IP : FRONTEND_EXTERNAL_IP;
	}
	for (size_t i = 0; i < N_ENDPOINTS; i++) {
		endpoints[i].addr = make_addr(family, 244, i);
		endpoints[i].port = 8080;
		endpoints[i].flags = ENDPOINT_SERVING | ENDPOINT_CLUSTER |
				     (i % 2 ? ENDPOINT_LOCAL : 0);
	}
	return service_new(&spec);
}

/* Of one of the services, or of none. */
static struct ebpf_frontend_key make_key(uint8_t which)
{
	size_t number = which % (N_SERVICES + 1);
	struct ebpf_frontend_key key = {
		.port = htons((uint16_t)(80 + number)),
		.proto = number < 2 ? IPPROTO_TCP : IPPROTO_UDP,
	};
	struct addr addr = make_addr(number % 2 ? FAMILY_IPV6 : FAMILY_IPV4, 96,
				     which / (N_SERVICES + 1) % (N_FRONTENDS + 1));

	memcpy(key.addr, addr.b, sizeof(key.addr));
	return key;
}

/* ---- one run ---- */

static size_t fill(void *to, size_t to_len, const uint8_t *bytes, size_t len)
{
	size_t n = len < to_len ? len : to_len;

	memcpy(to, bytes, n);
	return n;
}

static void fill_maps(struct ebpf_kernel *k, const uint8_t *bytes, size_t len)
{
	size_t at = 1;

	for (size_t i = 0; len > 0 && i < bytes[0] % MAX_FOUND; i++) {
		struct ebpf_frontend_key key;

		if (len - at < FRONTEND_BYTES || k->n == k->sizes.frontends)
			break;
		key = make_key(bytes[at]);
		if (find(k, &key) == k->n) {
			k->keys[k->n] = key;
			memcpy(&k->values[k->n++], bytes + at + 1, sizeof(k->values[0]));
		}
		at += FRONTEND_BYTES;
	}
	if (at >= len)
		return;
	at += fill(k->services, N_FIRST * sizeof(k->services[0]), bytes + at, len - at);
	at += fill(k->endpoints, N_FIRST * sizeof(k->endpoints[0]), bytes + at, len - at);
	(void)fill(k->slots, N_FIRST * sizeof(k->slots[0]), bytes + at, len - at);
}

static void assert_no_difference(struct ebpf_kernel *k, const struct ebpf_table *table,
				 const struct changeset *full)
{
	struct sink_diff *diff = ebpf_diff_new(k, table, full);
	size_t n = 0;
	int more;

	while ((more = sink_diff_step(diff)) == 1)
		;
	assert(more == 0);
	(void)sink_diff_lines(diff, &n);
	assert(n == 0);
	sink_diff_free(diff);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct environment env;
	struct service *services[N_SERVICES];
	struct change changes[N_SERVICES];
	struct ebpf_kernel *k = xcalloc(1, sizeof(*k));
	struct ebpf_table *table = ebpf_table_new(k);
	struct changeset cs = {.full = true,
			       .env = &env,
			       .changes = changes,
			       .n = N_SERVICES};
	struct change removal;

	k->sizes = (struct ebpf_sizes){N_FIRST, N_FIRST, N_FIRST, N_FIRST};
	fill_maps(k, bytes, len);
	for (size_t i = 0; i < N_SERVICES; i++) {
		services[i] = make_service(i);
		changes[i] = (struct change){NULL, services[i]};
	}
	assert(ebpf_table_apply(table, &cs) == 0);
	assert_no_difference(k, table, &cs);

	removal = (struct change){services[N_SERVICES - 1], NULL};
	cs = (struct changeset){.env = &env, .changes = &removal, .n = 1};
	assert(ebpf_table_apply(table, &cs) == 0);
	cs = (struct changeset){.full = true,
				.env = &env,
				.changes = changes,
				.n = N_SERVICES - 1};
	assert_no_difference(k, table, &cs);
	for (size_t i = 0; i < N_SERVICES; i++)
		service_unref(services[i]);
	ebpf_table_free(table);
	free(k);
	return 0;
}
