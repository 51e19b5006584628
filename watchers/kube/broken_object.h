/*
 * An object that is there but can't be decoded: too large, too deep, no JSON.
 * It is told of by its name as far as that can be found, so that it costs
 * nobody else anything.
 */
#pragma once

#include <stddef.h>

#include "watchers/objects.h"
#include "watchers/reject.h"

/* bytes: how it begins, of itself or of the watch event around it. */
void broken_object_tell(const struct reject *reject, enum object_kind kind,
			const char *bytes, size_t len, const char *why);
