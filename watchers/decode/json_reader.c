#include "watchers/decode/json_reader.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"

#define QUOTE_LEN 80

struct json_reader json_reader_root(const json_t *json, struct json_subject *subject)
{
	return (struct json_reader){.json = json, .subject = subject};
}

/* "spec.ports[1].name", "metadata.labels["a.b/c"]" */
static void format_path(struct buf *out, const struct json_reader *r)
{
	if (!r->up)
		return;
	format_path(out, r->up);
	if (!r->key)
		buf_printf(out, "[%zu]", r->index);
	else if (strpbrk(r->key, "./"))
		buf_printf(out, "[\"%s\"]", r->key);
	else
		buf_printf(out, "%s%s", out->len > 0 ? "." : "", r->key);
}

static void report(const struct json_reader *r, const char *reason)
{
	const struct json_subject *s = r->subject;
	_cleanup_(buf_fini) struct buf path = BUF_INIT, source = BUF_INIT;

	format_path(&path, r);
	buf_add_string(&source, s->source);
	if (s->item > 0)
		buf_printf(&source, "%sitem %u", source.len > 0 ? ", " : "", s->item);
	reject_call(s->reject, &(struct rejection){
				       .source = buf_string(&source),
				       .kind = s->kind,
				       .ns = s->ns,
				       .name = s->name,
				       .field = buf_string(&path),
				       .reason = reason,
			       });
}

void json_reader_reject(const struct json_reader *r, const char *fmt, ...)
{
	_cleanup_(buf_fini) struct buf reason = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&reason, fmt, ap);
	va_end(ap);
	report(r, buf_string(&reason));
}

/* Printable, bounded, and still valid UTF-8: the text is foreign. */
static void quote(const char *text, char ret[static QUOTE_LEN])
{
	size_t len = strlen(text), n = 0;
	bool is_cut = len > QUOTE_LEN - 6;

	if (is_cut)
		len = QUOTE_LEN - 6;
	while (is_cut && len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	ret[n++] = '"';
	for (size_t i = 0; i < len; i++)
		ret[n++] = (unsigned char)text[i] < ' ' || text[i] == 127 ? '?' : text[i];
	memcpy(ret + n, is_cut ? "...\"" : "\"", is_cut ? 5 : 2);
}

void json_reader_reject_text(const struct json_reader *r, const char *fmt,
			     const char *text)
{
	_cleanup_(buf_fini) struct buf reason = BUF_INIT;
	const char *hole = strstr(fmt, "%s");
	char quoted[QUOTE_LEN];

	quote(text, quoted);
	buf_add(&reason, fmt, (size_t)(hole - fmt));
	buf_add_string(&reason, quoted);
	buf_add_string(&reason, hole + 2);
	report(r, buf_string(&reason));
}

static struct json_reader checked(struct json_reader r, json_type type,
				  const char *wanted)
{
	if (r.json && json_typeof(r.json) != type) {
		json_reader_reject(&r, "must be %s", wanted);
		r.json = NULL;
	}
	return r;
}

struct json_reader json_reader_member(const struct json_reader *r, const char *key)
{
	const json_t *json = json_object_get(r->json, key);

	return (struct json_reader){
		.json = json_is_null(json) ? NULL : json,
		.subject = r->subject,
		.up = r,
		.key = key,
	};
}

struct json_reader json_reader_object(const struct json_reader *r, const char *key)
{
	return checked(json_reader_member(r, key), JSON_OBJECT, "an object");
}

struct json_reader json_reader_array(const struct json_reader *r, const char *key)
{
	return checked(json_reader_member(r, key), JSON_ARRAY, "a list");
}

size_t json_reader_n(const struct json_reader *array, size_t max)
{
	size_t n = json_array_size(array->json);

	if (n <= max)
		return n;
	json_reader_reject(array, "has %zu items, those after the first %zu are ignored",
			   n, max);
	return max;
}

struct json_reader json_reader_item(const struct json_reader *array, size_t i)
{
	const json_t *json = json_array_get(array->json, i);

	return (struct json_reader){
		.json = json_is_null(json) ? NULL : json,
		.subject = array->subject,
		.up = array,
		.index = i,
	};
}

const char *json_reader_text(const struct json_reader *r)
{
	const char *text = json_string_value(r->json);
	size_t len = json_string_length(r->json);

	if (!r->json)
		return NULL;
	if (!text) {
		json_reader_reject(r, "must be a string");
		return NULL;
	}
	if (len > JSON_READER_MAX_TEXT) {
		json_reader_reject(r, "is longer than %d bytes", JSON_READER_MAX_TEXT);
		return NULL;
	}
	if (memchr(text, '\0', len)) {
		json_reader_reject(r, "has a NUL byte in it");
		return NULL;
	}
	return text;
}

bool json_reader_number(const struct json_reader *r, int64_t min, int64_t max,
			int64_t *ret)
{
	int64_t value = json_integer_value(r->json);

	if (!r->json)
		return false;
	if (!json_is_integer(r->json)) {
		json_reader_reject(r, "must be a whole number");
		return false;
	}
	if (value < min || value > max) {
		json_reader_reject(r, "%" PRId64 " is not in %" PRId64 "..%" PRId64,
				   value, min, max);
		return false;
	}
	*ret = value;
	return true;
}

const char *json_reader_get_text(const struct json_reader *r, const char *key)
{
	struct json_reader member = json_reader_member(r, key);
	const char *text = json_reader_text(&member);

	return text ? text : "";
}

int64_t json_reader_get_number(const struct json_reader *r, const char *key, int64_t min,
			       int64_t max, int64_t fallback)
{
	struct json_reader member = json_reader_member(r, key);

	(void)json_reader_number(&member, min, max, &fallback);
	return fallback;
}

bool json_reader_get_bool(const struct json_reader *r, const char *key, bool fallback)
{
	struct json_reader member = json_reader_member(r, key);

	if (!member.json)
		return fallback;
	if (!json_is_boolean(member.json)) {
		json_reader_reject(&member, "must be true or false");
		return fallback;
	}
	return json_is_true(member.json);
}
