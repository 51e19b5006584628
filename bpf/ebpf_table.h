/*
 * The content of the maps, and how it changes. One entry for
 * each service port; its records keep their numbers for as long as it lives,
 * because sockets and affinity hold them, also across restarts.
 *
 * Order of writing, so that a program never meets half of a change:
 *	endpoint records, slots, the pool's word, the rows   (ebpf_table_put)
 *	frontends that come, frontends that go               (ebpf_table_flush)
 *	flags of endpoints that go                           (ebpf_table_flush)
 * A number that is given up is used again only after a grace period; a frontend of a
 * deleted service stays until then, and passes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/changeset.h"

struct ebpf_kernel;
struct ebpf_table;

struct ebpf_table *ebpf_table_new(struct ebpf_kernel *kernel); /* borrows it */
void ebpf_table_free(struct ebpf_table *t);

/* 0 or -errno; after an error only a full change set brings it back into step. */
int ebpf_table_apply(struct ebpf_table *t, const struct changeset *cs);

struct ebpf_table_stats {
	size_t n_services, n_frontends, n_endpoints;
	uint64_t n_applied; /* change sets: after each, records may be others */
	uint64_t n_grown;   /* times that the maps grew */
	uint64_t
		n_repaired; /* records and frontends that full change sets had to correct */
	uint64_t n_gone;    /* endpoints that stopped serving, ever */
	uint64_t n_lost;    /* UDP frontends and node addresses that went, ever */
};
struct ebpf_table_stats ebpf_table_stats(const struct ebpf_table *t);

/* The programs' counters of one service since it exists. */
struct ebpf_counts {
	uint64_t n_connections, n_refused;
	const uint32_t *endpoint_ids; /* borrowed until the next change */
};
/* False when the maps do not have this service. */
bool ebpf_table_counts(const struct ebpf_table *t, const struct service *s,
		       struct ebpf_counts *ret);
/* Another UDP service with this endpoint; NULL: none. Goes through all of them. */
const struct service *ebpf_table_find_other(const struct ebpf_table *t,
					    const struct service *s,
					    const struct endpoint *endpoint);
/* Connections to the i-th endpoint of that service. */
uint64_t ebpf_table_endpoint_count(const struct ebpf_table *t,
				   const struct ebpf_counts *counts, uint32_t i);
