#include "watchers/files/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/document.h"

#define BOM "\xef\xbb\xbf"

/* "web.yaml", and from the second document on "web.yaml, document 2". */
static char *document_name(const struct manifest *m, unsigned number)
{
	if (number <= 1)
		return xstrdup(m->source);
	return xasprintf("%s, document %u", m->source, number);
}

static void take_document(void *data, unsigned number, json_t *json)
{
	struct manifest *m = data;
	_cleanup_(freep) char *name = document_name(m, number);

	(void)decode_any(json, name, m->reject, m->fn, m->data);
}

/* A List, or it doesn't say what it is and its items will. */
static bool may_be_list(const json_t *json)
{
	return !json || !json_object_get(json, "kind") || decode_is_list(json);
}

/* Left out alone: what is around it can be read. */
static void reject_part(const struct manifest *m, const struct json_split_part *part,
			const char *reason)
{
	_cleanup_(freep) char *name = document_name(m, m->n_documents + 1);
	_cleanup_(freep) char *item = NULL;

	if (part->type == JSON_SPLIT_ITEM)
		item = xasprintf("%s, item %" PRIu64, name, part->items);
	reject_call(m->reject, &(struct rejection){
				       .source = item ? item : name,
				       .kind = "",
				       .ns = "",
				       .name = "",
				       .field = "",
				       .reason = reason,
			       });
}

/* *ret is NULL when it has been rejected. */
static int load(struct manifest *m, const struct json_split_part *part, json_t **ret)
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
	*ret = NULL;
	return 0;
}

static int take_item(struct manifest *m, const struct json_split_part *part)
{
	_cleanup_(freep) char *name = NULL;
	json_t *json;
	int rc;

	if (part->items == 1) {
		_cleanup_(freep) char *head = json_split_head(&m->split);

		json_decref(m->list);
		m->list = json_loads(head, 0, NULL);
	}
	rc = load(m, part, &json);
	if (rc != 0)
		return rc;
	name = document_name(m, m->n_documents + 1);
	if (json && may_be_list(m->list))
		decode_item(json, m->list, (unsigned)part->items, name, m->reject, m->fn,
			    m->data);
	json_decref(json);
	return 0;
}

static int take_value(struct manifest *m, const struct json_split_part *part)
{
	json_t *json;
	int rc = load(m, part, &json);

	if (rc != 0)
		return rc;
	m->n_documents++;
	/* one whose items have been handed out has nothing more to say */
	if (part->items == 0 && json && !json_is_null(json))
		take_document(m, m->n_documents, json);
	json_decref(json);
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
		.reject = reject,
		.fn = fn,
		.data = data,
	};
	json_split_init(&m->split, &options, take_part, m);
}

void manifest_fini(struct manifest *m)
{
	json_split_fini(&m->split);
	buf_fini(&m->text);
	json_decref(m->list);
	free(m->error);
}

void manifest_expect(struct manifest *m, size_t len)
{
	m->expected_len = len;
}

int manifest_feed(struct manifest *m, const char *bytes, size_t len)
{
	size_t skip = 0;

	if (m->is_json)
		return json_split_feed(&m->split, bytes, len);
	/* the first piece tells; only of blanks nobody can tell */
	if (m->text.len == 0 && document_is_json(bytes, len)) {
		m->is_json = true;
		if (len >= strlen(BOM) && memcmp(bytes, BOM, strlen(BOM)) == 0)
			skip = strlen(BOM);
		return json_split_feed(&m->split, bytes + skip, len - skip);
	}
	m->is_too_long |= m->expected_len > DOCUMENT_MAX_LEN || len > DOCUMENT_MAX_LEN ||
			  m->text.len > DOCUMENT_MAX_LEN - len;
	if (m->is_too_long)
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
	if (m->is_too_long) {
		*ret_error = xasprintf("is longer than %u bytes", DOCUMENT_MAX_LEN);
		return -E2BIG;
	}
	return document_parse(buf_string(&m->text), m->text.len, take_document, m,
			      ret_error);
}
