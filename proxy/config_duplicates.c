/*
 * JSON is YAML, so one parser sees both.  Events are followed with a stack of
 * open collections; a mapping remembers its keys.
 */
#include "proxy/config_duplicates.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/log.h"
#include "proxy/value.h"

#define MAX_NESTING 32

struct level {
	bool is_mapping, expects_value;
	struct strings keys;
};

struct levels {
	struct level open[MAX_NESTING];
	size_t n;
	const char *name;
};

static bool has_key(const struct strings *keys, const char *key)
{
	for (size_t i = 0; i < keys->n; i++)
		if (strcmp(keys->items[i], key) == 0)
			return true;
	return false;
}

static void key_seen(struct levels *l, struct level *level, const yaml_event_t *event)
{
	const char *key = (const char *)event->data.scalar.value;

	if (has_key(&level->keys, key))
		log_warn("%s: line %zu: field %s stands there twice; the last one counts",
			 l->name, event->start_mark.line + 1, key);
	else
		strings_add(&level->keys, key);
}

/* A node begins: as a mapping's child it is a key or a value, in turn. */
static void node_seen(struct levels *l, const yaml_event_t *event)
{
	struct level *level = l->n ? &l->open[l->n - 1] : NULL;

	if (!level || !level->is_mapping)
		return;
	if (!level->expects_value && event->type == YAML_SCALAR_EVENT)
		key_seen(l, level, event);
	level->expects_value = !level->expects_value;
}

static bool event_seen(struct levels *l, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
	case YAML_ALIAS_EVENT:
		node_seen(l, event);
		return true;
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		node_seen(l, event);
		if (l->n == MAX_NESTING)
			return false;
		l->open[l->n++] = (struct level){
			.is_mapping = event->type == YAML_MAPPING_START_EVENT,
		};
		return true;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		strings_fini(&l->open[--l->n].keys);
		return true;
	default:
		return event->type != YAML_STREAM_END_EVENT;
	}
}

void config_duplicates_warn(const char *bytes, size_t len, const char *name)
{
	struct levels l = {.name = name};
	bool goes_on = true;
	yaml_parser_t parser;
	yaml_event_t event;

	if (!yaml_parser_initialize(&parser))
		return;
	yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, len);
	while (goes_on && yaml_parser_parse(&parser, &event)) {
		goes_on = event_seen(&l, &event);
		yaml_event_delete(&event);
	}
	while (l.n)
		strings_fini(&l.open[--l.n].keys);
	yaml_parser_delete(&parser);
}
