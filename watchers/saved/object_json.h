/*
 * An object as one line of JSON in the form of the API, from which the decoders
 * make an equal object.  Fields with their default value are left out.  Of the labels of
 * Services only the hashes are known: they are a member of their own, "labelHashes".
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "core/buf.h"
#include "watchers/objects.h"

/*
 * False, and nothing is added, for an object that programs nothing by itself: Pods,
 * Namespaces, hidden objects, and slices made from v1 Endpoints.
 */
bool object_json_add(struct buf *out, const struct object *o);

/*
 * Takes a Service as decoded from such a line, and returns one with the line's label
 * hashes; NULL if they are damaged.  Other objects are returned as they are.
 */
struct object *object_json_read_labels(const json_t *json, struct object *takes);
