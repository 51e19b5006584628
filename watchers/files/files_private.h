/*
 * What the parts of the file source share.  Private to files*.c.
 *
 *	files.c		the public side: what waits to be read, and the loop
 *	files_scan.c	which files there are, and which of them changed
 *	files_load.c	one file -> its objects
 *	files_owners.c	which of several files' objects counts
 *	files_watch.c	inotify
 */
#pragma once

#include <ev.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "core/hash.h"
#include "watchers/files/files.h"
#include "watchers/objects.h"

/* A path that was given. */
struct file_source {
	char *path;
	uint32_t rank; /* among the sources, by path */
	bool is_stdin;
	int err; /* why it couldn't be looked at, as told */
};

struct file;

struct file_key {
	const struct file_source *source;
	const char *name; /* in the folder; "" when the source is the file */
};

/* That a file holds an object. */
struct holding {
	struct object *object; /* owned */
	struct file *file;
	struct holding *next; /* the next file's that holds it too, in path order */
};

/* A file that is there, or was when last looked at. */
struct file {
	struct file_key key;
	uint64_t fingerprint; /* of what was read; 0: nothing was */
	struct holding *holdings;
	uint32_t n_holdings;
	uint32_t generation; /* of the scan that saw it last */
	bool is_pending;     /* waits to be read */
	bool is_gone;	     /* seemed to go; to be looked at again */
	bool is_good;	     /* has been read whole once */
	bool is_lasting;     /* can be read again: neither a pipe nor standard input */
	char name[];	     /* key.name */
};

/* Whose objects count. */
struct file_owners { /* embedded in struct files */
	struct cluster *cluster;
	const struct reject *reject;
	struct hash table; /* of the first holding of each object */
};

/* First in, first out. */
struct file_queue {
	struct file **files;
	size_t head, n, cap; /* those in [head, n) wait */
};

struct files {
	struct file_source *sources;
	size_t n_sources;
	const struct reject *reject;
	struct file_owners owners;
	struct hash table; /* of all files, owned */
	struct file_queue pending;
	uint32_t generation;
	char *buffer; /* for reading, while there is something to read */

	struct file_watch *watch;
	struct ev_loop *loop; /* NULL: not following */
	ev_io events;
	ev_timer work;	/* goes on reading what is pending */
	ev_timer later; /* looks again at what seemed to go */
	bool rescan_now, rescan_later;
	int watch_err; /* why not everything is watched, as told */
	void (*changed)(void *data);
	void *data;
};

#define FILE_PATH_LEN (PATH_MAX + NAME_MAX + 2)

/* source path, and the name in it if there is one. */
const char *file_path(const struct file *file, char buf[static FILE_PATH_LEN]);
/* Path order. */
int file_compare(const struct file *a, const struct file *b);
uint64_t file_fingerprint(const struct stat *st);

/* A name in a folder that is read: *.yaml, *.yml or *.json, and not hidden. */
bool files_is_manifest_name(const char *name);
/* NULL when it isn't known. */
struct file *files_find(const struct files *f, const struct file_source *source,
			const char *name);
/* Known from now on; not read yet. */
struct file *files_add(struct files *f, const struct file_source *source,
		       const char *name);
/* Its objects must have gone already. */
void files_forget(struct files *f, struct file *file);
/* Queues it for reading. */
void files_mark(struct files *f, struct file *file);

/*
 * Marks what is new, changed or gone in this source (all: whether it changed
 * or not). -errno when it can't be looked at.
 */
int files_scan(struct files *f, struct file_source *source, bool all);

/* Reads one file; *ret_changed is set when the cluster changed. -errno after telling. */
int files_load(struct files *f, struct file *file, bool *ret_changed);

void file_owners_init(struct file_owners *o, struct cluster *cluster,
		      const struct reject *reject);
void file_owners_fini(struct file_owners *o);
/*
 * These are now the objects of the file; takes the references. Answers whether
 * the cluster changed.
 */
bool file_owners_replace(struct file_owners *o, struct file *file,
			 struct object *const *objects, size_t n);
