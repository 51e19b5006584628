/*
 * JSON of one Kubernetes object -> our object.  Unknown fields and kinds are
 * ignored.  A wrong type, a bad address, an impossible port rejects that field
 * (or, where nothing sensible is left, the object) with one line, and
 * everything else goes on.  Numbers of ports, endpoints, … are bounded.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "watchers/objects.h"
#include "watchers/reject.h"

/* v1 Endpoints come to a slice for each of their subsets in each family */
#define DECODED_MAX_OBJECTS 32

struct decoded {
	struct object *objects[DECODED_MAX_OBJECTS];
	size_t n;
};
void decoded_fini(struct decoded *d);

/*
 * Decodes one object that is no List. ret->n is 0 for kinds that we don't know
 * and for rejected objects (0 is returned nevertheless; the rejection was
 * told).  -EINVAL: not even an object with apiVersion and kind, which is told too.
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
 * Calls fn for the object, or for each item of a List (any "…List" kind), nested
 * too.  -EINVAL when it was neither; items that are nothing have only been told.
 */
int decode_any(const json_t *json, const char *source, const struct reject *reject,
	       decode_fn fn, void *data);

/*
 * One item of a List that isn't read as a whole. list is what there is of the
 * List besides (its kind names that of items that don't say it themselves).
 */
void decode_item(const json_t *json, const json_t *list, unsigned number,
		 const char *source, const struct reject *reject, decode_fn fn,
		 void *data);
/* Is its kind "List" or "…List"? */
bool decode_is_list(const json_t *json);
