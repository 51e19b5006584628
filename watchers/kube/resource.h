/*
 * What each kind of object is called in the API, and how it is asked for: the
 * paths, selectors and parameters of LIST and WATCH.
 */
#pragma once

#include "watchers/objects.h"

struct buf;
struct reflector_request;

const char *resource_name(enum object_kind kind); /* "services" */

/* The path and query of a call. node_name is for the Node's field selector. */
void resource_format_path(enum object_kind kind, const char *node_name,
			  const struct reflector_request *request, struct buf *out);
