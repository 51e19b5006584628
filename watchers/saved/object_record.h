/*
 * An object as a record, from which an equal object is made.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "watchers/objects.h"

/*
 * False, and nothing is added, for an object that programs nothing by itself: Pods,
 * Namespaces, hidden objects, and slices made from v1 Endpoints.
 */
bool object_record_add(struct buf *out, const struct object *o);
/* NULL unless the bytes are one record of an object as decoders could have made it. */
struct object *object_record_read(const void *bytes, size_t len);
