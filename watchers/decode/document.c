#include "watchers/decode/document.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "watchers/decode/document_yaml.h"

#define BOM	"\xef\xbb\xbf"
#define BOM_LEN 3

static bool has_bom(const char *bytes, size_t len)
{
	return len >= BOM_LEN && memcmp(bytes, BOM, BOM_LEN) == 0;
}

bool document_is_json(const char *bytes, size_t len)
{
	size_t i = has_bom(bytes, len) ? BOM_LEN : 0;

	while (i < len && memchr(" \t\r\n", bytes[i], 4))
		i++;
	/* "{{" starts a template, of which the YAML parser says so */
	return i < len && (bytes[i] == '[' ||
			   (bytes[i] == '{' && (i + 1 == len || bytes[i + 1] != '{')));
}

static uint64_t line_of(uint64_t first, const json_error_t *error)
{
	return first + (error->line > 1 ? (uint64_t)error->line - 1 : 0);
}

/* jansson's text ends with: near '"key"'. */
static void note_duplicate(struct document *doc, uint64_t line, const json_error_t *error)
{
	struct document_duplicate *d = &doc->duplicates[doc->n_duplicates++];
	const char *key = strchr(error->text, '"'), *end = strrchr(error->text, '"');

	d->line = line_of(line, error);
	if (key && end > key)
		(void)snprintf(d->key, sizeof(d->key), "%.*s", (int)(end - key - 1),
			       key + 1);
}

int document_load_json(const char *bytes, size_t len, uint64_t line, struct document *ret,
		       char **ret_error)
{
	size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
	json_error_t error;

	ret->json = json_loadb(bytes, len, flags | JSON_REJECT_DUPLICATES, &error);
	if (!ret->json && json_error_code(&error) == json_error_duplicate_key) {
		note_duplicate(ret, line, &error);
		ret->json = json_loadb(bytes, len, flags, &error);
	}
	if (ret->json)
		return 0;
	for (char *c = error.text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	}
	*ret_error = xasprintf("line %" PRIu64 ": %s", line_of(line, &error), error.text);
	switch (json_error_code(&error)) {
	case json_error_numeric_overflow:
		return -ERANGE;
	case json_error_stack_overflow:
		return -E2BIG;
	default:
		return -EINVAL;
	}
}

char *document_split_error(int err, uint64_t line)
{
	if (err == -E2BIG)
		return xasprintf("line %" PRIu64 ": a value is longer than %u MiB, or "
				 "nested deeper than %u levels",
				 line, DOCUMENT_MAX_LEN >> 20, DOCUMENT_MAX_DEPTH);
	return xasprintf("line %" PRIu64 ": is not valid JSON, or is truncated", line);
}

static int parse_json(const char *bytes, size_t len, document_fn fn, void *data,
		      char **ret_error)
{
	size_t skip = has_bom(bytes, len) ? BOM_LEN : 0;
	struct document doc = {.number = 1};
	int rc = document_load_json(bytes + skip, len - skip, 1, &doc, ret_error);

	if (rc != 0)
		return rc == -ERANGE ? -EINVAL : rc;
	fn(data, &doc);
	json_decref(doc.json);
	return 0;
}

int document_parse(const char *bytes, size_t len, document_fn fn, void *data,
		   char **ret_error)
{
	struct document_yaml *yaml;
	int rc;

	if (len > DOCUMENT_MAX_LEN) {
		*ret_error = xasprintf("has %zu bytes; the limit is %u", len,
				       DOCUMENT_MAX_LEN);
		return -E2BIG;
	}
	if (document_is_json(bytes, len))
		return parse_json(bytes, len, fn, data, ret_error);
	yaml = document_yaml_new(bytes, len, fn, data);
	while ((rc = document_yaml_step(yaml, SIZE_MAX, ret_error)) == 1)
		;
	document_yaml_free(yaml);
	return rc;
}
