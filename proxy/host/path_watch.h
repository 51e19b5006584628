/*
 * Calls back when the file of a path may have changed: written, replaced by rename, or
 * by another target of a symlink in its folder, as in a mounted ConfigMap.
 */
#pragma once

struct ev_loop;
struct path_watch;

/* 0, or -errno if the folder cannot be watched. */
int path_watch_new(struct ev_loop *loop, const char *path, void (*changed)(void *data),
		   void *data, struct path_watch **ret);
void path_watch_free(struct path_watch *w);
