/*
 * Any stream of JSON as watch events: each comes out as one, or is refused.
 */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "watchers/decode/json_split.h"
#include "watchers/kube/watch_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_event(const struct watch_event *e)
{
	assert(memchr(e->resource_version, 0, sizeof(e->resource_version)));
	assert(memchr(e->reason, 0, sizeof(e->reason)));
	assert(memchr(e->message, 0, sizeof(e->message)));
	if (e->type == WATCH_BOOKMARK || e->type == WATCH_ERROR)
		assert(!e->object);
	else
		assert(*e->name);
	if (e->object)
		assert(strcmp(e->object->name, e->name) == 0 &&
		       strcmp(e->object->ns, e->ns) == 0);
}

static int take(void *data, const struct json_split_part *part)
{
	const enum object_kind *kind = data;
	json_t *json = json_loadb(part->bytes, part->len, JSON_DECODE_ANY, NULL);
	struct watch_event event;

	if (!json)
		return -1;
	if (watch_event_decode(json, *kind, NULL, &event) == 0) {
		check_event(&event);
		watch_event_fini(&event);
	}
	json_decref(json);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct json_split_options options = {.max_len = 1 << 20,
							  .max_depth = 32};
	enum object_kind kind;
	struct json_split s;

	if (len == 0)
		return 0;
	kind = bytes[0] % OBJECT_KIND_N;
	json_split_init(&s, &options, take, &kind);
	if (json_split_feed(&s, (const char *)bytes + 1, len - 1) == 0)
		(void)json_split_finish(&s);
	json_split_fini(&s);
	return 0;
}
