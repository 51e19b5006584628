/*
 * The Services by name.  A record has the Service, its slices, and whether it
 * must be planned again.  An empty record is freed after it was taken as dirty.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/hash.h"
#include "watchers/objects.h"

struct service_record {
	const char *ns, *name;	/* in text; first: a struct name_key */
	struct object *service; /* owned; NULL if there is none */
	union {			/* borrowed, sorted by name: service_record_slices() */
		struct object *slice;	/* the only one: nearly every Service has one */
		struct object **slices; /* with room for a power of two */
	};
	uint32_t n_slices;
	bool is_dirty;	/* in the queue */
	bool has_array; /* once there were two slices */
	char text[];
};

static inline struct object *const *
service_record_slices(const struct service_record *record)
{
	return record->has_array ? record->slices : &record->slice;
}

struct service_index { /* embedded */
	struct hash table;
	struct service_record **queue; /* the dirty ones are [head, tail) */
	size_t head, tail, cap;
	struct service_record *taken; /* by the last take; its strings stay valid */
	bool is_unsorted;	      /* sort the queue by age before the next take */
};

void service_index_init(struct service_index *s);
/* Frees the records and their Services, but not the slices. */
void service_index_fini(struct service_index *s);

struct service_record *service_index_find(const struct service_index *s, const char *ns,
					  const char *name);
/* Finds or creates it. */
struct service_record *service_index_get(struct service_index *s, const char *ns,
					 const char *name);
/* for (size_t i = 0; (record = service_index_next(s, &i));) */
struct service_record *service_index_next(const struct service_index *s, size_t *cursor);

void service_index_add_slice(struct service_index *s, struct service_record *record,
			     struct object *slice);
void service_index_remove_slice(struct service_index *s, struct service_record *record,
				const struct object *slice);

void service_index_mark(struct service_index *s, struct service_record *record);
/* Marks all; the oldest Service is taken first. */
void service_index_mark_all(struct service_index *s);
/* The next dirty record, valid until the next take; or NULL. */
const struct service_record *service_index_take(struct service_index *s);
size_t service_index_n_dirty(const struct service_index *s);
