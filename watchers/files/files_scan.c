/*
 * Which files there are.  A scan costs a stat for each file; most changes of a
 * single file do without one (files_events.c).
 *
 * A scan may come in the middle of a change: editors and deployers move the old
 * file away before the new one is there, or create it empty, and Services must
 * not go for a moment.  So a file that is missing or empty keeps its objects for
 * a grace period, and one that was written just now is looked at again.
 */
#include "watchers/files/files_private.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

#define GRACE_US   500000  /* a file may be missing or empty for so long */
#define LONGEST_US 5000000 /* and so long while other files are about to be read */
#define SETTLED_US 40000   /* without a write: most likely it is complete */

struct name_list {
	char **names;
	size_t n, cap;
};

static void name_list_fini(struct name_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->names[i]);
	free(list->names);
}

static void name_list_add(struct name_list *list, const char *name)
{
	list->names = xgrow(list->names, list->n, &list->cap, sizeof(*list->names));
	list->names[list->n++] = xstrdup(name);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static bool has_ending(const char *name, int (*compare)(const char *, const char *))
{
	static const char *const endings[] = {".yaml", ".yml", ".json"};
	size_t len = strlen(name);

	for (size_t i = 0; i < N_ELEMENTS(endings); i++) {
		size_t ending_len = strlen(endings[i]);

		if (len > ending_len && compare(name + len - ending_len, endings[i]) == 0)
			return true;
	}
	return false;
}

static bool is_hidden(const char *name)
{
	return *name == '.' || *name == '#';
}

bool file_name_counts(const char *name)
{
	return !is_hidden(name) && has_ending(name, strcasecmp);
}

uint64_t file_fingerprint(const struct stat *st)
{
	const uint64_t facts[] = {
		st->st_dev,
		st->st_ino,
		(uint64_t)st->st_size,
		(uint64_t)st->st_mtim.tv_sec,
		(uint64_t)st->st_mtim.tv_nsec,
		(uint64_t)st->st_ctim.tv_sec,
		(uint64_t)st->st_ctim.tv_nsec,
	};
	uint64_t hash = hash_bytes(facts, sizeof(facts));

	return hash ? hash : 1;
}

static void reject_entry(const struct files *f, const struct file_source *source,
			 const char *name, const char *reason)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", source->path, name);

	reject_source(f->reject, path, reason);
}

static void take_entry(struct files *f, const struct file_source *source,
		       const struct dirent *entry, struct name_list *ret)
{
	const char *name = entry->d_name;

	if (is_hidden(name))
		return;
	if (entry->d_type == DT_DIR) {
		if (strcmp(name, "lost+found") != 0)
			reject_entry(f, source, name,
				     "is a folder in a folder, which is not read");
	} else if (entry->d_type != DT_REG && entry->d_type != DT_LNK &&
		   entry->d_type != DT_UNKNOWN) {
		return;
	} else if (has_ending(name, strcmp)) {
		name_list_add(ret, name);
	} else if (has_ending(name, strcasecmp)) {
		reject_entry(f, source, name,
			     "is not read: the name must end in .yaml, .yml or .json, "
			     "in lower case");
	}
}

static int list_folder(struct files *f, const struct file_source *source,
		       struct name_list *ret)
{
	_cleanup_(closedirp) DIR *dir = opendir(source->path);
	const struct dirent *entry;
	int rc;

	if (!dir)
		return -errno;
	reject_begin(f->reject, "", "", source->path);
	while ((errno = 0, entry = readdir(dir)))
		take_entry(f, source, entry, ret);
	rc = -errno;
	reject_end(f->reject);
	if (ret->n > 0)
		qsort(ret->names, ret->n, sizeof(*ret->names), compare_names);
	return rc;
}

/* Of the folder that path is in, or zeroes. */
static struct stat stat_parent(const char *path)
{
	_cleanup_(freep) char *copy = xstrdup(path);
	struct stat st;

	return stat(dirname(copy), &st) == 0 ? st : (struct stat){.st_dev = 0};
}

static void note_folder(struct file_source *source, const struct stat *st)
{
	source->is_replaced = source->dev != st->st_dev || source->ino != st->st_ino;
	source->dev = st->st_dev;
	source->ino = st->st_ino;
}

/*
 * The names of the files of a source ("": the source itself).  -ENOENT also for
 * an empty folder that is on another file system than the one that had files:
 * that one was unmounted.  A file that was deleted from its folder is not an
 * error while following: then the list is empty.
 */
static int list_source(struct files *f, struct file_source *source, bool had_files,
		       struct name_list *ret)
{
	struct stat st;
	int rc = stat(source->path, &st) == 0 ? 0 : -errno;

	if (source->is_stdin) {
		name_list_add(ret, "");
		return 0;
	}
	if (rc == 0 && S_ISDIR(st.st_mode)) {
		rc = list_folder(f, source, ret);
		if (rc == 0 && ret->n == 0 && had_files && source->dev != st.st_dev)
			return -ENOENT;
		note_folder(source, &st);
	} else if (rc == 0) {
		name_list_add(ret, "");
		st = stat_parent(source->path);
		note_folder(source, &st);
	}
	return rc;
}

static bool is_missing(int err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -ELOOP;
}

/* Once when a source cannot be read, and once when it can again. */
static void note_error(struct file_source *source, int err, bool keeps)
{
	if (err == source->err)
		return;
	if (err == 0)
		log_info("manifests: %s: found again", source->path);
	else
		log_warn("manifests: %s: %s%s", source->path,
			 is_missing(err) ? "not found" : strerror(-err),
			 keeps ? "; its last objects stay in effect" : "");
	source->err = err;
}

static void keep(struct files *f, struct file *file)
{
	f->files = xgrow(f->files, f->n, &f->cap, sizeof(*f->files));
	f->files[f->n++] = file;
}

static void drop(struct files *f, struct file *file)
{
	reject_gone(f->reject, "", "", file->path);
	f->is_changed |= file_owners_replace(&f->owners, file, NULL, 0);
	f->n_wanted -= file->wants_read;
	file_free(file);
}

/*
 * Is it missing (or empty), but perhaps for a moment only?  A file that was not read
 * at the last scan may be its successor, however long ago that scan was.
 */
static bool is_in_grace(struct files *f, struct file *file)
{
	uint64_t now_us = clock_monotonic_us();

	if (!f->loop || file->n_holdings == 0)
		return false;
	if (!file->gone_us)
		file->gone_us = now_us;
	if (now_us - file->gone_us >= (f->had_unread ? LONGEST_US : GRACE_US))
		return false;
	f->is_waiting = true;
	return true;
}

static void saw_missing(struct files *f, struct file *file)
{
	if (is_in_grace(f, file))
		keep(f, file);
	else
		drop(f, file);
}

/* Was it written a moment ago? It may not be complete. */
static bool is_fresh(const struct files *f, const struct stat *st)
{
	int64_t age_us = clock_wall_us() - (int64_t)st->st_mtim.tv_sec * 1000000 -
			 st->st_mtim.tv_nsec / 1000;

	return f->loop && age_us >= 0 && age_us < SETTLED_US;
}

/*
 * Was it complete before it appeared here?  A link or the folder was replaced in one
 * step: files are not written where a swap leads to.
 */
static bool is_swapped_in(const struct files *f, const struct file *file)
{
	struct stat st;

	return f->is_swapped && (file->source->is_replaced ||
				 (lstat(file->path, &st) == 0 && S_ISLNK(st.st_mode)));
}

static void saw_regular(struct files *f, struct file *file, const struct stat *st,
			bool all)
{
	bool is_changed = file->fingerprint != file_fingerprint(st);

	keep(f, file);
	if (is_changed && st->st_size == 0 && is_in_grace(f, file))
		return;
	if (st->st_size > 0 || !is_changed)
		file->gone_us = 0;
	if (!is_changed && !all)
		return;
	f->has_unread = true;
	if (is_changed && is_fresh(f, st) && !is_swapped_in(f, file))
		f->is_waiting = true;
	else
		file_want(f, file);
}

static void saw(struct files *f, struct file *file, bool all)
{
	struct stat st;

	if (file->source->is_stdin) {
		if (!file->is_once)
			file_want(f, file);
		keep(f, file);
	} else if (stat(file->path, &st) == -1 || S_ISDIR(st.st_mode)) {
		saw_missing(f, file);
	} else if (S_ISREG(st.st_mode)) {
		saw_regular(f, file, &st, all);
	} else if (*file->name) {
		saw_missing(f, file); /* a pipe in a folder is not waited for */
	} else {
		/* one that was named is read once, before anything is followed */
		if (!f->loop && !file->is_once)
			file_want(f, file);
		file->gone_us = 0;
		keep(f, file);
	}
}

/* old: the files that were known of the source, in order. */
static void merge(struct files *f, const struct file_source *source,
		  struct file *const *old, size_t n_old, const struct name_list *list,
		  bool all)
{
	size_t i = 0, j = 0;

	while (i < n_old || j < list->n) {
		int order = i == n_old	   ? 1
			    : j == list->n ? -1
					   : strcmp(old[i]->name, list->names[j]);

		if (order < 0)
			saw_missing(f, old[i]);
		else
			saw(f, order == 0 ? old[i] : file_new(source, list->names[j]),
			    all);
		i += order <= 0;
		j += order >= 0;
	}
}

static int scan_source(struct files *f, struct file_source *source,
		       struct file *const *old, size_t n_old, bool all)
{
	_cleanup_(name_list_fini) struct name_list list = {0};
	int rc = list_source(f, source, n_old > 0, &list);
	bool is_deleted = is_missing(rc) && n_old == 1 && !*old[0]->name &&
			  stat_parent(source->path).st_dev == source->dev;

	note_error(source, rc, n_old > 0 && !is_deleted);
	if (rc == 0 || is_deleted) {
		merge(f, source, old, n_old, &list, all);
		return rc;
	}
	for (size_t i = 0; i < n_old; i++) {
		old[i]->gone_us = 0;
		keep(f, old[i]);
	}
	return rc;
}

int files_scan(struct files *f, bool all)
{
	_cleanup_(freep) struct file **old = take_ptr(f->files);
	size_t n_old = f->n, at = 0;
	int err = 0;

	f->n = f->cap = f->next = 0;
	f->is_waiting = false;
	f->had_unread = f->has_unread;
	f->has_unread = false;
	for (size_t i = 0; i < f->n_sources; i++) {
		size_t first = at;
		int rc;

		while (at < n_old && old[at]->source == &f->sources[i])
			at++;
		rc = scan_source(f, &f->sources[i], old + first, at - first, all);
		err = err != 0 ? err : rc;
	}
	f->is_swapped = false;
	return err;
}
