/*
 * Objects of manifests, and their file of the last known objects.
 */
#pragma once

#include <stddef.h>

#include "watchers/objects.h"
#include "watchers/saved/saved_objects.h"

struct object_set { /* embedded, zeroed */
	struct object **objects;
	size_t n, cap;
};

void object_set_fini(struct object_set *set);
void object_set_add(struct object_set *set, struct object *takes);
/* All documents of a manifest, as an API server's; the test fails if it is not valid. */
void object_set_read(struct object_set *set, const char *yaml);
/* One object as JSON. */
void object_set_read_json(struct object_set *set, const char *json);
/* Writes the file, with this time; makes the folder. 0 or -errno. */
int object_set_save(const struct object_set *set, const char *dir,
		    const struct saved_source *source, int64_t now_us);
