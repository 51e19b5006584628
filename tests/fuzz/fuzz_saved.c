/*
 * Any bytes as a file of saved objects: they are refused, or each object can be
 * written and read again as an equal one.
 */
#include <assert.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "watchers/saved/object_record.h"
#include "watchers/saved/saved_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_object(const struct object *o)
{
	_cleanup_(buf_fini) struct buf bytes = BUF_INIT;
	struct object *again;

	assert(object_record_add(&bytes, o));
	again = object_record_read(bytes.data, bytes.len);
	assert(again && object_equal(o, again));
	object_unref(again);
}

/* The bytes as one record: a checksum does not stop the fuzzer there. */
static void check_record(const uint8_t *bytes, size_t len)
{
	struct object *o = object_record_read(bytes, len);

	if (!o)
		return;
	check_object(o);
	object_unref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct saved_source source = {"n", "c"};
	struct saved_reader reader;
	size_t half = len / 2;
	int err;

	check_record(bytes, len);
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
