/*
 * Keeps the last known objects in a file (watchers/saved/saved_objects.h), so that a
 * node that starts without its API server serves them.  A thread writes the file a
 * few seconds after a change; the loop only collects and releases references.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cluster;
struct ev_loop;
struct saver;

struct saver_params { /* all borrowed until saver_free() */
	struct ev_loop *loop;
	struct cluster *cluster;
	const char *dir; /* it is made; its parent is not */
	const char *node;
	const char *source; /* a text that differs between API servers; copied */
};

/* NULL, with one line in the log, if the folder cannot be used. */
struct saver *saver_new(const struct saver_params *params);
/* Writes what has changed since the last write, and waits for it. */
void saver_free(struct saver *s);

/*
 * Puts the file's objects into the empty cluster. 0 if there are none, which is
 * logged unless the file does not exist; else the time of writing, Unix time, us.
 */
int64_t saver_load(struct saver *s);
/* The cluster has changed and is complete. */
void saver_mark(struct saver *s);
