#include "watchers/decode/document.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"
#include "watchers/decode/document_yaml.h"
#include "watchers/decode/json_split.h"

struct json_reading {
	unsigned number;
	document_fn fn;
	void *data;
	char *error;
};

bool document_is_json(const char *bytes, size_t len)
{
	size_t i = 0;

	if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
		i = 3;
	while (i < len && memchr(" \t\r\n", bytes[i], 4))
		i++;
	return i < len && (bytes[i] == '{' || bytes[i] == '[');
}

int document_load_json(const char *bytes, size_t len, uint64_t line, json_t **ret,
		       char **ret_error)
{
	json_error_t error;
	json_t *json = json_loadb(bytes, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

	if (json) {
		*ret = json;
		return 0;
	}
	for (char *c = error.text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	}
	*ret_error = xasprintf("line %" PRIu64 ": %s",
			       line + (error.line > 1 ? (uint64_t)error.line - 1 : 0),
			       error.text);
	return json_error_code(&error) == json_error_numeric_overflow ? -ERANGE : -EINVAL;
}

char *document_split_error(int err, uint64_t line)
{
	return xasprintf("line %" PRIu64 ": %s", line,
			 err == -E2BIG ? "is too long or nested too deeply"
				       : "is no JSON, or not all of it");
}

static int take_json(void *data, const struct json_split_part *part)
{
	struct json_reading *r = data;
	json_t *json;

	if (document_load_json(part->bytes, part->len, part->line, &json, &r->error) != 0)
		return -EINVAL;
	r->number++;
	if (!json_is_null(json))
		r->fn(r->data, r->number, json);
	json_decref(json);
	return 0;
}

static int parse_json(const char *bytes, size_t len, document_fn fn, void *data,
		      char **ret_error)
{
	static const struct json_split_options options = {
		.skip_separators = true,
		.max_len = DOCUMENT_MAX_LEN,
		.max_depth = DOCUMENT_MAX_DEPTH,
	};
	struct json_reading r = {.fn = fn, .data = data};
	struct json_split split;
	int rc;

	json_split_init(&split, &options, take_json, &r);
	rc = json_split_feed(&split, bytes, len);
	if (rc == 0)
		rc = json_split_finish(&split);
	if (rc != 0)
		*ret_error = r.error ? r.error
				     : document_split_error(rc, json_split_line(&split));
	json_split_fini(&split);
	return rc;
}

int document_parse(const char *bytes, size_t len, document_fn fn, void *data,
		   char **ret_error)
{
	if (len > DOCUMENT_MAX_LEN) {
		*ret_error = xasprintf("is longer than %u bytes", DOCUMENT_MAX_LEN);
		return -E2BIG;
	}
	if (!document_is_json(bytes, len))
		return document_yaml_parse(bytes, len, fn, data, ret_error);
	if (*bytes == '\xef') {
		bytes += 3;
		len -= 3;
	}
	return parse_json(bytes, len, fn, data, ret_error);
}
