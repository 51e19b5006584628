/*
 * The source "manifests": files and folders of YAML or JSON, followed through
 * inotify.  Atomic renames, the symlink swap of a mounted ConfigMap, folders
 * deleted and made again are followed; editors' temporary and hidden files and
 * anything but *.yaml, *.yml, *.json in a folder is ignored.  A file that does
 * not parse keeps its last good objects, and says so once.  When two files
 * hold the same object, the first in path order counts and the other is told;
 * it takes over when the first goes.
 *
 * Only the top level of a folder is read.  A link in it is followed when it is
 * read; that the file behind it changed is noticed for a ConfigMap's "..data"
 * only.  A pipe is read once, before anything is followed.  Where inotify has
 * nothing to give, what changed is looked for every few seconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "watchers/reject.h"

struct cluster;
struct ev_loop;
struct files;

/* Paths are borrowed for the call; "-" reads standard input once. */
struct files *files_new(const char *const *paths, size_t n, struct cluster *cluster,
			const struct reject *reject);
void files_free(struct files *f);

/*
 * Reads everything into the cluster, also when nothing changed. 0, or -errno when a path can't be
 * read or parsed (told through log_err or reject); what could be read counts.
 */
int files_read(struct files *f);

/*
 * Starts following; changed(data) is called on the loop after the cluster has
 * been updated. Call after files_read().
 */
void files_start(struct files *f, struct ev_loop *loop, void (*changed)(void *data),
		 void *data);
void files_stop(struct files *f);
