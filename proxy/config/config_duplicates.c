/*
 * JSON is YAML, so one parser sees both.  Events are followed with a stack of
 * open collections; a mapping remembers its keys.
 */
#include "proxy/config/config_duplicates.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/log.h"
#include "core/mem.h"

#define MAX_NESTING 32

struct key {
	char *text;
	size_t line;
};

struct level {
	bool is_mapping, expects_value;
	struct key *keys; /* of a mapping, in the order of the file */
	size_t n, n_allocated;
};

struct levels {
	struct level open[MAX_NESTING];
	size_t n;
	size_t n_told;
	const char *name;
};

static void key_seen(struct level *level, const yaml_event_t *event)
{
	if (level->n == level->n_allocated) {
		level->n_allocated = 2 * level->n_allocated + 8;
		level->keys = xreallocarray(level->keys, level->n_allocated,
					    sizeof(*level->keys));
	}
	level->keys[level->n++] = (struct key){
		.text = xstrdup((const char *)event->data.scalar.value),
		.line = event->start_mark.line + 1,
	};
}

static int compare_keys(const void *left, const void *right)
{
	const struct key *l = left, *r = right;
	int order = strcmp(l->text, r->text);

	return order ? order : (l->line > r->line) - (l->line < r->line);
}

static void tell(struct levels *l, const struct key *key)
{
	if (l->n_told++ < CONFIG_MAX_WARNINGS)
		log_warn("%s: line %zu: field %s stands there twice; the last one counts",
			 l->name, key->line, key->text);
}

/* Sorted, the same keys are neighbours: a file may hold very many. */
static void close_level(struct levels *l)
{
	struct level *level = &l->open[--l->n];

	if (level->n)
		qsort(level->keys, level->n, sizeof(*level->keys), compare_keys);
	for (size_t i = 1; i < level->n; i++)
		if (strcmp(level->keys[i - 1].text, level->keys[i].text) == 0)
			tell(l, &level->keys[i]);
	for (size_t i = 0; i < level->n; i++)
		free(level->keys[i].text);
	free(level->keys);
}

/* A node begins: as a mapping's child it is a key or a value, in turn. */
static void node_seen(struct levels *l, const yaml_event_t *event)
{
	struct level *level = l->n ? &l->open[l->n - 1] : NULL;

	if (!level || !level->is_mapping)
		return;
	if (!level->expects_value && event->type == YAML_SCALAR_EVENT)
		key_seen(level, event);
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
		close_level(l);
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
		close_level(&l);
	if (l.n_told > CONFIG_MAX_WARNINGS)
		log_warn("%s: and %zu more fields that stand there twice", name,
			 l.n_told - CONFIG_MAX_WARNINGS);
	yaml_parser_delete(&parser);
}
