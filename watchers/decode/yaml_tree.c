/*
 * An alias shares the value of its anchor instead of copying it, so its cost is
 * counted, not felt: the number of nodes that aliases stand for is bounded, because a
 * caller that walks over the result pays for each of them.  Keys of a mapping are
 * strings, as Kubernetes makes them; the last of two equal ones counts.  Merge
 * keys ("<<") fill in the keys that the mapping lacks.
 */
#include "watchers/decode/yaml_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash_keys.h"
#include "core/mem.h"
#include "watchers/decode/yaml_scalar.h"

#define MAX_ALIASED_NODES 400000 /* go-yaml's order of magnitude */
#define MAX_KEY_LEN	  4096

struct yaml_anchor {
	char *name;   /* first: the key in the table */
	json_t *json; /* NULL: not read to its end */
	size_t n_nodes;
	struct yaml_anchor
		*next; /* of the document, also if the name has another meaning now */
};

static void forget_anchors(struct yaml_tree *t)
{
	struct yaml_anchor *next;

	for (struct yaml_anchor *a = t->all_anchors; a; a = next) {
		next = a->next;
		json_decref(a->json);
		free(a->name);
		free(a);
	}
	t->all_anchors = NULL;
	hash_clear(&t->anchors);
}

/* The first one counts. */
static json_t *fail(struct yaml_tree *t, int err, const yaml_mark_t *at, const char *why)
{
	if (t->err)
		return NULL;
	t->err = err;
	t->line = at->line;
	t->why = why;
	return NULL;
}

/* A key as text, in buf unless it is a string already; NULL when it can't be one. */
static const char *key_text(const json_t *key, char buf[static 32])
{
	switch (json_typeof(key)) {
	case JSON_STRING:
		return json_string_value(key);
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_INTEGER:
		(void)snprintf(buf, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(key));
		return buf;
	case JSON_REAL:
		(void)snprintf(buf, 32, "%.8g", json_real_value(key));
		return buf;
	case JSON_OBJECT:
	case JSON_ARRAY:
	case JSON_NULL:
		break;
	}
	return NULL;
}

/* The value of "<<": a mapping, or several of which the first ones count. */
static void merge(struct yaml_tree *t, json_t *object, json_t *from,
		  const yaml_mark_t *at)
{
	json_t *item;
	size_t i;

	if (json_is_object(from)) {
		(void)json_object_update_missing(object, from);
		return;
	}
	json_array_foreach(from, i, item)
	{
		if (json_is_object(item))
			(void)json_object_update_missing(object, item);
		else
			fail(t, -EINVAL, at, "a merge key needs mappings");
	}
	if (!json_is_array(from))
		fail(t, -EINVAL, at, "a merge key needs a mapping");
}

static bool is_merge_key(const yaml_event_t *event)
{
	return event->type == YAML_SCALAR_EVENT && event->data.scalar.plain_implicit &&
	       event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       event->data.scalar.length == 2 &&
	       memcmp(event->data.scalar.value, "<<", 2) == 0;
}

static void note_duplicate(struct yaml_tree *t, const char *key, uint64_t line)
{
	size_t n = t->doc.n_duplicates++;

	if (n >= DOCUMENT_MAX_DUPLICATES)
		return;
	t->doc.duplicates[n].line = line;
	(void)snprintf(t->doc.duplicates[n].key, sizeof(t->doc.duplicates[n].key),
		       "%.63s", key);
}

/* Takes json, as the key that the next node belongs to. */
static void add_key(struct yaml_tree *t, struct yaml_level *level, json_t *json,
		    bool is_merge, const yaml_mark_t *at)
{
	char buf[32];
	const char *text = key_text(json, buf);

	if (is_merge)
		level->is_merge = true;
	else if (!text || strlen(text) > MAX_KEY_LEN ||
		 (json_is_string(json) && strlen(text) != json_string_length(json)))
		fail(t, -EINVAL, at, "this key cannot be one in JSON");
	else
		level->key = xstrdup(text);
	if (level->key && json_object_get(level->json, level->key))
		note_duplicate(t, level->key, at->line + 1);
	json_decref(json);
}

/* Takes json, a node that is complete, to where it belongs. */
static void add(struct yaml_tree *t, json_t *json, bool is_merge, const yaml_mark_t *at)
{
	struct yaml_level *level = t->n_levels > 0 ? &t->levels[t->n_levels - 1] : NULL;

	if (!json)
		return;
	if (!level) {
		t->doc.json = json;
	} else if (json_is_array(level->json)) {
		(void)json_array_append_new(level->json, json);
	} else if (level->is_merge) {
		(void)json_array_append_new(level->merges, json);
		level->is_merge = false;
	} else if (level->key) {
		(void)json_object_set_new(level->json, level->key, json);
		free(level->key);
		level->key = NULL;
	} else {
		add_key(t, level, json, is_merge, at);
	}
}

static json_t *read_alias(struct yaml_tree *t, const yaml_event_t *event)
{
	const yaml_char_t *name = event->data.alias.anchor;
	const struct yaml_anchor *anchor = hash_find(&t->anchors, &name);

	if (!anchor)
		return fail(t, -EINVAL, &event->start_mark, "there is no such anchor");
	if (!anchor->json)
		return fail(t, -EINVAL, &event->start_mark, "an anchor contains itself");
	t->n_nodes += anchor->n_nodes;
	t->n_aliased += anchor->n_nodes;
	if (t->n_aliased > MAX_ALIASED_NODES)
		return fail(t, -E2BIG, &event->start_mark, "aliases expand to too much");
	return json_incref(anchor->json);
}

static json_t *read_scalar(struct yaml_tree *t, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	json_t *json = yaml_scalar_parse(text, event->data.scalar.length, tag, is_plain);

	return json ? json
		    : fail(t, -EINVAL, &event->start_mark,
			   "this is not what its tag says");
}

/* From here on the name, if there is one, means this node, which comes next. */
static struct yaml_anchor *begin_anchor(struct yaml_tree *t, const yaml_char_t *name)
{
	struct yaml_anchor *anchor;

	if (!name)
		return NULL;
	anchor = xcalloc(1, sizeof(*anchor));
	anchor->name = xstrdup((const char *)name);
	anchor->next = t->all_anchors;
	t->all_anchors = anchor;
	(void)hash_put(&t->anchors, anchor);
	return anchor;
}

static void end_anchor(struct yaml_anchor *anchor, json_t *json, size_t n_nodes)
{
	if (!anchor)
		return;
	anchor->json = json_incref(json);
	anchor->n_nodes = n_nodes;
}

static void push(struct yaml_tree *t, json_t *json, json_t *merges,
		 const yaml_char_t *anchor, const yaml_event_t *event)
{
	struct yaml_level *level = &t->levels[t->n_levels++];

	*level = (struct yaml_level){
		.json = json,
		.merges = merges,
		.anchor = begin_anchor(t, anchor),
		.n_before = t->n_nodes - 1,
		.start = event->start_mark,
	};
}

static void level_fini(struct yaml_level *level)
{
	json_decref(level->json);
	json_decref(level->merges);
	free(level->key);
}

static void pop(struct yaml_tree *t)
{
	struct yaml_level level = t->levels[--t->n_levels];
	json_t *from;
	size_t i;

	json_array_foreach(level.merges, i, from)
		merge(t, level.json, from, &level.start);
	end_anchor(level.anchor, level.json, t->n_nodes - level.n_before);
	if (t->err == 0)
		add(t, json_incref(level.json), false, &level.start);
	level_fini(&level);
}

static void take_scalar(struct yaml_tree *t, const yaml_event_t *event)
{
	struct yaml_anchor *anchor = begin_anchor(t, event->data.scalar.anchor);
	json_t *json = read_scalar(t, event);

	end_anchor(anchor, json, 1);
	add(t, json, is_merge_key(event), &event->start_mark);
}

/* Is the node one too deep? */
static bool is_too_deep(struct yaml_tree *t, const yaml_event_t *event)
{
	if (t->n_levels < DOCUMENT_MAX_DEPTH)
		return false;
	fail(t, -E2BIG, &event->start_mark, "is nested too deeply");
	return true;
}

static void take_node(struct yaml_tree *t, const yaml_event_t *event)
{
	t->n_nodes++;
	if (event->type == YAML_ALIAS_EVENT)
		add(t, read_alias(t, event), false, &event->start_mark);
	else if (is_too_deep(t, event))
		return;
	else if (event->type == YAML_SCALAR_EVENT)
		take_scalar(t, event);
	else if (event->type == YAML_SEQUENCE_START_EVENT)
		push(t, json_array(), NULL, event->data.sequence_start.anchor, event);
	else
		push(t, json_object(), json_array(), event->data.mapping_start.anchor,
		     event);
}

int yaml_tree_take(struct yaml_tree *t, const yaml_event_t *event)
{
	if (event->type == YAML_SEQUENCE_END_EVENT ||
	    event->type == YAML_MAPPING_END_EVENT)
		pop(t);
	else
		take_node(t, event);
	return t->err;
}

void yaml_tree_end_document(struct yaml_tree *t, document_fn fn, void *data)
{
	forget_anchors(t);
	if (t->doc.json && !json_is_null(t->doc.json))
		fn(data, &t->doc);
	json_decref(t->doc.json);
	t->doc = (struct document){.number = t->doc.number};
}

void yaml_tree_init(struct yaml_tree *t)
{
	*t = (struct yaml_tree){.n_levels = 0};
	hash_init(&t->anchors, &string_key_ops);
}

void yaml_tree_fini(struct yaml_tree *t)
{
	while (t->n_levels > 0)
		level_fini(&t->levels[--t->n_levels]);
	json_decref(t->doc.json);
	forget_anchors(t);
	hash_fini(&t->anchors);
}
