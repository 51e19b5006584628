/*
 * libyaml's events -> JSON.  An alias shares what its anchor made instead of
 * copying it, so what it costs is counted, not felt: the number of nodes that
 * aliases stand for is bounded, because whoever walks over the result pays for
 * each of them.  Keys of a mapping are strings, as Kubernetes makes them; the
 * last of two equal ones counts.  Merge keys ("<<") fill in what the mapping
 * doesn't say itself.
 */
#include "watchers/decode/document_yaml.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/buf.h"
#include "core/hash.h"
#include "core/mem.h"
#include "watchers/decode/yaml_scalar.h"

#define MAX_ALIASED_NODES 400000 /* go-yaml's order of magnitude */
#define MAX_KEY_LEN	  4096

struct anchor {
	json_t *json;		/* NULL: still being read */
	size_t n_nodes, serial; /* serial: which of those with this name */
	char name[];
};

struct reading {
	yaml_parser_t parser;
	struct hash anchors; /* of the document */
	size_t n_nodes, n_aliased, n_anchors;
	int err;
	char *error; /* one line, with the first err */
};

static uint64_t anchor_hash(const void *key)
{
	return hash_string(key);
}

static bool anchor_equal(const void *item, const void *key)
{
	return strcmp(((const struct anchor *)item)->name, key) == 0;
}

static const void *anchor_key(const void *item)
{
	return ((const struct anchor *)item)->name;
}

static const struct hash_ops anchor_ops = {
	.hash = anchor_hash,
	.equal = anchor_equal,
	.key = anchor_key,
};

static void anchor_free(struct anchor *a)
{
	if (!a)
		return;
	json_decref(a->json);
	free(a);
}

static void forget_anchors(struct reading *r)
{
	struct anchor *anchor;

	for (size_t i = 0; (anchor = hash_next(&r->anchors, &i));)
		anchor_free(anchor);
	hash_clear(&r->anchors);
}

__attribute__((format(printf, 4, 5))) static json_t *
fail(struct reading *r, int err, const yaml_mark_t *at, const char *fmt, ...)
{
	struct buf line = BUF_INIT;
	va_list ap;

	if (r->err != 0)
		return NULL;
	buf_printf(&line, "line %zu: ", at->line + 1);
	va_start(ap, fmt);
	buf_vprintf(&line, fmt, ap);
	va_end(ap);
	r->err = err;
	r->error = buf_take(&line);
	return NULL;
}

static bool next_event(struct reading *r, yaml_event_t *ret)
{
	const yaml_parser_t *p = &r->parser;

	if (r->err != 0)
		return false;
	if (yaml_parser_parse(&r->parser, ret))
		return true;
	fail(r, -EINVAL, &p->problem_mark, "%s%s%s",
	     p->problem ? p->problem : "is not readable", p->context ? ", " : "",
	     p->context ? p->context : "");
	return false;
}

static json_t *read_node(struct reading *r, const yaml_event_t *event, unsigned depth);

static json_t *read_sequence(struct reading *r, unsigned depth)
{
	json_t *array = json_array();
	yaml_event_t event;

	while (next_event(r, &event)) {
		bool is_end = event.type == YAML_SEQUENCE_END_EVENT;
		json_t *item = is_end ? NULL : read_node(r, &event, depth + 1);

		yaml_event_delete(&event);
		if (is_end)
			return array;
		if (item)
			(void)json_array_append_new(array, item);
	}
	json_decref(array);
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

/* What "<<" names: a mapping, or several of which the first ones count. */
static void merge(struct reading *r, json_t *object, json_t *from, const yaml_mark_t *at)
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

/* One key and what belongs to it; what is to be merged waits in *merges. */
static void read_member(struct reading *r, const yaml_event_t *key_event, unsigned depth,
			json_t *object, json_t *merges)
{
	bool is_merge = is_merge_key(key_event);
	json_t *key = read_node(r, key_event, depth + 1), *value = NULL;
	yaml_event_t event;
	const char *text;
	char buf[32];

	if (key && next_event(r, &event)) {
		value = read_node(r, &event, depth + 1);
		yaml_event_delete(&event);
	}
	text = key ? key_text(key, buf) : NULL;
	if (!value)
		;
	else if (is_merge)
		(void)json_array_append(merges, value);
	else if (!text ||
		 (json_is_string(key) && strlen(text) != json_string_length(key)) ||
		 strlen(text) > MAX_KEY_LEN)
		fail(r, -EINVAL, &key_event->start_mark, "this key can't be one in JSON");
	else
		(void)json_object_set(object, text, value);
	json_decref(key);
	json_decref(value);
}

static json_t *read_mapping(struct reading *r, const yaml_mark_t *at, unsigned depth)
{
	json_t *object = json_object(), *merges = json_array(), *from;
	yaml_event_t event;
	bool is_end = false;
	size_t i;

	while (!is_end && next_event(r, &event)) {
		is_end = event.type == YAML_MAPPING_END_EVENT;
		if (!is_end)
			read_member(r, &event, depth, object, merges);
		yaml_event_delete(&event);
	}
	json_array_foreach(merges, i, from) merge(r, object, from, at);
	json_decref(merges);
	if (r->err == 0)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *read_alias(struct reading *r, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	const struct anchor *anchor = hash_find(&r->anchors, name);

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

static json_t *read_scalar(struct reading *r, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	json_t *json = yaml_scalar_parse(text, event->data.scalar.length, tag, is_plain);

	return json ? json
		    : fail(r, -EINVAL, &event->start_mark,
			   "this is not what its tag says");
}

/* From here on the name means this node, which is still to be read. Answers its serial. */
static size_t begin_anchor(struct reading *r, const char *name)
{
	struct anchor *anchor;
	size_t len = strlen(name) + 1;

	anchor = xcalloc(1, sizeof(*anchor) + len);
	memcpy(anchor->name, name, len);
	anchor->serial = ++r->n_anchors;
	anchor_free(hash_put(&r->anchors, anchor));
	return anchor->serial;
}

/* The node has been read; its name may have got another meaning inside it. */
static void end_anchor(struct reading *r, const char *name, size_t serial, json_t *json,
		       size_t n_nodes)
{
	struct anchor *anchor = hash_find(&r->anchors, name);

	if (!json || !anchor || anchor->serial != serial)
		return;
	anchor->json = json_incref(json);
	anchor->n_nodes = n_nodes;
}

static const void *anchor_of(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor;
	default:
		return NULL;
	}
}

/* The node that begins with this event, which stays the caller's; NULL after fail(). */
static json_t *read_node(struct reading *r, const yaml_event_t *event, unsigned depth)
{
	size_t n_before = r->n_nodes++, serial = 0;
	const char *name = anchor_of(event);
	json_t *json = NULL;

	if (event->type == YAML_ALIAS_EVENT)
		return read_alias(r, event);
	if (depth > DOCUMENT_MAX_DEPTH)
		return fail(r, -E2BIG, &event->start_mark, "is nested too deeply");
	if (name)
		serial = begin_anchor(r, name);
	if (event->type == YAML_SCALAR_EVENT)
		json = read_scalar(r, event);
	else if (event->type == YAML_SEQUENCE_START_EVENT)
		json = read_sequence(r, depth);
	else if (event->type == YAML_MAPPING_START_EVENT)
		json = read_mapping(r, &event->start_mark, depth);
	else
		fail(r, -EINVAL, &event->start_mark, "is not readable");
	if (name)
		end_anchor(r, name, serial, json, r->n_nodes - n_before);
	return json;
}

static void read_document(struct reading *r, unsigned number, document_fn fn, void *data)
{
	yaml_event_t event;
	json_t *json = NULL;

	if (next_event(r, &event)) {
		json = read_node(r, &event, 1);
		yaml_event_delete(&event);
	}
	forget_anchors(r);
	if (next_event(r, &event)) /* the document's end */
		yaml_event_delete(&event);
	if (json && r->err == 0 && !json_is_null(json))
		fn(data, number, json);
	json_decref(json);
}

int document_yaml_parse(const char *bytes, size_t len, document_fn fn, void *data,
			char **ret_error)
{
	struct reading r = {.err = 0};
	unsigned number = 0;
	yaml_event_t event;
	bool is_end = false;

	if (!yaml_parser_initialize(&r.parser))
		return -ENOMEM;
	hash_init(&r.anchors, &anchor_ops);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)bytes, len);
	while (!is_end && next_event(&r, &event)) {
		yaml_event_type_t type = event.type;

		yaml_event_delete(&event);
		is_end = type == YAML_STREAM_END_EVENT;
		if (type == YAML_DOCUMENT_START_EVENT)
			read_document(&r, ++number, fn, data);
	}
	yaml_parser_delete(&r.parser);
	hash_fini(&r.anchors);
	if (r.err != 0)
		*ret_error = r.error;
	return r.err;
}
