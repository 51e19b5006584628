/*
 * An object that exists but can't be decoded: too large, too deep, not JSON.
 * It is reported by its name, as far as that can be found.
 */
#pragma once

#include <stddef.h>

#include "watchers/objects.h"
#include "watchers/reject.h"

#define BROKEN_NS_LEN	64
#define BROKEN_NAME_LEN 254

struct broken_object {
	char ns[BROKEN_NS_LEN], name[BROKEN_NAME_LEN]; /* "" if unknown */
};

/* bytes: the first ones of the object, or of the watch event around it. */
void broken_object_find(const char *bytes, size_t len, struct broken_object *ret);
void broken_object_reject(const struct broken_object *broken, enum object_kind kind,
			  const struct reject *reject, const char *why);
