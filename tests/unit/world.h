/*
 * What a unit test with files or time needs: a loop, and a folder that is
 * removed with all that is in it.  A test's own world embeds it.
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
/* Writes a file; its folder must exist. */
void world_write(const struct world *w, const char *name, const char *text);
void world_make_folder(const struct world *w, const char *name);

/* Runs the loop for so many seconds, or until a callback breaks it. */
void world_run(struct world *w, double seconds);
/* Runs the loop until is_done() answers true; the test fails after five seconds. */
void world_run_until(struct world *w, bool (*is_done)(void *data), void *data);
