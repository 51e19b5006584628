/*
 * The bytes of one manifest, fed piece by piece -> objects.  JSON is read item
 * by item as it comes; YAML is kept until its end.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "watchers/decode/decode.h"
#include "watchers/decode/json_split.h"
#include "watchers/reject.h"

struct manifest {	    /* embedded */
	const char *source; /* borrowed: what to call it */
	const struct reject *reject;
	decode_fn fn;
	void *data;
	bool is_json, is_too_long;
	size_t expected_len;
	struct buf text; /* until it is known to be JSON */
	struct json_split split;
	json_t *list; /* what is known of the List whose items are coming */
	unsigned n_documents;
	char *error;
};

void manifest_init(struct manifest *m, const char *source, const struct reject *reject,
		   decode_fn fn, void *data);
void manifest_fini(struct manifest *m);

/* So much will come, 0: nobody knows. What would be too long in the end is not begun. */
void manifest_expect(struct manifest *m, size_t len);
/*
 * 0, -EINVAL (not parsable) or -E2BIG (a limit); it stays with that.  Objects
 * before the bad place have been handed out.
 */
int manifest_feed(struct manifest *m, const char *bytes, size_t len);
/* All bytes have come. After an error *ret_error is one line, for the caller to free. */
int manifest_finish(struct manifest *m, char **ret_error);
