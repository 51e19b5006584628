/*
 * The API's name of each kind of object, and the paths, selectors and parameters
 * of its LIST and WATCH requests.
 */
#pragma once

#include "watchers/objects.h"

struct buf;
struct reflector_request;

const char *resource_name(enum object_kind kind); /* "services" */
/* The header Accept of a LIST or WATCH; NULL: the usual one. */
const char *resource_accept(enum object_kind kind, bool is_list);

/* The path and query of a call. node_name is for the Node's field selector. */
void resource_format_path(enum object_kind kind, const char *node_name,
			  const struct reflector_request *request, struct buf *out);
