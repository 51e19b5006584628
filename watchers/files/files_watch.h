/*
 * Reports changes at the paths that are followed.  Each folder on the way to a
 * path is watched, also those that links lead through, so that it is noticed
 * when any of them is replaced, deleted or made; single files are not.
 *
 * Private to files*.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct file_source;

struct file_event {
	/* the path that the event belongs to, or NULL: a folder or link on the way to one */
	const struct file_source *source;
	const char *name; /* of the file in the source's folder; "": the source itself */
	bool is_moved_in; /* it has been renamed to this name */
	bool is_closed;	  /* a writer has closed it */
	bool is_folder;
};

typedef void (*file_event_fn)(void *data, const struct file_event *event);

struct file_watch { /* embedded */
	int fd;	    /* -1: none; readable when there are events */
	struct file_watch_entry *entries;
	size_t n, cap;
	struct file_watch_entry *old; /* while the paths are watched again */
	size_t n_old;
};

void file_watch_init(struct file_watch *w);
void file_watch_fini(struct file_watch *w);
/*
 * To watch the present targets of the paths: begin, add each path, end, which drops
 * watches that were not added again.  Begin: 0, or -errno and no path can be added.
 */
int file_watch_begin(struct file_watch *w);
/* 0, or -errno; the folders that can be watched are. */
int file_watch_add(struct file_watch *w, const char *path,
		   const struct file_source *source);
void file_watch_end(struct file_watch *w);
/* Reads a bounded number of events, and passes on those that belong to a path. */
void file_watch_read(struct file_watch *w, file_event_fn fn, void *data);
