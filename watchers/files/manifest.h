/*
 * The bytes of one manifest, fed piece by piece -> objects.  JSON is read item
 * by item as it comes; YAML is kept until its end, and then parsed in steps.
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
	const char *source; /* borrowed: its name in messages */
	struct reject reject;
	decode_fn fn;
	void *data;
	bool is_json;
	size_t len;	 /* of the file: its expected size, or the bytes so far */
	struct buf text; /* unless it is JSON */
	struct document_yaml *yaml;
	struct json_split split;
	json_t *list; /* the fields before the items of the List that is being read */
	unsigned n_documents;
	char *error;
};

void manifest_init(struct manifest *m, const char *source, const struct reject *reject,
		   decode_fn fn, void *data);
void manifest_fini(struct manifest *m);

/* The size, if it is known: a file that is too long is not read. */
void manifest_expect(struct manifest *m, size_t len);
/*
 * 0, -EINVAL (cannot be parsed) or -E2BIG (a limit), then and in all later calls.
 * Objects before the bad place have been handed out.
 */
int manifest_feed(struct manifest *m, const char *bytes, size_t len);
/*
 * To be called after the last byte until it does not return 1. 0, or -errno and
 * *ret_error is one line, for the caller to free.
 */
int manifest_finish(struct manifest *m, char **ret_error);
