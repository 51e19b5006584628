/*
 * The objects of a cluster in a file, for a start without the API server: a line of
 * JSON that names the version, the node and the cluster; a record for each object
 * (object_record.h) after its length; an end with their number and a checksum of all
 * bytes before it.  Records are a tenth of the work of JSON, and a third of its size.
 *
 * A file is read only if it is a regular file of this user that others cannot
 * write, and complete, of this version, node and cluster.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "watchers/objects.h"

#define SAVED_OBJECTS_FILE    "objects"
#define SAVED_OBJECTS_MAX_LEN ((size_t)256 << 20)

struct saved_source { /* whose objects they are */
	const char *node;
	const char *cluster; /* equal text: the same API server */
};

struct saved_objects { /* embedded, zeroed */
	struct object **objects;
	size_t n, cap;
	size_t n_unusable;  /* that this version does not accept: they are left out */
	int64_t written_us; /* Unix time */
};

void saved_objects_fini(struct saved_objects *s);

/*
 * Replaces the file in dir, a folder that exists, or leaves the old one; it is on the
 * disk when this returns.  "objects.json" of an older version is removed then.  May run
 * in a thread beside users of the objects.  0, or -errno; -EFBIG, with the old file
 * removed, if it would be larger than SAVED_OBJECTS_MAX_LEN. *ret_len: bytes written.
 */
int saved_objects_write(const char *dir, const struct saved_source *source,
			int64_t now_us, struct object *const *objects, size_t n,
			size_t *ret_len);

/* 0, -ENOENT without a file, or -errno with the reason, a constant text. */
int saved_objects_read(const char *dir, const struct saved_source *source,
		       struct saved_objects *ret, const char **ret_why);
