/*
 * The steps of libyaml's parser, and the meaning of its errors.
 */
#include "watchers/decode/document_yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <yaml.h>

#include "core/buf.h"
#include "core/mem.h"
#include "watchers/decode/yaml_mistake.h"
#include "watchers/decode/yaml_tree.h"

struct document_yaml {
	const char *bytes;
	size_t len;
	document_fn fn;
	void *data;
	yaml_parser_t parser;
	struct yaml_tree tree;
	bool is_end;
	int err;
	char *error; /* one line, with the first err */
};

static const char *likely_mistake(const struct document_yaml *r, size_t line)
{
	return yaml_mistake_find(r->bytes, r->len, line);
}

/* "why, context" of this line (from 0). context: "" for none */
static void fail(struct document_yaml *r, int err, size_t line, const char *why,
		 const char *context)
{
	const char *mistake = err == -EINVAL ? likely_mistake(r, line) : NULL;
	struct buf text = BUF_INIT;

	buf_printf(&text, "line %zu: ", line + 1);
	if (mistake)
		buf_add_string(&text, mistake);
	else
		buf_printf(&text, "%s%s%s", why, *context ? ", " : "", context);
	r->err = err;
	r->error = buf_take(&text);
}

static bool next_event(struct document_yaml *r, yaml_event_t *ret)
{
	const yaml_parser_t *p = &r->parser;
	size_t line;

	if (r->err != 0)
		return false;
	if (yaml_parser_parse(&r->parser, ret))
		return true;
	line = p->context && likely_mistake(r, p->context_mark.line)
		       ? p->context_mark.line
		       : p->problem_mark.line;
	fail(r, -EINVAL, line, p->problem ? p->problem : "is not readable",
	     p->context ? p->context : "");
	return false;
}

static void take_event(struct document_yaml *r, const yaml_event_t *event)
{
	struct yaml_tree *tree = &r->tree;
	int err;

	switch (event->type) {
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
		break;
	case YAML_STREAM_END_EVENT:
		r->is_end = true;
		break;
	case YAML_DOCUMENT_START_EVENT:
		tree->doc.number++;
		break;
	case YAML_DOCUMENT_END_EVENT:
		yaml_tree_end_document(tree, r->fn, r->data);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
	case YAML_ALIAS_EVENT:
	case YAML_SCALAR_EVENT:
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		err = yaml_tree_take(tree, event);
		if (err)
			fail(r, err, tree->line, tree->why, "");
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
	yaml_tree_init(&r->tree);
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
	yaml_tree_fini(&r->tree);
	yaml_parser_delete(&r->parser);
	free(r->error);
	free(r);
}
