/*
 * Answers whether something may have changed at the paths that are followed.
 * Each folder on the way to a path is watched, so that it is noticed when any of
 * them is replaced, deleted or made; single files are not.
 *
 * Private to files*.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct file_watch { /* embedded */
	int fd;	    /* -1: none; readable when there are events */
	struct file_watch_entry *entries;
	size_t n, cap;
};

void file_watch_init(struct file_watch *w);
void file_watch_fini(struct file_watch *w);
/* Drops all watches and unread events; the descriptor is another one afterwards. */
int file_watch_reset(struct file_watch *w);
/* -errno; the folders that can be watched are. */
int file_watch_add(struct file_watch *w, const char *path);
/* Reads all events. True: look at the paths, and watch them again. */
bool file_watch_read(struct file_watch *w);
