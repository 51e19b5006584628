/*
 * The source "manifests": files and folders of YAML or JSON, followed through
 * inotify.  Atomic renames, the symlink swap of a mounted ConfigMap, folders
 * deleted and made again are followed; editors' temporary and hidden files and
 * anything but *.yaml, *.yml, *.json in a folder is ignored, as are folders in
 * it.  A file that does not parse, and a path that goes away as a whole, keep
 * their last good objects; an empty file or folder has none.  When two files
 * hold the same object, the first in path order counts and the other is
 * reported; it takes over when the first goes.
 *
 * A file that is renamed into place or closed by its writer, and the swap of a link
 * or folder, are read immediately, later changes of the same file after a pause of
 * 50 ms.  A file that is being written waits until it was not written for 40 ms.
 *
 * A link in a folder is followed when it is read; a change of the file it leads
 * to is noticed for a ConfigMap's "..data" only.  A pipe is read once, before
 * anything is followed.  Where inotify has no watch left, and where a path is
 * missing, changes are looked for every few seconds.
 */
#pragma once

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
 * Reads everything into the cluster before it returns. 0, or -errno when a path
 * can't be read or parsed (reported through log_err or reject); the others count.
 */
int files_read(struct files *f);

/*
 * Starts following; changed(data) is called on the loop after the cluster has
 * been updated. Call after files_read().
 */
void files_start(struct files *f, struct ev_loop *loop, void (*changed)(void *data),
		 void *data);
/* Reads everything again, from the loop, whether it changed or not. */
void files_reread(struct files *f);
void files_stop(struct files *f);

/* How many of the paths cannot be found or read now. */
size_t files_n_missing(const struct files *f);
