/*
 * Several files may hold the same object: all of them are kept in a chain in
 * path order, the first one's is in the cluster.  Reading a file reports which of
 * its objects do not count; when that changes because of another file, it is read
 * again.
 */
#include "watchers/files/files_private.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/causes.h"
#include "watchers/cluster.h"

static uint64_t holding_hash(const void *key)
{
	const struct object *o = ((const struct holding *)key)->object;

	return hash_mix(hash_mix(hash_string(o->ns), hash_string(o->name)), o->kind);
}

static bool holding_equal(const void *item, const void *key)
{
	const struct object *a = ((const struct holding *)item)->object;
	const struct object *b = ((const struct holding *)key)->object;

	return a->kind == b->kind && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->ns, b->ns) == 0;
}

static const struct hash_ops holding_ops = {
	.hash = holding_hash,
	.equal = holding_equal,
};

static void report(const struct file_owners *o, const struct object *object,
		   const struct file *file, const struct file *first)
{
	_cleanup_(freep) char *reason = NULL;

	if (first->gone_us && file != first) /* it was renamed, most likely */
		return;
	if (file == first)
		reason = xstrdup("this file has it twice; the first one counts");
	else
		reason = xasprintf("%s has it too, and is used", first->path);
	reject_call(o->reject, &(struct rejection){
				       .source = file->path,
				       .kind = object_kind_name(object->kind),
				       .ns = object->ns,
				       .name = object->name,
				       .field = "",
				       .reason = reason,
			       });
}

/* Others of its objects count now: reading it again reports which. */
static void read_again(struct file_owners *o, struct file *file)
{
	if (!file->is_once)
		file_want(container_of(o, struct files, owners), file);
}

/* Where in the chain the file's own place is, or should be. */
static struct holding **find_place(struct holding **head, const struct file *file)
{
	struct holding **at = head;

	while (*at && file_compare((*at)->file, file) < 0)
		at = &(*at)->next;
	return at;
}

/* Is this one of those that the file has got just now? */
static bool is_current(const struct holding *h)
{
	const struct file *file = h->file;

	return h >= file->holdings && h < file->holdings + file->n_holdings;
}

/* False, with a report, when the file has the object already. */
static bool put(struct file_owners *o, struct holding *new, bool *ret_changed)
{
	struct holding *head = hash_find(&o->table, new), *was_first = head;
	struct holding **at = find_place(&head, new->file);
	struct holding *old = *at && (*at)->file == new->file ? *at : NULL;

	if (old && is_current(old)) {
		report(o, new->object, new->file, new->file);
		return false;
	}
	if (old && object_equal(old->object, new->object)) {
		object_unref(new->object); /* so that it exists once */
		new->object = object_ref(old->object);
	}
	new->next = old ? old->next : *at;
	*at = new;
	if (head == new) {
		(void)hash_put(&o->table, new);
		*ret_changed |= cluster_put(o->cluster, object_ref(new->object));
	}
	if (head != new)
		report(o, new->object, new->file, head->file);
	else if (!old && was_first)
		read_again(o, was_first->file);
	if (old)
		object_unref(take_ptr(old->object));
	return true;
}

/* The file no longer has it: the next file's counts, if it was the first. */
static void drop(struct file_owners *o, struct holding *old, bool *ret_changed)
{
	struct object *object = old->object;
	struct holding *head = hash_find(&o->table, old), *was_first = head;
	struct holding **at = find_place(&head, old->file);

	*at = old->next;
	if (was_first == old && head) {
		(void)hash_put(&o->table, head);
		*ret_changed |= cluster_put(o->cluster, object_ref(head->object));
		read_again(o, head->file);
	} else if (was_first == old) {
		(void)hash_del(&o->table, old);
		*ret_changed |=
			cluster_del(o->cluster, object->kind, object->ns, object->name);
	}
	object_unref(object);
}

void file_owners_init(struct file_owners *o, struct cluster *cluster,
		      const struct reject *reject)
{
	o->cluster = cluster;
	o->reject = reject;
	hash_init(&o->table, &holding_ops);
}

void file_owners_fini(struct file_owners *o)
{
	hash_fini(&o->table);
}

bool file_owners_replace(struct file_owners *o, struct file *file,
			 struct object *const *objects, size_t n)
{
	struct holding *old = file->holdings;
	size_t n_old = file->n_holdings;
	bool is_changed = false;

	causes_set_origin(cluster_causes(o->cluster), NULL, file->path);
	file->holdings = n > 0 ? xcalloc(n, sizeof(*file->holdings)) : NULL;
	file->n_holdings = 0;
	for (size_t i = 0; i < n; i++) {
		struct holding *new = &file->holdings[file->n_holdings];

		*new = (struct holding){.object = objects[i], .file = file};
		if (put(o, new, &is_changed))
			file->n_holdings++;
		else
			object_unref(take_ptr(new->object));
	}
	for (size_t i = 0; i < n_old; i++) {
		if (old[i].object)
			drop(o, &old[i], &is_changed);
	}
	causes_set_origin(cluster_causes(o->cluster), NULL, NULL);
	free(old);
	return is_changed;
}
