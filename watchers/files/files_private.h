/*
 * Shared by the parts of the file source.  Private to files*.c.
 *
 *	files.c		the public side, and the loop
 *	files_scan.c	which files there are, and which of them changed
 *	files_events.c	the meaning of an event: read one file, scan, or nothing
 *	files_load.c	one file -> its objects, in steps
 *	files_owners.c	which of several files' objects counts
 *	files_watch.c	inotify
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/hash.h"
#include "watchers/files/files.h"
#include "watchers/files/files_watch.h"
#include "watchers/files/manifest.h"
#include "watchers/objects.h"

/* Between scans, and between two readings of a file that events lead to. */
#define FILE_PAUSE_US 50000ull

/* A path of the command line. */
struct file_source {
	char *path;
	bool is_stdin;
	/* of the folder, or of the one that the file is in, when last read */
	dev_t dev;
	ino_t ino;
	bool is_replaced; /* that folder is another one than at the last scan */
	int err;	  /* why it cannot be read, as logged */
};

struct file;

/* That a file holds an object. */
struct holding {
	struct object *object; /* owned */
	struct file *file;
	struct holding *next; /* of the next file in path order that holds it too */
};

struct file {
	const struct file_source *source;
	uint64_t fingerprint; /* of the content that was read; 0: none */
	struct holding *holdings;
	uint32_t n_holdings;
	bool wants_read;
	bool is_once;	  /* a pipe or standard input, which has been read */
	uint64_t gone_us; /* missing or empty since then, perhaps for a moment; 0: not */
	uint64_t read_us; /* when an event led to its last reading */
	char *path;	  /* or "standard input" */
	const char *
		name; /* the part of path in the folder; "" when the source is the file */
};

/* The owners of objects that are in several files. */
struct file_owners { /* embedded in struct files */
	struct cluster *cluster;
	const struct reject *reject;
	struct hash table; /* of the first holding of each object */
};

struct object_list {
	struct object **objects;
	size_t n, cap;
};

/* The file that is being read, over several turns of the loop. */
struct file_loading {
	struct file *file; /* NULL: none */
	int fd;
	struct stat st;
	char *buffer;
	size_t len; /* read by now */
	bool is_read;
	struct manifest manifest;
	struct object_list list;
};

/* When to scan, after an event. */
enum file_scan {
	FILE_SCAN_NONE,
	FILE_SCAN_LATER, /* after a pause */
	FILE_SCAN_SOON,	 /* a folder or link was replaced in one step */
};

struct files {
	struct file_source *sources; /* by path */
	size_t n_sources;
	struct file **files; /* owned, in path order */
	size_t n, cap, next; /* next: where to look for the next one to read */
	size_t n_wanted;     /* files that want to be read */
	const struct reject *reject;
	struct file_owners owners;
	struct file_loading loading;
	bool is_changed; /* the cluster, since this was reported */
	bool is_waiting; /* for a file that may be in the middle of a change */
	bool has_unread, had_unread; /* files to be read: at this scan, at the last one */
	bool is_swapped; /* a folder or link was replaced in one step since the last scan */
	uint64_t swap_us; /* when that last led to a scan without a pause */
	enum file_scan due;

	struct ev_loop *loop; /* NULL: not following */
	struct file_watch watch;
	int watch_err;	/* why not everything is watched, as logged */
	ev_io events;	/* of the watch */
	ev_timer work;	/* reads the files that changed */
	ev_timer pause; /* until the next scan */
	void (*changed)(void *data);
	void *data;
};

/* Path order. */
int file_compare(const struct file *a, const struct file *b);
uint64_t file_fingerprint(const struct stat *st);
struct file *file_new(const struct file_source *source, const char *name);
void file_free(struct file *file);
DEFINE_CLEANUP(struct file *, file_free);
void file_want(struct files *f, struct file *file);
/* Is a file in a folder read that has this name, or is its name reported? */
bool file_name_counts(const char *name);

/*
 * Brings the list of files up to date; those that are new or changed (all: every
 * one) want to be read.  Must not run while a file is being read.  0, or -errno
 * if a source cannot be read.
 */
int files_scan(struct files *f, bool all);

/*
 * Reads a part of a file that wants to be read.  1, 0 if no file is left, or
 * -errno if that file cannot be read (which has been reported).
 */
int files_load_step(struct files *f);
void files_load_abort(struct files *f);

/* For file_watch_read(): marks the file to be read, or raises due. */
void files_take_event(void *data, const struct file_event *event);

void file_owners_init(struct file_owners *o, struct cluster *cluster,
		      const struct reject *reject);
void file_owners_fini(struct file_owners *o);
/*
 * These are now the objects of the file; takes the references. Returns whether
 * the cluster changed.
 */
bool file_owners_replace(struct file_owners *o, struct file *file,
			 struct object *const *objects, size_t n);
