/*
 * Makes objects: copies a struct object_service (slice, node, …) whose strings
 * and arrays are borrowed into one block of its own, of exactly the size it
 * takes.  Equal strings inside one object are kept once; empty ones, not at all.
 */
#pragma once

#include "watchers/objects.h"

/*
 * from->kind says which struct it is; its refs and size_len are ignored.  All
 * padding must be zero, in arrays too: it is part of what object_equal()
 * compares.  Returns one reference.
 */
struct object *object_pack(const struct object *from);
