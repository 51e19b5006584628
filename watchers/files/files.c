/*
 * What waits to be read is in a queue; it is filled by scans and by inotify,
 * and emptied in slices so that the loop goes on meanwhile.
 *
 * What is written or renamed into place is read at once.  What seems to go is
 * looked at again a moment later: editors and deployers move the old file out
 * of the way before the new one is there, and Services must not blink.
 */
#include "watchers/files/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "watchers/files/files_private.h"
#include "watchers/files/files_watch.h"

#define SLICE	  256  /* files read without returning to the loop */
#define LATER_SEC 0.05 /* how long something may be gone unnoticed */
#define RETRY_SEC 5.0  /* when inotify has nothing left to give */

static uint64_t file_hash(const void *key)
{
	const struct file_key *k = key;

	return hash_mix(k->source->rank, hash_string(k->name));
}

static bool file_equal(const void *item, const void *key)
{
	const struct file *file = item;
	const struct file_key *k = key;

	return file->key.source == k->source && strcmp(file->name, k->name) == 0;
}

static const void *file_key(const void *item)
{
	return &((const struct file *)item)->key;
}

static const struct hash_ops file_ops = {
	.hash = file_hash,
	.equal = file_equal,
	.key = file_key,
};

const char *file_path(const struct file *file, char buf[static FILE_PATH_LEN])
{
	const struct file_source *source = file->key.source;

	/* Callers may use the buffer as well as what is returned. */
	if (*file->name)
		(void)snprintf(buf, FILE_PATH_LEN, "%s/%s", source->path, file->name);
	else
		(void)snprintf(buf, FILE_PATH_LEN, "%s",
			       source->is_stdin ? "standard input" : source->path);
	return buf;
}

int file_compare(const struct file *a, const struct file *b)
{
	if (a->key.source != b->key.source)
		return a->key.source->rank < b->key.source->rank ? -1 : 1;
	return strcmp(a->name, b->name);
}

struct file *files_find(const struct files *f, const struct file_source *source,
			const char *name)
{
	return hash_find(&f->table, &(struct file_key){source, name});
}

struct file *files_add(struct files *f, const struct file_source *source,
		       const char *name)
{
	size_t len = strlen(name) + 1;
	struct file *file = xcalloc(1, sizeof(*file) + len);

	memcpy(file->name, name, len);
	file->key.source = source;
	file->key.name = file->name;
	file->generation = f->generation;
	(void)hash_put(&f->table, file);
	return file;
}

void files_forget(struct files *f, struct file *file)
{
	(void)hash_del(&f->table, &file->key);
	free(file);
}

void files_mark(struct files *f, struct file *file)
{
	struct file_queue *q = &f->pending;

	file->is_gone = false;
	if (file->is_pending)
		return;
	file->is_pending = true;
	q->files = xgrow(q->files, q->n, &q->cap, sizeof(struct file *));
	q->files[q->n++] = file;
}

static bool has_pending(const struct files *f)
{
	return f->pending.head < f->pending.n;
}

static void release_queue(struct files *f)
{
	free(f->pending.files);
	f->pending = (struct file_queue){0};
	free(take_ptr(f->buffer));
}

/* Reads at most max of what is pending; answers the first error. */
static int load_pending(struct files *f, size_t max, bool *ret_changed)
{
	int err = 0;

	for (size_t i = 0; i < max && has_pending(f); i++) {
		struct file *file = f->pending.files[f->pending.head++];
		int rc;

		file->is_pending = false;
		rc = files_load(f, file, ret_changed);
		err = err != 0 ? err : rc;
	}
	if (!has_pending(f))
		release_queue(f);
	return err;
}

static int scan_all(struct files *f, bool all)
{
	int err = 0;

	for (size_t i = 0; i < f->n_sources; i++) {
		int rc = files_scan(f, &f->sources[i], all);

		err = err != 0 ? err : rc;
	}
	return err;
}

static void on_work(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct files *f = timer->data;
	bool is_changed = false;

	(void)revents;
	ev_timer_stop(loop, timer);
	(void)load_pending(f, SLICE, &is_changed); /* has told what is wrong */
	if (has_pending(f))
		ev_timer_start(loop, timer);
	if (is_changed)
		f->changed(f->data);
}

static void wait_later(struct files *f, double sec)
{
	if (ev_is_active(&f->later))
		return;
	ev_timer_set(&f->later, sec, 0.);
	ev_timer_start(f->loop, &f->later);
}

/* Watches what the paths mean now; then what changed before is found by a scan. */
static void rescan(struct files *f)
{
	int rc;

	f->rescan_now = f->rescan_later = false;
	ev_io_stop(f->loop, &f->events);
	rc = file_watch_arm(f->watch, f->sources, f->n_sources);
	if (rc != 0 && rc != f->watch_err)
		log_warn("manifests: can't watch everything, looking every %.0f s: %s",
			 RETRY_SEC, strerror(-rc));
	f->watch_err = rc;
	if (rc != 0) {
		f->rescan_later = true;
		wait_later(f, RETRY_SEC);
	}
	if (file_watch_fd(f->watch) >= 0) {
		ev_io_set(&f->events, file_watch_fd(f->watch), EV_READ);
		ev_io_start(f->loop, &f->events);
	}
	(void)scan_all(f, false); /* has told what is wrong */
}

/* One that came back is being written: that it is closed will be told. */
static bool is_there(const struct file *file)
{
	char path[FILE_PATH_LEN];
	struct stat st;

	return stat(file_path(file, path), &st) == 0 && S_ISREG(st.st_mode);
}

static void on_later(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct files *f = timer->data;
	struct file *file;

	(void)revents;
	for (size_t i = 0; (file = hash_next(&f->table, &i));) {
		if (file->is_gone && !is_there(file))
			files_mark(f, file);
		file->is_gone = false;
	}
	if (f->rescan_later)
		rescan(f);
	on_work(loop, &f->work, 0);
}

static void on_news(void *data, enum file_news news, const struct file_source *source,
		    const char *name)
{
	struct files *f = data;
	struct file *file = source ? files_find(f, source, name) : NULL;

	switch (news) {
	case FILE_NEWS_WRITTEN:
		files_mark(f, file ? file : files_add(f, source, name));
		break;
	case FILE_NEWS_GONE:
		if (file && !file->is_pending) {
			file->is_gone = true;
			wait_later(f, LATER_SEC);
		}
		break;
	case FILE_NEWS_MOVED:
		f->rescan_now = true;
		break;
	case FILE_NEWS_UNSURE:
		f->rescan_later = true;
		wait_later(f, LATER_SEC);
		break;
	}
}

static void on_events(struct ev_loop *loop, ev_io *io, int revents)
{
	struct files *f = io->data;

	(void)revents;
	file_watch_read(f->watch, on_news, f);
	if (f->rescan_now)
		rescan(f);
	on_work(loop, &f->work, 0);
}

/* By path; of two that are the same, the one that was given first. */
static void rank_sources(struct files *f)
{
	for (size_t i = 0; i < f->n_sources; i++) {
		for (size_t j = 0; j < f->n_sources; j++) {
			int order = strcmp(f->sources[j].path, f->sources[i].path);

			f->sources[i].rank += order < 0 || (order == 0 && j < i);
		}
	}
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
	rank_sources(f);
	f->reject = reject;
	file_owners_init(&f->owners, cluster, reject);
	hash_init(&f->table, &file_ops);
	return f;
}

void files_free(struct files *f)
{
	struct file *file;

	if (!f)
		return;
	files_stop(f);
	for (size_t i = 0; (file = hash_next(&f->table, &i));) {
		for (size_t h = 0; h < file->n_holdings; h++)
			object_unref(file->holdings[h].object);
		free(file->holdings);
		free(file);
	}
	release_queue(f);
	hash_fini(&f->table);
	file_owners_fini(&f->owners);
	for (size_t i = 0; i < f->n_sources; i++)
		free(f->sources[i].path);
	free(f->sources);
	free(f);
}

int files_read(struct files *f)
{
	bool is_changed = false;
	int err = scan_all(f, true);
	int rc = load_pending(f, SIZE_MAX, &is_changed);

	return err != 0 ? err : rc;
}

void files_start(struct files *f, struct ev_loop *loop, void (*changed)(void *data),
		 void *data)
{
	f->watch = file_watch_new();
	f->loop = loop;
	f->changed = changed;
	f->data = data;
	ev_init(&f->events, on_events);
	ev_timer_init(&f->work, on_work, 0., 0.);
	ev_timer_init(&f->later, on_later, LATER_SEC, 0.);
	f->events.data = f->work.data = f->later.data = f;
	rescan(f);
	/* what changed since files_read() is told from the loop, like the rest */
	ev_timer_start(loop, &f->work);
}

void files_stop(struct files *f)
{
	if (!f->loop)
		return;
	ev_io_stop(f->loop, &f->events);
	ev_timer_stop(f->loop, &f->work);
	ev_timer_stop(f->loop, &f->later);
	file_watch_free(take_ptr(f->watch));
	f->loop = NULL;
}
