/*
 * Any bytes as a file of saved objects: they are refused, or each object can be
 * written and read again as an equal one.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "watchers/decode/decode.h"
#include "watchers/saved/object_json.h"
#include "watchers/saved/saved_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* One that nothing is served for is written as a headless one, and labels are not kept. */
static bool may_differ(const struct object *o)
{
	const struct object_service *s = object_as_service(o);

	return o->kind == OBJECT_SERVICE &&
	       (s->n_labels > 0 || (!s->is_headless && !s->has_family[FAMILY_IPV4] &&
				    !s->has_family[FAMILY_IPV6]));
}

static void check_object(const struct object *o)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct decoded again = {.n = 0};
	json_t *json;

	if (!object_json_add(&text, o))
		return;
	assert(strchr(text.data, '\n') == text.data + text.len - 1);
	json = json_loadb(text.data, text.len, 0, NULL);
	assert(json);
	assert(decode_object(json, "", NULL, &again) == 0 && again.n == 1);
	assert(may_differ(o) || object_equal(o, again.objects[0]));
	decoded_fini(&again);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct saved_source source = {"n", "c"};
	struct saved_reader reader;
	size_t half = len / 2;
	int err;

	saved_reader_init(&reader, &source);
	err = saved_reader_feed(&reader, (const char *)bytes, half);
	if (!err)
		err = saved_reader_feed(&reader, (const char *)bytes + half, len - half);
	if (!err)
		err = saved_reader_end(&reader);
	assert((err == 0) == (reader.why == NULL));
	for (size_t i = 0; i < reader.objects.n; i++)
		check_object(reader.objects.objects[i]);
	saved_reader_fini(&reader);
	return 0;
}
