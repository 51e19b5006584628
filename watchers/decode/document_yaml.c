/*
 * libyaml's events -> JSON, with a stack of the collections that are open.  An
 * alias shares the value of its anchor instead of copying it, so its cost is counted,
 * not felt: the number of nodes that aliases stand for is bounded, because a
 * caller that walks over the result pays for each of them.  Keys of a mapping are
 * strings, as Kubernetes makes them; the last of two equal ones counts.  Merge
 * keys ("<<") fill in the keys that the mapping lacks.
 */
#include "watchers/decode/document_yaml.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/buf.h"
#include "core/hash_keys.h"
#include "core/mem.h"
#include "watchers/decode/yaml_scalar.h"

#define MAX_ALIASED_NODES 400000 /* go-yaml's order of magnitude */
#define MAX_KEY_LEN	  4096

struct anchor {
	char *name;   /* first: the key in the table */
	json_t *json; /* NULL: not read to its end */
	size_t n_nodes;
	struct anchor
		*next; /* of the document, also if the name has another meaning now */
};

/* A sequence or mapping that has not ended. */
struct level {
	json_t *json;
	json_t *merges;	       /* of a mapping: the values of "<<" */
	char *key;	       /* of a mapping: its value comes next */
	bool is_merge;	       /* likewise, of "<<" */
	struct anchor *anchor; /* or NULL */
	size_t n_before;
	yaml_mark_t start;
};

struct document_yaml {
	const char *bytes;
	size_t len;
	document_fn fn;
	void *data;
	yaml_parser_t parser;
	struct level levels[DOCUMENT_MAX_DEPTH];
	unsigned n_levels;
	struct document doc;	    /* json: its root, when it has been read */
	struct anchor *all_anchors; /* of the document */
	struct hash anchors;	    /* by name, as it is now */
	size_t n_nodes, n_aliased;
	bool is_end;
	int err;
	char *error; /* one line, with the first err */
};

static void forget_anchors(struct document_yaml *r)
{
	struct anchor *next;

	for (struct anchor *a = r->all_anchors; a; a = next) {
		next = a->next;
		json_decref(a->json);
		free(a->name);
		free(a);
	}
	r->all_anchors = NULL;
	hash_clear(&r->anchors);
}

/* The line of the text that the mark is on. */
static const char *line_at(const struct document_yaml *r, const yaml_mark_t *at,
			   size_t *ret_len)
{
	const char *start = r->bytes, *end = r->bytes + r->len, *newline;

	for (size_t i = 0; i < at->line; i++) {
		newline = memchr(start, '\n', (size_t)(end - start));
		start = newline ? newline + 1 : end;
	}
	newline = memchr(start, '\n', (size_t)(end - start));
	*ret_len = (size_t)((newline ? newline : end) - start);
	return start;
}

/* The most frequent mistakes have a line of their own; NULL if it is none of them. */
static const char *likely_cause(const struct document_yaml *r, const yaml_mark_t *at)
{
	size_t len, blank = 0;
	const char *line = line_at(r, at, &len);

	if (memmem(line, len, "{{", 2))
		return "looks like a template; render it first, as by helm template";
	while (blank < len && (line[blank] == ' ' || line[blank] == '\t'))
		blank++;
	if (memchr(line, '\t', blank))
		return "a tab, where YAML needs spaces";
	return NULL;
}

__attribute__((format(printf, 4, 5))) static json_t *
fail(struct document_yaml *r, int err, const yaml_mark_t *at, const char *fmt, ...)
{
	const char *cause;
	struct buf line = BUF_INIT;
	va_list ap;

	if (r->err != 0)
		return NULL;
	cause = err == -EINVAL ? likely_cause(r, at) : NULL;
	buf_printf(&line, "line %zu: ", at->line + 1);
	va_start(ap, fmt);
	if (cause)
		buf_add_string(&line, cause);
	else
		buf_vprintf(&line, fmt, ap);
	va_end(ap);
	r->err = err;
	r->error = buf_take(&line);
	return NULL;
}

static bool next_event(struct document_yaml *r, yaml_event_t *ret)
{
	const yaml_parser_t *p = &r->parser;
	const yaml_mark_t *at = &p->problem_mark;

	if (r->err != 0)
		return false;
	if (yaml_parser_parse(&r->parser, ret))
		return true;
	if (p->context && likely_cause(r, &p->context_mark))
		at = &p->context_mark;
	fail(r, -EINVAL, at, "%s%s%s", p->problem ? p->problem : "is not readable",
	     p->context ? ", " : "", p->context ? p->context : "");
	return false;
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
static void merge(struct document_yaml *r, json_t *object, json_t *from,
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
			fail(r, -EINVAL, at, "a merge key needs mappings");
	}
	if (!json_is_array(from))
		fail(r, -EINVAL, at, "a merge key needs a mapping");
}

static bool is_merge_key(const yaml_event_t *event)
{
	return event->type == YAML_SCALAR_EVENT && event->data.scalar.plain_implicit &&
	       event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       event->data.scalar.length == 2 &&
	       memcmp(event->data.scalar.value, "<<", 2) == 0;
}

static void note_duplicate(struct document_yaml *r, const char *key, uint64_t line)
{
	size_t n = r->doc.n_duplicates++;

	if (n >= DOCUMENT_MAX_DUPLICATES)
		return;
	r->doc.duplicates[n].line = line;
	(void)snprintf(r->doc.duplicates[n].key, sizeof(r->doc.duplicates[n].key),
		       "%.63s", key);
}

/* Takes json, as the key that the next node belongs to. */
static void add_key(struct document_yaml *r, struct level *level, json_t *json,
		    bool is_merge, const yaml_mark_t *at)
{
	char buf[32];
	const char *text = key_text(json, buf);

	if (is_merge)
		level->is_merge = true;
	else if (!text || strlen(text) > MAX_KEY_LEN ||
		 (json_is_string(json) && strlen(text) != json_string_length(json)))
		fail(r, -EINVAL, at, "this key cannot be one in JSON");
	else
		level->key = xstrdup(text);
	if (level->key && json_object_get(level->json, level->key))
		note_duplicate(r, level->key, at->line + 1);
	json_decref(json);
}

/* Takes json, a node that is complete, to where it belongs. */
static void add(struct document_yaml *r, json_t *json, bool is_merge,
		const yaml_mark_t *at)
{
	struct level *level = r->n_levels > 0 ? &r->levels[r->n_levels - 1] : NULL;

	if (!json)
		return;
	if (!level) {
		r->doc.json = json;
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
		add_key(r, level, json, is_merge, at);
	}
}

static json_t *read_alias(struct document_yaml *r, const yaml_event_t *event)
{
	const yaml_char_t *name = event->data.alias.anchor;
	const struct anchor *anchor = hash_find(&r->anchors, &name);

	if (!anchor)
		return fail(r, -EINVAL, &event->start_mark, "there is no such anchor");
	if (!anchor->json)
		return fail(r, -EINVAL, &event->start_mark, "an anchor contains itself");
	r->n_nodes += anchor->n_nodes;
	r->n_aliased += anchor->n_nodes;
	if (r->n_aliased > MAX_ALIASED_NODES)
		return fail(r, -E2BIG, &event->start_mark, "aliases expand to too much");
	return json_incref(anchor->json);
}

static json_t *read_scalar(struct document_yaml *r, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	json_t *json = yaml_scalar_parse(text, event->data.scalar.length, tag, is_plain);

	return json ? json
		    : fail(r, -EINVAL, &event->start_mark,
			   "this is not what its tag says");
}

/* From here on the name, if there is one, means this node, which comes next. */
static struct anchor *begin_anchor(struct document_yaml *r, const yaml_char_t *name)
{
	struct anchor *anchor;

	if (!name)
		return NULL;
	anchor = xcalloc(1, sizeof(*anchor));
	anchor->name = xstrdup((const char *)name);
	anchor->next = r->all_anchors;
	r->all_anchors = anchor;
	(void)hash_put(&r->anchors, anchor);
	return anchor;
}

static void end_anchor(struct anchor *anchor, json_t *json, size_t n_nodes)
{
	if (!anchor)
		return;
	anchor->json = json_incref(json);
	anchor->n_nodes = n_nodes;
}

static void push(struct document_yaml *r, json_t *json, json_t *merges,
		 const yaml_char_t *anchor, const yaml_event_t *event)
{
	struct level *level = &r->levels[r->n_levels++];

	*level = (struct level){
		.json = json,
		.merges = merges,
		.anchor = begin_anchor(r, anchor),
		.n_before = r->n_nodes - 1,
		.start = event->start_mark,
	};
}

static void level_fini(struct level *level)
{
	json_decref(level->json);
	json_decref(level->merges);
	free(level->key);
}

static void pop(struct document_yaml *r)
{
	struct level level = r->levels[--r->n_levels];
	json_t *from;
	size_t i;

	json_array_foreach(level.merges, i, from)
		merge(r, level.json, from, &level.start);
	end_anchor(level.anchor, level.json, r->n_nodes - level.n_before);
	if (r->err == 0)
		add(r, json_incref(level.json), false, &level.start);
	level_fini(&level);
}

static void take_scalar(struct document_yaml *r, const yaml_event_t *event)
{
	struct anchor *anchor = begin_anchor(r, event->data.scalar.anchor);
	json_t *json = read_scalar(r, event);

	end_anchor(anchor, json, 1);
	add(r, json, is_merge_key(event), &event->start_mark);
}

static void end_document(struct document_yaml *r)
{
	forget_anchors(r);
	if (r->doc.json && !json_is_null(r->doc.json))
		r->fn(r->data, &r->doc);
	json_decref(r->doc.json);
	r->doc = (struct document){.number = r->doc.number};
}

/* Is the node one too deep? */
static bool is_too_deep(struct document_yaml *r, const yaml_event_t *event)
{
	if (r->n_levels < DOCUMENT_MAX_DEPTH)
		return false;
	fail(r, -E2BIG, &event->start_mark, "is nested too deeply");
	return true;
}

static void take_node(struct document_yaml *r, const yaml_event_t *event)
{
	r->n_nodes++;
	if (event->type == YAML_ALIAS_EVENT)
		add(r, read_alias(r, event), false, &event->start_mark);
	else if (is_too_deep(r, event))
		return;
	else if (event->type == YAML_SCALAR_EVENT)
		take_scalar(r, event);
	else if (event->type == YAML_SEQUENCE_START_EVENT)
		push(r, json_array(), NULL, event->data.sequence_start.anchor, event);
	else
		push(r, json_object(), json_array(), event->data.mapping_start.anchor,
		     event);
}

static void take_event(struct document_yaml *r, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
		break;
	case YAML_STREAM_END_EVENT:
		r->is_end = true;
		break;
	case YAML_DOCUMENT_START_EVENT:
		r->doc.number++;
		break;
	case YAML_DOCUMENT_END_EVENT:
		end_document(r);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		pop(r);
		break;
	case YAML_ALIAS_EVENT:
	case YAML_SCALAR_EVENT:
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		take_node(r, event);
		break;
	}
}

struct document_yaml *document_yaml_new(const char *bytes, size_t len, document_fn fn,
					void *data)
{
	struct document_yaml *r = xcalloc(1, sizeof(*r));

	r->bytes = bytes;
	r->len = len;
	r->fn = fn;
	r->data = data;
	hash_init(&r->anchors, &string_key_ops);
	if (!yaml_parser_initialize(&r->parser))
		abort(); /* out of memory */
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)bytes, len);
	return r;
}

int document_yaml_step(struct document_yaml *r, size_t max_events, char **ret_error)
{
	yaml_event_t event;

	for (size_t i = 0; i < max_events && !r->is_end; i++) {
		if (!next_event(r, &event))
			break;
		take_event(r, &event);
		yaml_event_delete(&event);
	}
	if (r->error) {
		*ret_error = r->error;
		r->error = NULL;
	}
	return r->err != 0 ? r->err : !r->is_end;
}

void document_yaml_free(struct document_yaml *r)
{
	if (!r)
		return;
	while (r->n_levels > 0)
		level_fini(&r->levels[--r->n_levels]);
	json_decref(r->doc.json);
	forget_anchors(r);
	hash_fini(&r->anchors);
	yaml_parser_delete(&r->parser);
	free(r->error);
	free(r);
}
