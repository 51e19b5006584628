/*
 * The lists and the table that an entry is in, kept in step.
 */
#include "core/state_entry.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"

/* The key of a group is "ns\0name\0", the first bytes of every service's text. */
static size_t group_key_len(const char *key)
{
	size_t ns_len = strlen(key) + 1;

	return ns_len + strlen(key + ns_len) + 1;
}

static const void *group_key(const void *item)
{
	return service_namespace(entry_service(item));
}

static uint64_t group_hash(const void *key)
{
	return hash_bytes(key, group_key_len(key));
}

static bool group_equal(const void *item, const void *key)
{
	const char *a = group_key(item);
	size_t len = group_key_len(key);

	return group_key_len(a) == len && memcmp(a, key, len) == 0;
}

const struct hash_ops entry_group_ops = {group_hash, group_equal, group_key};

struct entry *state_find_group(const struct state *st, const char *ns, const char *name)
{
	size_t ns_len = strlen(ns) + 1, name_len = strlen(name) + 1;
	_cleanup_(freep) char *key = xmalloc(ns_len + name_len);

	memcpy(key, ns, ns_len);
	memcpy(key + ns_len, name, name_len);
	return hash_find(&st->groups, key);
}

size_t entry_list_add(struct entry_list *list, struct entry *e)
{
	list->items = xgrow(list->items, list->n, &list->cap, sizeof(*list->items));
	list->items[list->n] = e;
	return list->n++;
}

struct entry *entry_list_del(struct entry_list *list, size_t index)
{
	list->items[index] = list->items[--list->n];
	return list->items[index];
}

void entry_set_dirty(struct state *st, struct entry *e, bool is_dirty)
{
	uint32_t at = e->dirty_index;

	if (is_dirty == (at != NOT_DIRTY))
		return;
	if (is_dirty) {
		e->dirty_index = (uint32_t)entry_list_add(&st->dirty, e);
		return;
	}
	entry_list_del(&st->dirty, at)->dirty_index = at;
	e->dirty_index = NOT_DIRTY;
}

void entry_touch(struct state *st, struct entry *e)
{
	if (!e->is_touched)
		(void)entry_list_add(&st->touched, e);
	e->is_touched = true;
}

void entry_free(struct state *st, struct entry *e)
{
	service_unref(e->desired);
	service_unref(e->visible);
	service_unref(e->taken);
	free(e->claims);
	slab_give(&st->slab, e);
}

static void leave_group(struct state *st, struct entry *e)
{
	struct entry *first = hash_find(&st->groups, group_key(e));
	struct entry **at = &first;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	if (at != &first)
		return;
	if (first)
		(void)hash_put(&st->groups, first);
	else
		(void)hash_del(&st->groups, group_key(e));
}

void entry_remove(struct state *st, struct entry *e)
{
	leave_group(st, e);
	entry_set_dirty(st, e, false);
	entry_free(st, e);
}
