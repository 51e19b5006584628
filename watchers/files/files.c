/*
 * The loop of the file source.  A change that is complete by its nature is read
 * in the next turn (files_events.c).  All others start a pause, after which
 * everything is looked at again: it costs a stat a file, and nothing has to be
 * remembered about events.  Files are read in slices, so that the loop keeps turning.
 */
#include "watchers/files/files.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "watchers/files/files_private.h"

#define TURN_US	  10000ull /* of reading without returning to the loop */
#define PAUSE_SEC (FILE_PAUSE_US / 1e6)
#define RETRY_SEC 2.0 /* a path may come back, as by a mount, without an event */

int file_compare(const struct file *a, const struct file *b)
{
	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	return strcmp(a->name, b->name);
}

void file_free(struct file *file)
{
	for (size_t i = 0; i < file->n_holdings; i++)
		object_unref(file->holdings[i].object);
	free(file->holdings);
	free(file->path);
	free(file);
}

struct file *file_new(const struct file_source *source, const char *name)
{
	struct file *file = xcalloc(1, sizeof(*file));

	file->source = source;
	file->name = "";
	if (source->is_stdin) {
		file->path = xstrdup("standard input");
	} else if (!*name) {
		file->path = xstrdup(source->path);
	} else {
		file->path = xasprintf("%s/%s", source->path, name);
		file->name = file->path + strlen(source->path) + 1;
	}
	return file;
}

void file_want(struct files *f, struct file *file)
{
	f->n_wanted += !file->wants_read;
	file->wants_read = true;
}

static void wait_for_scan(struct files *f, double sec)
{
	if (ev_is_active(&f->pause))
		return;
	ev_timer_set(&f->pause, sec, 0.);
	ev_timer_start(f->loop, &f->pause);
}

static int watch_all(struct files *f)
{
	int rc = file_watch_begin(&f->watch);

	for (size_t i = 0; i < f->n_sources && f->watch.fd != -1; i++) {
		int err = f->sources[i].is_stdin
				  ? 0
				  : file_watch_add(&f->watch, f->sources[i].path,
						   &f->sources[i]);

		rc = rc != 0 ? rc : err;
	}
	file_watch_end(&f->watch);
	if (f->watch.fd != -1 && !ev_is_active(&f->events)) {
		ev_io_set(&f->events, f->watch.fd, EV_READ);
		ev_io_start(f->loop, &f->events);
	}
	return rc;
}

/* Watches the present targets of the paths, then finds earlier changes. */
static void rescan(struct files *f, bool all)
{
	int rc = watch_all(f), err;

	if (rc != 0 && rc != f->watch_err)
		log_warn("manifests: cannot watch all folders: %s; looking every %.0f s",
			 strerror(-rc), RETRY_SEC);
	f->watch_err = rc;
	err = files_scan(f, all); /* has logged the reason */
	if (f->is_waiting)
		wait_for_scan(f, PAUSE_SEC);
	else if (rc != 0 || err != 0)
		wait_for_scan(f, RETRY_SEC);
	ev_timer_start(f->loop, &f->work);
}

/* Starts what events and reading have made due. */
static void schedule(struct files *f)
{
	uint64_t now_us = clock_monotonic_us();
	bool is_soon = f->due == FILE_SCAN_SOON && now_us - f->swap_us >= FILE_PAUSE_US;
	double sec = is_soon ? 0. : PAUSE_SEC;

	if (f->n_wanted > 0)
		ev_timer_start(f->loop, &f->work);
	if (f->due == FILE_SCAN_NONE)
		return;
	f->due = FILE_SCAN_NONE;
	if (is_soon)
		f->swap_us = now_us;
	if (ev_is_active(&f->pause) && ev_timer_remaining(f->loop, &f->pause) > sec)
		ev_timer_stop(f->loop, &f->pause); /* it was for a retry, or a pause */
	wait_for_scan(f, sec);
}

static void on_work(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct files *f = timer->data;
	uint64_t end_us = clock_monotonic_us() + TURN_US;
	int rc;

	ev_timer_stop(loop, timer);
	do
		rc = files_load_step(f); /* has reported the reason */
	while (rc != 0 && clock_monotonic_us() < end_us);
	if (rc != 0)
		ev_timer_start(loop, timer);
	schedule(f);
	if (f->is_changed) {
		f->is_changed = false;
		f->changed(f->data);
	}
}

static void on_events(struct ev_loop *loop, ev_io *io, int revents)
{
	struct files *f = io->data;

	file_watch_read(&f->watch, files_take_event, f);
	schedule(f);
}

static void on_pause(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct files *f = timer->data;

	ev_timer_stop(loop, timer);
	if (f->watch.fd != -1) /* a successor of a missing file may have come */
		on_events(loop, &f->events, EV_READ);
	if (ev_is_active(&f->work)) /* files are being read */
		wait_for_scan(f, PAUSE_SEC);
	else
		rescan(f, false);
}

static int compare_sources(const void *a, const void *b)
{
	const struct file_source *left = a, *right = b;

	return strcmp(left->path, right->path);
}

struct files *files_new(const char *const *paths, size_t n, struct cluster *cluster,
			const struct reject *reject)
{
	struct files *f = xcalloc(1, sizeof(*f));

	f->sources = xcalloc(n, sizeof(*f->sources));
	f->n_sources = n;
	for (size_t i = 0; i < n; i++) {
		f->sources[i].path = xstrdup(paths[i]);
		f->sources[i].is_stdin = strcmp(paths[i], "-") == 0;
	}
	if (n > 0)
		qsort(f->sources, n, sizeof(*f->sources), compare_sources);
	f->reject = reject;
	f->loading.fd = -1;
	file_owners_init(&f->owners, cluster, reject);
	file_watch_init(&f->watch);
	return f;
}

void files_free(struct files *f)
{
	if (!f)
		return;
	files_stop(f);
	for (size_t i = 0; i < f->n; i++)
		file_free(f->files[i]);
	free(f->files);
	file_owners_fini(&f->owners);
	for (size_t i = 0; i < f->n_sources; i++)
		free(f->sources[i].path);
	free(f->sources);
	free(f);
}

int files_read(struct files *f)
{
	int err = files_scan(f, true), rc;

	while ((rc = files_load_step(f)) != 0)
		if (rc < 0 && err == 0)
			err = rc;
	f->is_changed = false;
	return err;
}

void files_start(struct files *f, struct ev_loop *loop, void (*changed)(void *data),
		 void *data)
{
	f->loop = loop;
	f->changed = changed;
	f->data = data;
	ev_init(&f->events, on_events);
	ev_timer_init(&f->work, on_work, 0., 0.);
	ev_timer_init(&f->pause, on_pause, PAUSE_SEC, 0.);
	f->events.data = f->work.data = f->pause.data = f;
	wait_for_scan(f, 0.); /* from the loop, which a command never runs */
}

void files_reread(struct files *f)
{
	files_load_abort(f);
	rescan(f, true);
}

size_t files_n_missing(const struct files *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_sources; i++)
		n += f->sources[i].err != 0;
	return n;
}

void files_stop(struct files *f)
{
	files_load_abort(f);
	if (!f->loop)
		return;
	ev_io_stop(f->loop, &f->events);
	ev_timer_stop(f->loop, &f->work);
	ev_timer_stop(f->loop, &f->pause);
	file_watch_fini(&f->watch);
	f->loop = NULL;
}
