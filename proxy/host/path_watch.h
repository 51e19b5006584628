/*
 * Tells when what a path leads to may have changed: written, renamed over, or
 * swapped by a symlink in its folder, as a mounted ConfigMap is.
 */
#pragma once

struct ev_loop;
struct path_watch;

/* -errno when the folder can't be watched. */
int path_watch_new(struct ev_loop *loop, const char *path, void (*changed)(void *data),
		   void *data, struct path_watch **ret);
void path_watch_free(struct path_watch *w);
