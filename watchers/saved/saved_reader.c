#include "watchers/saved/saved_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/decode.h"
#include "watchers/decode/json_text.h"
#include "watchers/decode/timestamp.h"
#include "watchers/saved/object_json.h"

#define LINE_MAX_LEN ((size_t)8 << 20) /* above the largest object of an API server */
#define DAMAGED	     "is damaged"

static int refuse(struct saved_reader *r, const char *why)
{
	r->why = why;
	return -EINVAL;
}

void saved_reader_init(struct saved_reader *r, const struct saved_source *source)
{
	*r = (struct saved_reader){.source = source, .sum = SAVED_CHECKSUM_INIT};
}

void saved_reader_fini(struct saved_reader *r)
{
	saved_objects_fini(&r->objects);
	buf_fini(&r->rest);
}

static int take_head(struct saved_reader *r, const json_t *json)
{
	if (strcmp(json_text(json, "kind"), SAVED_KIND) != 0)
		return refuse(r, DAMAGED);
	if (json_integer_value(json_object_get(json, "version")) != SAVED_VERSION)
		return refuse(r, "is of another version");
	if (strcmp(json_text(json, "node"), r->source->node) != 0)
		return refuse(r, "is of another node");
	if (strcmp(json_text(json, "cluster"), r->source->cluster) != 0)
		return refuse(r, "is of another API server");
	if (timestamp_parse(json_text(json, "written"), &r->objects.written_us) != 0)
		return refuse(r, DAMAGED);
	r->has_head = true;
	return 0;
}

static int take_end(struct saved_reader *r, const json_t *json)
{
	json_int_t n = json_integer_value(json_object_get(json, "end"));
	char sum[17];

	(void)snprintf(sum, sizeof(sum), "%016" PRIx64, r->sum);
	if (n < 0 || (size_t)n != r->objects.n + r->objects.n_unusable ||
	    strcmp(json_text(json, "checksum"), sum) != 0)
		return refuse(r, DAMAGED);
	r->has_end = true;
	return 0;
}

static int take_object(struct saved_reader *r, const json_t *json)
{
	struct saved_objects *o = &r->objects;
	struct decoded decoded = {.n = 0};
	struct object *object;

	if (decode_object(json, "", NULL, &decoded) != 0 || decoded.n != 1) {
		decoded_fini(&decoded);
		o->n_unusable++;
		return 0;
	}
	object = object_json_read_labels(json, decoded.objects[0]);
	if (!object)
		return refuse(r, DAMAGED);
	o->objects = xgrow(o->objects, o->n, &o->cap, sizeof(struct object *));
	o->objects[o->n++] = object;
	return 0;
}

static int take_line(struct saved_reader *r, const char *line, size_t len)
{
	bool is_end = r->has_head && len > strlen(SAVED_END_KEY) &&
		      memcmp(line, SAVED_END_KEY, strlen(SAVED_END_KEY)) == 0;
	json_auto_t *json = json_loadb(line, len, 0, NULL);
	int err;

	if (!json || r->has_end)
		return refuse(r, DAMAGED);
	if (is_end)
		return take_end(r, json);
	err = r->has_head ? take_object(r, json) : take_head(r, json);
	r->sum = saved_checksum(r->sum, line, len);
	r->sum = saved_checksum(r->sum, "\n", 1);
	return err;
}

/* The rest of a line that started in an earlier piece. */
static int take_rest(struct saved_reader *r)
{
	int err = take_line(r, r->rest.data, r->rest.len);

	buf_clear(&r->rest);
	return err;
}

int saved_reader_feed(struct saved_reader *r, const char *bytes, size_t len)
{
	const char *end;
	int err = 0;

	while (!err && (end = memchr(bytes, '\n', len))) {
		size_t line_len = (size_t)(end - bytes);

		if (r->rest.len > 0) {
			buf_add(&r->rest, bytes, line_len);
			err = take_rest(r);
		} else {
			err = take_line(r, bytes, line_len);
		}
		bytes = end + 1;
		len -= line_len + 1;
	}
	if (err)
		return err;
	if (r->rest.len + len > LINE_MAX_LEN)
		return refuse(r, DAMAGED);
	buf_add(&r->rest, bytes, len);
	return 0;
}

int saved_reader_end(struct saved_reader *r)
{
	return r->has_end && r->rest.len == 0 ? 0 : refuse(r, DAMAGED);
}
