/*
 * A hash table of subjects, and a queue of the dirty ones among them.  Whoever
 * empties a subject also marks it, so that every empty one comes by in the
 * queue once more and is freed there: nowhere else.
 */
#include "watchers/subjects.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash_keys.h"
#include "core/mem.h"

#define QUEUE_KEEP 1024 /* an empty queue larger than this is given back */

static struct subject *subject_new(const char *ns, const char *name)
{
	size_t ns_len = strlen(ns) + 1, name_len = strlen(name) + 1;
	struct subject *s = xcalloc(1, sizeof(*s) + ns_len + name_len);

	memcpy(s->text, ns, ns_len);
	memcpy(s->text + ns_len, name, name_len);
	s->ns = s->text;
	s->name = s->text + ns_len;
	return s;
}

static void subject_free(struct subject *s)
{
	object_unref(s->service);
	free(s->slices);
	free(s);
}

static bool subject_is_empty(const struct subject *s)
{
	return !s->service && s->n_slices == 0;
}

void subjects_init(struct subjects *s)
{
	*s = (struct subjects){.is_unsorted = true};
	hash_init(&s->table, &name_key_ops);
}

void subjects_fini(struct subjects *s)
{
	struct subject *subject;

	for (size_t i = 0; (subject = hash_next(&s->table, &i));)
		subject_free(subject);
	hash_fini(&s->table);
	free(s->queue);
}

struct subject *subjects_find(const struct subjects *s, const char *ns, const char *name)
{
	const struct name_key key = {.ns = ns, .name = name};

	return hash_find(&s->table, &key);
}

struct subject *subjects_get(struct subjects *s, const char *ns, const char *name)
{
	struct subject *subject = subjects_find(s, ns, name);

	if (subject)
		return subject;
	subject = subject_new(ns, name);
	(void)hash_put(&s->table, subject);
	return subject;
}

struct subject *subjects_next(const struct subjects *s, size_t *cursor)
{
	return hash_next(&s->table, cursor);
}

/* The first slice whose name isn't before this one's. */
static size_t slice_position(const struct subject *s, const char *name)
{
	size_t low = 0, high = s->n_slices;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(s->slices[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void subjects_add_slice(struct subjects *s, struct subject *subject, struct object *slice)
{
	size_t n = subject->n_slices, at = slice_position(subject, slice->name);

	/* Nearly every Service has one slice: no room is kept beyond what is used,
	 * and it doubles whenever n is a power of two. */
	if ((n & (n - 1)) == 0)
		subject->slices = xreallocarray(subject->slices, n ? 2 * n : 1,
						sizeof(*subject->slices));
	memmove(&subject->slices[at + 1], &subject->slices[at],
		(n - at) * sizeof(*subject->slices));
	subject->slices[at] = slice;
	subject->n_slices++;
	subjects_mark(s, subject);
}

void subjects_remove_slice(struct subjects *s, struct subject *subject,
			   const struct object *slice)
{
	size_t at = slice_position(subject, slice->name);

	while (at < subject->n_slices && subject->slices[at] != slice)
		at++;
	if (at == subject->n_slices)
		return;
	subject->n_slices--;
	memmove(&subject->slices[at], &subject->slices[at + 1],
		(subject->n_slices - at) * sizeof(*subject->slices));
	subjects_mark(s, subject);
}

/* A queue that never runs empty must not creep through memory. */
static void close_gap(struct subjects *s)
{
	memmove(s->queue, &s->queue[s->head], (s->tail - s->head) * sizeof(*s->queue));
	s->tail -= s->head;
	s->head = 0;
}

void subjects_mark(struct subjects *s, struct subject *subject)
{
	if (subject->is_dirty)
		return;
	subject->is_dirty = true;
	if (s->tail == s->cap && s->head > s->tail / 2)
		close_gap(s);
	s->queue = xgrow(s->queue, s->tail, &s->cap, sizeof(*s->queue));
	s->queue[s->tail++] = subject;
}

void subjects_mark_all(struct subjects *s)
{
	struct subject *subject;

	for (size_t i = 0; (subject = hash_next(&s->table, &i));)
		subjects_mark(s, subject);
	s->is_unsorted = true;
}

static int compare_age(const void *va, const void *vb)
{
	const struct subject *a = *(struct subject *const *)va;
	const struct subject *b = *(struct subject *const *)vb;
	int64_t born_a = a->service ? a->service->created_sec : 0;
	int64_t born_b = b->service ? b->service->created_sec : 0;
	int order;

	if (born_a != born_b)
		return born_a < born_b ? -1 : 1;
	order = strcmp(a->ns, b->ns);
	return order ? order : strcmp(a->name, b->name);
}

static void release_taken(struct subjects *s)
{
	struct subject *subject = s->taken;

	s->taken = NULL;
	if (!subject || subject->is_dirty || !subject_is_empty(subject))
		return;
	(void)hash_del(&s->table, subject);
	subject_free(subject);
}

static void reset_queue(struct subjects *s)
{
	s->head = s->tail = 0;
	if (s->cap <= QUEUE_KEEP)
		return;
	free(s->queue);
	s->queue = NULL;
	s->cap = 0;
}

const struct subject *subjects_take(struct subjects *s)
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

size_t subjects_n_dirty(const struct subjects *s)
{
	return s->tail - s->head;
}
