/*
 * A loop and a temporary folder for unit tests with files or timers.  Closing
 * removes the folder with its contents.  A test's own state embeds it.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>

struct world {
	struct ev_loop *loop;
	char folder[64];
};

void world_open(struct world *w);
void world_close(struct world *w);

/* The path of a name in the folder; the caller frees it. */
char *world_path(const struct world *w, const char *name);
/* Writes a file; missing folders are made. */
void world_write(const struct world *w, const char *name, const char *text);
/* The text of a file, "" if it does not exist; the caller frees it. */
char *world_read(const struct world *w, const char *name);
void world_make_folder(const struct world *w, const char *name);
void world_make_fifo(const struct world *w, const char *name);
/* A symbolic link; the target is relative to the folder of the link, or absolute. */
void world_link(const struct world *w, const char *target, const char *name);
void world_rename(const struct world *w, const char *from, const char *to);
/* A file, a link, or a folder with its contents. */
void world_remove(const struct world *w, const char *name);

/* Runs the loop for so many seconds, or until a callback breaks it. */
void world_run(struct world *w, double seconds);
/* Runs the loop until is_done() returns true; the test fails after a minute. */
void world_run_until(struct world *w, bool (*is_done)(void *data), void *data);
