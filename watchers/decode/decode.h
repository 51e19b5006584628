/*
 * JSON of one Kubernetes object -> our object.  Unknown fields and kinds are
 * ignored.  A wrong type, a bad address, an impossible port rejects that field
 * (or, if it is essential, the object) with one report, and the rest counts.
 * Numbers of ports, endpoints, … are bounded.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "watchers/objects.h"
#include "watchers/decode/document.h"
#include "watchers/reject.h"

/* v1 Endpoints come to a slice for each of their subsets in each family */
#define DECODED_MAX_OBJECTS 32

struct decoded {
	struct object *objects[DECODED_MAX_OBJECTS];
	size_t n;
};
void decoded_fini(struct decoded *d);

/*
 * Decodes one object that is not a List. ret->n is 0 for unknown kinds and for
 * rejected objects, which are reported; 0 is returned nevertheless.  -EINVAL, with a
 * report: not an object with apiVersion and kind.
 * The caller owns a reference of each object in *ret.
 */
int decode_object(const json_t *json, const char *source, const struct reject *reject,
		  struct decoded *ret);

/*
 * The same when the kind is known from elsewhere (items of a LIST answer have
 * neither apiVersion nor kind).
 */
int decode_kind(const json_t *json, enum object_kind kind, const char *source,
		const struct reject *reject, struct decoded *ret);

typedef void (*decode_fn)(void *data, struct object *takes);

/*
 * Of a manifest: calls fn for the object, or for each item of a List (any "…List"
 * kind), nested too.  -EINVAL if it is neither; invalid items are only reported.
 */
int decode_any(const json_t *json, const char *source, const struct reject *reject,
	       decode_fn fn, void *data);

/*
 * One item of a List that is not read as a whole. list has its other fields (its
 * kind gives that of items that have none themselves).
 */
void decode_item(const json_t *json, const json_t *list, unsigned number,
		 const char *source, const struct reject *reject, decode_fn fn,
		 void *data);
/* Is its kind "List" or "…List"? */
bool decode_is_list(const json_t *json);
/* Reports a key that an object of a known kind, or a List, has twice. item: 0, or of a List. */
void decode_report_duplicate(const json_t *json, const char *source, unsigned item,
			     const struct reject *reject,
			     const struct document_duplicate *duplicate);
