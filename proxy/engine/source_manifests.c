/*
 * Manifests are read whole in start(), so the source is synced when it returns; then
 * they are followed.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/engine/source.h"
#include "watchers/files/files.h"

struct manifests {
	struct object_source source;
	struct files *files;
};

/* Text that does not parse costs its own file only; a missing path is a mistake. */
static bool is_content_error(int err)
{
	return err == -EINVAL || err == -E2BIG;
}

static int manifests_start(struct object_source *source, struct ev_loop *loop,
			   const struct source_events *events)
{
	struct manifests *m = container_of(source, struct manifests, source);
	int read_err = files_read(m->files);

	if (read_err != 0 && !is_content_error(read_err))
		return read_err;
	files_start(m->files, loop, events->changed, events->data);
	events->synced(events->data, read_err);
	return 0;
}

static void manifests_reread(struct object_source *source)
{
	struct manifests *m = container_of(source, struct manifests, source);

	files_reread(m->files);
}

static size_t manifests_n_missing(const struct object_source *source)
{
	const struct manifests *m = (const void *)source; /* embedded first */

	return files_n_missing(m->files);
}

static void manifests_close(struct object_source *source)
{
	struct manifests *m = container_of(source, struct manifests, source);

	files_stop(m->files);
	files_free(m->files);
	free(m);
}

static const struct source_ops manifests_ops = {
	.name = "manifests",
	.start = manifests_start,
	.reread = manifests_reread,
	.n_missing = manifests_n_missing,
	.close = manifests_close,
};

struct object_source *source_manifests_new(const char *const *paths, size_t n,
					   struct cluster *cluster,
					   const struct reject *reject)
{
	struct manifests *m = xcalloc(1, sizeof(*m));

	m->source.ops = &manifests_ops;
	m->files = files_new(paths, n, cluster, reject);
	return &m->source;
}
