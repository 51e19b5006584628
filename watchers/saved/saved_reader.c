#include "watchers/saved/saved_reader.h"

#include <endian.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/json_text.h"
#include "watchers/decode/timestamp.h"
#include "watchers/saved/object_record.h"

#define RECORD_MAX_LEN ((size_t)8 << 20) /* above the largest object of an API server */
#define DAMAGED	       "is damaged"

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

static uint64_t get_u64(const char *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return le64toh(value);
}

static size_t get_len(const char *bytes)
{
	uint32_t len;

	memcpy(&len, bytes, sizeof(len));
	return le32toh(len);
}

static int check_head(struct saved_reader *r, const json_t *json)
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

/* One line. *ret, also below: the number of bytes used, 0 if more are needed. */
static int take_head(struct saved_reader *r, const char *bytes, size_t len, size_t *ret)
{
	const char *end = memchr(bytes, '\n', len);
	json_auto_t *json = NULL;

	if (!end)
		return len <= RECORD_MAX_LEN ? 0 : refuse(r, DAMAGED);
	json = json_loadb(bytes, (size_t)(end - bytes), 0, NULL);
	*ret = (size_t)(end - bytes) + 1;
	return check_head(r, json);
}

static int take_end(struct saved_reader *r, const char *bytes, size_t len, size_t *ret)
{
	const size_t n = r->objects.n + r->objects.n_unusable;

	if (len < SAVED_END_LEN)
		return 0;
	if (get_u64(bytes + SAVED_HEAD_LEN) != n ||
	    get_u64(bytes + SAVED_HEAD_LEN + 8) != r->sum)
		return refuse(r, DAMAGED);
	r->has_end = true;
	*ret = SAVED_END_LEN;
	return 0;
}

static void take_object(struct saved_reader *r, const char *bytes, size_t len)
{
	struct saved_objects *o = &r->objects;
	struct object *object = object_record_read(bytes, len);

	if (!object) {
		o->n_unusable++;
		return;
	}
	o->objects = xgrow(o->objects, o->n, &o->cap, sizeof(struct object *));
	o->objects[o->n++] = object;
}

static int take_record(struct saved_reader *r, const char *bytes, size_t len, size_t *ret)
{
	size_t record_len;

	if (r->has_end)
		return refuse(r, DAMAGED);
	if (len < SAVED_HEAD_LEN)
		return 0;
	record_len = get_len(bytes);
	if (record_len == 0)
		return take_end(r, bytes, len, ret);
	if (record_len > RECORD_MAX_LEN)
		return refuse(r, DAMAGED);
	if (record_len > len - SAVED_HEAD_LEN)
		return 0;
	take_object(r, bytes + SAVED_HEAD_LEN, record_len);
	*ret = SAVED_HEAD_LEN + record_len;
	return 0;
}

static int take(struct saved_reader *r, const char *bytes, size_t len, size_t *ret)
{
	int err;

	*ret = 0;
	if (len == 0)
		return 0;
	err = r->has_head ? take_record(r, bytes, len, ret)
			  : take_head(r, bytes, len, ret);
	if (!err && !r->has_end)
		r->sum = saved_checksum(r->sum, bytes, *ret);
	return err;
}

int saved_reader_feed(struct saved_reader *r, const char *bytes, size_t len)
{
	size_t at = 0, n;
	int err;

	buf_add(&r->rest, bytes, len);
	do {
		err = take(r, r->rest.data + at, r->rest.len - at, &n);
		at += n;
	} while (!err && n > 0);
	buf_drop(&r->rest, at);
	return err;
}

int saved_reader_end(struct saved_reader *r)
{
	return r->has_end && r->rest.len == 0 ? 0 : refuse(r, DAMAGED);
}
