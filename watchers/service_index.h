/*
 * Everything that belongs to one Service name: the Service, its slices, and
 * whether it waits to be planned again.  A subject exists as long as there is
 * something in it or somebody still has to be told that it became empty.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/hash.h"
#include "watchers/objects.h"

struct subject {
	const char *ns, *name;	/* in text; first: a struct name_key */
	struct object *service; /* owned; NULL when there is none */
	struct object **slices; /* borrowed, sorted by name */
	uint32_t n_slices;
	bool is_dirty; /* in the queue */
	char text[];
};

struct subjects { /* embedded */
	struct hash table;
	struct subject **queue; /* the dirty ones are [head, tail) */
	size_t head, tail, cap;
	struct subject *taken; /* handed out last; its strings must stay */
	bool is_unsorted;      /* the queue should be put in order of age first */
};

void subjects_init(struct subjects *s);
/* Frees the subjects and their Services; slices belong to someone else. */
void subjects_fini(struct subjects *s);

struct subject *subjects_find(const struct subjects *s, const char *ns, const char *name);
/* Finds or makes it. */
struct subject *subjects_get(struct subjects *s, const char *ns, const char *name);
/* for (size_t i = 0; (subject = subjects_next(s, &i));) */
struct subject *subjects_next(const struct subjects *s, size_t *cursor);

void subjects_add_slice(struct subjects *s, struct subject *subject,
			struct object *slice);
void subjects_remove_slice(struct subjects *s, struct subject *subject,
			   const struct object *slice);

void subjects_mark(struct subjects *s, struct subject *subject);
/* Marks all; they will be handed out oldest Service first. */
void subjects_mark_all(struct subjects *s);
/* The next dirty one, which stays valid until the next take; or NULL. */
const struct subject *subjects_take(struct subjects *s);
size_t subjects_n_dirty(const struct subjects *s);
