/*
 * Any bytes as a stream of JSON, cut where the first byte says: the parts are
 * the same as those of the whole.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/json_split.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int note(void *data, const struct json_split_part *part)
{
	buf_printf(data, "%d %d %zu %llu %llu ", part->type, part->is_cut, part->len,
		   (unsigned long long)part->line, (unsigned long long)part->items);
	buf_add(data, part->bytes, part->len);
	return 0;
}

static int split(const struct json_split_options *options, const char *bytes, size_t len,
		 size_t piece, struct buf *out)
{
	struct json_split s;
	int rc = 0;

	json_split_init(&s, options, note, out);
	for (size_t at = 0; at < len && rc == 0; at += piece) {
		size_t n = len - at < piece ? len - at : piece;
		_cleanup_(freep) char *copy = xmalloc(n);

		memcpy(copy, bytes + at, n);
		rc = json_split_feed(&s, copy, n);
	}
	if (rc == 0)
		rc = json_split_finish(&s);
	json_split_fini(&s);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct json_split_options options = {.max_depth = 16};
	struct buf whole = BUF_INIT, cut = BUF_INIT;
	const char *bytes = (const char *)data + 2;

	if (len < 2)
		return 0;
	options.cut_items = data[0] & 1;
	options.skip_separators = data[0] & 2;
	options.cut_oversize = data[0] & 8;
	options.max_len = data[0] & 4 ? 64 : 1 << 20;
	if (split(&options, bytes, len - 2, len, &whole) == 0) {
		assert(split(&options, bytes, len - 2, data[1] % 16 + 1, &cut) == 0);
		assert(whole.len == cut.len);
		assert(whole.len == 0 || memcmp(whole.data, cut.data, whole.len) == 0);
	}
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
