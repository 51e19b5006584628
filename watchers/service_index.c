/*
 * A hash table of records, and a queue of the dirty ones.  Emptying a record
 * also marks it, so every empty record is taken once more; release_taken() is
 * the only place that frees records.
 */
#include "watchers/service_index.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash_keys.h"
#include "core/mem.h"

#define QUEUE_KEEP 1024 /* a larger queue is freed when it is empty */

static struct service_record *record_new(const char *ns, const char *name)
{
	size_t ns_len = strlen(ns) + 1, name_len = strlen(name) + 1;
	struct service_record *s = xcalloc(1, sizeof(*s) + ns_len + name_len);

	memcpy(s->text, ns, ns_len);
	memcpy(s->text + ns_len, name, name_len);
	s->ns = s->text;
	s->name = s->text + ns_len;
	return s;
}

static void record_free(struct service_record *s)
{
	object_unref(s->service);
	if (s->has_array)
		free(s->slices);
	free(s);
}

static bool record_is_empty(const struct service_record *s)
{
	return !s->service && s->n_slices == 0;
}

void service_index_init(struct service_index *s)
{
	*s = (struct service_index){.is_unsorted = true};
	hash_init(&s->table, &name_key_ops);
}

void service_index_fini(struct service_index *s)
{
	struct service_record *record;

	for (size_t i = 0; (record = hash_next(&s->table, &i));)
		record_free(record);
	hash_fini(&s->table);
	free(s->queue);
}

struct service_record *service_index_find(const struct service_index *s, const char *ns,
					  const char *name)
{
	const struct name_key key = {.ns = ns, .name = name};

	return hash_find(&s->table, &key);
}

struct service_record *service_index_get(struct service_index *s, const char *ns,
					 const char *name)
{
	struct service_record *record = service_index_find(s, ns, name);

	if (record)
		return record;
	record = record_new(ns, name);
	(void)hash_put(&s->table, record);
	return record;
}

struct service_record *service_index_next(const struct service_index *s, size_t *cursor)
{
	return hash_next(&s->table, cursor);
}

/* The first slice whose name is not less than this one. */
static size_t slice_position(const struct service_record *s, const char *name)
{
	struct object *const *slices = service_record_slices(s);
	size_t low = 0, high = s->n_slices;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(slices[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Room for one more. */
static struct object **grow(struct service_record *s)
{
	uint32_t n = s->n_slices;
	struct object *only = s->slice;

	if (!s->has_array && n == 0)
		return &s->slice;
	if (!s->has_array) {
		s->slices = xreallocarray(NULL, 2, sizeof(*s->slices));
		s->slices[0] = only;
		s->has_array = true;
	} else if ((n & (n - 1)) == 0) {
		s->slices = xreallocarray(s->slices, n ? 2 * n : 1, sizeof(*s->slices));
	}
	return s->slices;
}

void service_index_add_slice(struct service_index *s, struct service_record *record,
			     struct object *slice)
{
	size_t n = record->n_slices, at = slice_position(record, slice->name);
	struct object **slices = grow(record);

	memmove(&slices[at + 1], &slices[at], (n - at) * sizeof(*slices));
	slices[at] = slice;
	record->n_slices++;
	service_index_mark(s, record);
}

void service_index_remove_slice(struct service_index *s, struct service_record *record,
				const struct object *slice)
{
	struct object **slices = record->has_array ? record->slices : &record->slice;
	size_t at = slice_position(record, slice->name);

	while (at < record->n_slices && slices[at] != slice)
		at++;
	if (at == record->n_slices)
		return;
	record->n_slices--;
	memmove(&slices[at], &slices[at + 1], (record->n_slices - at) * sizeof(*slices));
	service_index_mark(s, record);
}

/* The queue may never become empty, so its start is reused. */
static void close_gap(struct service_index *s)
{
	memmove(s->queue, &s->queue[s->head], (s->tail - s->head) * sizeof(*s->queue));
	s->tail -= s->head;
	s->head = 0;
}

void service_index_mark(struct service_index *s, struct service_record *record)
{
	if (record->is_dirty)
		return;
	record->is_dirty = true;
	if (s->tail == s->cap && s->head > s->tail / 2)
		close_gap(s);
	s->queue = xgrow(s->queue, s->tail, &s->cap, sizeof(*s->queue));
	s->queue[s->tail++] = record;
}

void service_index_mark_all(struct service_index *s)
{
	struct service_record *record;

	for (size_t i = 0; (record = hash_next(&s->table, &i));)
		service_index_mark(s, record);
	s->is_unsorted = true;
}

static int compare_age(const void *va, const void *vb)
{
	const struct service_record *a = *(struct service_record *const *)va;
	const struct service_record *b = *(struct service_record *const *)vb;
	int64_t born_a = a->service ? object_as_service(a->service)->created_sec : 0;
	int64_t born_b = b->service ? object_as_service(b->service)->created_sec : 0;
	int order;

	if (born_a != born_b)
		return born_a < born_b ? -1 : 1;
	order = strcmp(a->ns, b->ns);
	return order ? order : strcmp(a->name, b->name);
}

static void release_taken(struct service_index *s)
{
	struct service_record *record = s->taken;

	s->taken = NULL;
	if (!record || record->is_dirty || !record_is_empty(record))
		return;
	(void)hash_del(&s->table, record);
	record_free(record);
}

static void reset_queue(struct service_index *s)
{
	s->head = s->tail = 0;
	if (s->cap <= QUEUE_KEEP)
		return;
	free(s->queue);
	s->queue = NULL;
	s->cap = 0;
}

const struct service_record *service_index_take(struct service_index *s)
{
	release_taken(s);
	if (s->head == s->tail) {
		reset_queue(s);
		return NULL;
	}
	if (s->is_unsorted)
		qsort(&s->queue[s->head], s->tail - s->head, sizeof(*s->queue),
		      compare_age);
	s->is_unsorted = false;
	s->taken = s->queue[s->head++];
	s->taken->is_dirty = false;
	return s->taken;
}

size_t service_index_n_dirty(const struct service_index *s)
{
	return s->tail - s->head;
}
