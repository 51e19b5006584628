#include "watchers/files/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/document.h"
#include "watchers/decode/document_yaml.h"

#define STEP_EVENTS 2000
#define BOM	    "\xef\xbb\xbf"

/* "web.yaml", and from the second document on "web.yaml, document 2". */
static char *document_name(const struct manifest *m, unsigned number)
{
	if (number <= 1)
		return xstrdup(m->source);
	return xasprintf("%s, document %u", m->source, number);
}

static void report_duplicates(const struct manifest *m, const struct document *doc,
			      const char *name, unsigned item)
{
	for (size_t i = 0; i < doc->n_duplicates && i < DOCUMENT_MAX_DUPLICATES; i++)
		decode_report_duplicate(doc->json, name, item, &m->reject,
					&doc->duplicates[i]);
}

static void take_document(void *data, const struct document *doc)
{
	struct manifest *m = data;
	_cleanup_(freep) char *name = document_name(m, doc->number);

	report_duplicates(m, doc, name, 0);
	(void)decode_any(doc->json, name, &m->reject, m->fn, m->data);
}

/* A List, or an object without a kind, whose items have theirs. */
static bool may_be_list(const json_t *json)
{
	return !json || !json_object_get(json, "kind") || decode_is_list(json);
}

/* Rejects one item or value: the others can be read. */
static void reject_part(const struct manifest *m, const struct json_split_part *part,
			const char *reason)
{
	_cleanup_(freep) char *name = document_name(m, m->n_documents + 1);
	_cleanup_(freep) char *item = NULL;

	if (part->type == JSON_SPLIT_ITEM)
		item = xasprintf("%s, item %" PRIu64, name, part->items);
	reject_source(&m->reject, item ? item : name, reason);
}

/* ret->json is NULL when it has been rejected. */
static int load(struct manifest *m, const struct json_split_part *part,
		struct document *ret)
{
	_cleanup_(freep) char *error = NULL;
	int rc = document_load_json(part->bytes, part->len, part->line, ret, &error);

	if (rc == 0)
		return 0;
	if (rc != -ERANGE) {
		m->error = take_ptr(error);
		return rc;
	}
	reject_part(m, part, error);
	return 0;
}

static int take_item(struct manifest *m, const struct json_split_part *part)
{
	_cleanup_(freep) char *name = NULL;
	struct document doc = {0};
	int rc;

	if (part->items == 1) {
		_cleanup_(freep) char *head = json_split_head(&m->split);

		json_decref(m->list);
		m->list = json_loads(head, 0, NULL);
	}
	rc = load(m, part, &doc);
	if (rc != 0)
		return rc;
	name = document_name(m, m->n_documents + 1);
	if (doc.json && may_be_list(m->list)) {
		report_duplicates(m, &doc, name, (unsigned)part->items);
		decode_item(doc.json, m->list, (unsigned)part->items, name, &m->reject,
			    m->fn, m->data);
	}
	json_decref(doc.json);
	return 0;
}

static int take_value(struct manifest *m, const struct json_split_part *part)
{
	struct document doc = {.number = m->n_documents + 1};
	int rc = load(m, part, &doc);

	if (rc != 0)
		return rc;
	m->n_documents++;
	/* the items of a List have been handed out; nothing else in it counts */
	if (part->items == 0 && doc.json && !json_is_null(doc.json))
		take_document(m, &doc);
	json_decref(doc.json);
	return 0;
}

static int take_part(void *data, const struct json_split_part *part)
{
	struct manifest *m = data;

	return part->type == JSON_SPLIT_ITEM ? take_item(m, part) : take_value(m, part);
}

void manifest_init(struct manifest *m, const char *source, const struct reject *reject,
		   decode_fn fn, void *data)
{
	static const struct json_split_options options = {
		.cut_items = true,
		.skip_separators = true,
		.max_len = DOCUMENT_MAX_LEN,
		.max_depth = DOCUMENT_MAX_DEPTH,
	};

	*m = (struct manifest){
		.source = source,
		.reject = reject ? *reject : (struct reject){.call = NULL},
		.fn = fn,
		.data = data,
	};
	m->reject.is_manifest = true;
	json_split_init(&m->split, &options, take_part, m);
}

void manifest_fini(struct manifest *m)
{
	json_split_fini(&m->split);
	document_yaml_free(m->yaml);
	buf_fini(&m->text);
	json_decref(m->list);
	free(m->error);
}

void manifest_expect(struct manifest *m, size_t len)
{
	m->len = len;
}

static int too_long(const struct manifest *m, char **ret_error)
{
	*ret_error = xasprintf("has %zu bytes of YAML; the limit is %u. Split it, or "
			       "write a List in JSON",
			       m->len, DOCUMENT_MAX_LEN);
	return -E2BIG;
}

int manifest_feed(struct manifest *m, const char *bytes, size_t len)
{
	size_t skip = 0;

	if (m->is_json)
		return json_split_feed(&m->split, bytes, len);
	/* the first piece decides; one of blanks only is taken for YAML */
	if (m->text.len == 0 && document_is_json(bytes, len)) {
		m->is_json = true;
		if (len >= strlen(BOM) && memcmp(bytes, BOM, strlen(BOM)) == 0)
			skip = strlen(BOM);
		return json_split_feed(&m->split, bytes + skip, len - skip);
	}
	if (m->len < m->text.len + len)
		m->len = m->text.len + len;
	if (m->len > DOCUMENT_MAX_LEN)
		return -E2BIG;
	buf_add(&m->text, bytes, len);
	return 0;
}

static int finish_json(struct manifest *m, char **ret_error)
{
	int rc = json_split_finish(&m->split);

	if (rc == 0)
		return 0;
	*ret_error = m->error ? take_ptr(m->error)
			      : document_split_error(rc, json_split_line(&m->split));
	return rc;
}

int manifest_finish(struct manifest *m, char **ret_error)
{
	if (m->is_json)
		return finish_json(m, ret_error);
	if (m->len > DOCUMENT_MAX_LEN)
		return too_long(m, ret_error);
	if (!m->yaml)
		m->yaml = document_yaml_new(buf_string(&m->text), m->text.len,
					    take_document, m);
	return document_yaml_step(m->yaml, STEP_EVENTS, ret_error);
}
