/*
 * JSON of one Kubernetes object -> our object.  Unknown fields and kinds are
 * ignored.  A wrong type, a bad address, an impossible port rejects that field
 * (or, where nothing sensible is left, the object) with one line, and
 * everything else goes on.  Numbers of ports, endpoints, … are bounded.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "watchers/objects.h"
#include "watchers/reject.h"

struct decoded {
	struct object *objects[2]; /* v1 Endpoints may come to two slices */
	size_t n;
};

/*
 * Decodes one object that is no List. ret->n is 0 for kinds that we don't know
 * and for rejected objects (0 is returned nevertheless; the rejection was
 * told).  -EINVAL: not even an object with apiVersion and kind.
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

/* Calls fn for the object, or for each item of a List (any "…List" kind), nested too. */
typedef void (*decode_fn)(void *data, struct object *takes);
int decode_any(const json_t *json, const char *source, const struct reject *reject,
	       decode_fn fn, void *data);
