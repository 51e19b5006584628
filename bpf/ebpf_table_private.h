/* Shared by the files of ebpf_table. */
#pragma once

#include "bpf/ebpf_entry.h"
#include "bpf/ebpf_ids.h"
#include "bpf/ebpf_kernel.h"
#include "bpf/ebpf_table.h"
#include "core/hash.h"

struct ebpf_key_list {
	struct ebpf_frontend_key *keys;
	struct ebpf_frontend *values; /* NULL when only keys matter */
	size_t n, keys_cap, values_cap;
};

struct ebpf_table {
	struct ebpf_kernel *kernel;
	struct hash entries; /* by service key */
	struct ebpf_ids services, endpoints;
	struct ebpf_ranges slots;
	uint32_t generation; /* the last one given to an endpoint */
	/*
	 * Frontends of deleted services: their service passes everything, so they
	 * may stay until a grace period is due. Additions would have to wait for
	 * one after each deletion otherwise.
	 */
	struct ebpf_key_list retired;
	/* what ebpf_table_flush() has to do */
	struct ebpf_key_list added, deleted;
	uint32_t *gone; /* endpoints */
	size_t n_gone, gone_cap;
	struct ebpf_table_stats stats;
};

/* Orders keys as bytes. */
int ebpf_key_compare(const void *a, const void *b);
void ebpf_key_list_add(struct ebpf_key_list *list, const struct ebpf_frontend_key *key,
		       const struct ebpf_frontend *value);

/*
 * Writes the entry into the maps. It has the ranges that its service has there, and
 * EBPF_ID_NONE for each endpoint that needs a record. Room must have been reserved.
 */
void ebpf_table_write(struct ebpf_table *t, struct ebpf_entry *e,
		      const struct environment *env);
/* Does its range have exactly the members of the pool, in this order? */
bool ebpf_table_has_pool(const struct ebpf_arrays *a, const struct ebpf_entry *e,
			 enum ebpf_pool pool);
/* Queues what is no longer used of an endpoint's record. */
void ebpf_table_release_endpoint(struct ebpf_table *t, const struct ebpf_entry *e,
				 uint32_t id);
/* Makes room for so many new elements: waits for a grace period, or grows. */
int ebpf_table_reserve(struct ebpf_table *t, const struct ebpf_sizes *more);
/* Frontends come, frontends go, then flags of endpoints. */
int ebpf_table_flush(struct ebpf_table *t);
/* Forgets all entries and what is queued; the maps stay as they are. */
void ebpf_table_clear(struct ebpf_table *t);
/* The most that these services may need, if all of it were new. */
struct ebpf_sizes ebpf_sizes_of(const struct service *s);

/* A full change set: reads back what the maps have, and writes the difference. */
int ebpf_table_adopt(struct ebpf_table *t, const struct changeset *cs);
