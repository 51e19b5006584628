#include "proxy/engine/planes.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "proxy/config/config.h"
#include "proxy/engine/parts.h"

static const struct plane *find(const struct parts *parts, const char *mode)
{
	for (size_t i = 0; i < parts->n_planes; i++)
		if (strcmp(parts->planes[i].mode, mode) == 0)
			return &parts->planes[i];
	return NULL;
}

/* Adds to why a plane that cannot be used. */
static int probe(const struct plane *plane, const struct config *config, bool is_required,
		 struct buf *why)
{
	_cleanup_(freep) char *why_not = NULL;
	int err = plane->probe(config, &why_not);

	if (err && is_required)
		log_err("mode %s cannot be used: %s", plane->mode, why_not);
	else if (err)
		log_info("mode auto: not %s: %s", plane->mode, why_not);
	if (err)
		buf_printf(why, "; not %s: %s", plane->mode, why_not);
	return err;
}

/* The first one that works; auto, or a mode of kube-proxy's that means auto. */
static int open_first(const struct parts *parts, const struct config *config,
		      struct ev_loop *loop, struct dataplane *ret,
		      const struct plane **ret_plane, struct buf *why)
{
	_cleanup_(buf_fini) struct buf others = BUF_INIT;

	for (size_t i = 0; i < parts->n_planes; i++) {
		const struct plane *plane = &parts->planes[i];
		int err = probe(plane, config, false, &others);

		if (err)
			continue;
		log_info("mode auto: using %s: %s", plane->mode, plane->merit);
		err = plane->open(config, loop, ret);
		if (err) { /* it has logged more */
			log_info("mode auto: not %s: %s", plane->mode, strerror(-err));
			buf_printf(&others, "; not %s: %s", plane->mode, strerror(-err));
			continue;
		}
		buf_printf(why, "auto: %s%s", plane->merit, buf_string(&others));
		*ret_plane = plane;
		return 0;
	}
	log_err("mode auto: no mode of this build can be used on this host");
	return -EOPNOTSUPP;
}

int planes_open(const struct parts *parts, const struct config *config,
		struct ev_loop *loop, struct dataplane *ret,
		const struct plane **ret_plane, struct buf *why)
{
	const struct plane *plane = find(parts, config->mode);
	int err;

	if (!plane)
		return open_first(parts, config, loop, ret, ret_plane, why);
	err = probe(plane, config, true, why);
	if (err == 0)
		err = plane->open(config, loop, ret);
	if (err == 0)
		*ret_plane = plane;
	return err;
}

typedef int (*cleanup_fn)(const struct config *config, struct buf *removed);

static bool has_cleanup(const struct plane *plane, cleanup_fn cleanup)
{
	for (size_t i = 0; plane->cleanups[i]; i++)
		if (plane->cleanups[i] == cleanup)
			return true;
	return false;
}

/* Is it the job of a plane before this one? */
static bool is_done(const struct parts *parts, size_t i_plane, cleanup_fn cleanup)
{
	for (size_t i = 0; i < i_plane; i++)
		if (has_cleanup(&parts->planes[i], cleanup))
			return true;
	return false;
}

static int clean_plane(const struct parts *parts, const struct config *config,
		       size_t i_plane, const struct plane *used, struct buf *removed)
{
	const struct plane *plane = &parts->planes[i_plane];
	int result = 0;

	for (size_t i = 0; plane->cleanups[i]; i++) {
		int err;

		if (used && has_cleanup(used, plane->cleanups[i]))
			continue;
		if (is_done(parts, i_plane, plane->cleanups[i]))
			continue;
		err = plane->cleanups[i](config, removed);
		if (err)
			log_err("mode %s: could not remove its rules and maps: %s",
				plane->mode, strerror(-err));
		result = result ? result : err;
	}
	return result;
}

int planes_cleanup(const struct parts *parts, const struct config *config,
		   const struct plane *used, struct buf *removed)
{
	int result = 0;

	for (size_t i = 0; i < parts->n_planes; i++) {
		int err = clean_plane(parts, config, i, used, removed);

		result = result ? result : err;
	}
	return result;
}
