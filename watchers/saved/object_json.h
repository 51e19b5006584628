/*
 * An object as one line of JSON in the form of the API, from which the decoders
 * make an equal object.  Fields with their default value are left out.  Labels of
 * Services are not kept: only their hashes are known.
 */
#pragma once

#include <stdbool.h>

#include "core/buf.h"
#include "watchers/objects.h"

/*
 * False, and nothing is added, for an object that programs nothing by itself: Pods,
 * Namespaces, hidden objects, and slices made from v1 Endpoints.
 */
bool object_json_add(struct buf *out, const struct object *o);
