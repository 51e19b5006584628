/*
 * What inotify is asked to tell about the paths that are followed.  A watch on
 * each folder on the way to a path, so that it is noticed when any of them is
 * replaced, deleted or made; never one for each file.
 *
 * Private to files*.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct file_source;
struct file_watch;

enum file_news {
	FILE_NEWS_WRITTEN, /* this name holds new content */
	FILE_NEWS_GONE,	   /* this name went, perhaps to come back at once */
	FILE_NEWS_MOVED,   /* what the path means has changed: look at everything */
	FILE_NEWS_UNSURE,  /* the same, but perhaps not for good yet */
};

/* name: in the folder, "" for the source itself. source is NULL when it may be any. */
typedef void (*file_news_fn)(void *data, enum file_news news,
			     const struct file_source *source, const char *name);

/* Watches nothing yet. */
struct file_watch *file_watch_new(void);
void file_watch_free(struct file_watch *w);
/*
 * Watches what the paths mean now and forgets what was watched; whatever
 * happened before is not told. -errno; what could be watched is.
 */
int file_watch_arm(struct file_watch *w, const struct file_source *sources, size_t n);
/* Becomes readable when there is news; another one after each arm. -1: none could be had. */
int file_watch_fd(const struct file_watch *w);
/* Tells all that is there. The fn must not arm. */
void file_watch_read(struct file_watch *w, file_news_fn fn, void *data);
