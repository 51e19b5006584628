/*
 * Which files there are.  A scan costs a stat for each file; only what differs
 * from what was read is read.
 */
#include "watchers/files/files_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"

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

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

bool files_is_manifest_name(const char *name)
{
	static const char *const endings[] = {".yaml", ".yml", ".json"};
	size_t len = strlen(name);

	if (*name == '.' || *name == '#')
		return false;
	for (size_t i = 0; i < N_ELEMENTS(endings); i++) {
		size_t ending_len = strlen(endings[i]);

		if (len > ending_len && strcmp(name + len - ending_len, endings[i]) == 0)
			return true;
	}
	return false;
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

static void saw(struct files *f, struct file *file, bool is_changed)
{
	file->generation = f->generation;
	if (is_changed)
		files_mark(f, file);
}

/* A pipe can be read once only. */
static void saw_source(struct files *f, const struct file_source *source,
		       const struct stat *st, bool all)
{
	struct file *file = files_find(f, source, "");

	if (!file)
		saw(f, files_add(f, source, ""), true);
	else
		saw(f, file,
		    S_ISREG(st->st_mode) &&
			    (all || file->fingerprint != file_fingerprint(st)));
}

/* Those that will be read anyway are looked at then: a stat less for each of them. */
static void saw_in_folder(struct files *f, const struct file_source *source, DIR *dir,
			  const char *name, bool all)
{
	struct file *file = files_find(f, source, name);
	struct stat st;

	if (!file)
		saw(f, files_add(f, source, name), true);
	else if (all)
		saw(f, file, true);
	else if (fstatat(dirfd(dir), name, &st, 0) == 0 && S_ISREG(st.st_mode))
		saw(f, file, file->fingerprint != file_fingerprint(&st));
}

/* What the last scan knew of the source and this one has not seen is gone. */
static void mark_unseen(struct files *f, const struct file_source *source)
{
	struct file *file;

	for (size_t i = 0; (file = hash_next(&f->table, &i));) {
		if (file->key.source == source && file->generation != f->generation)
			files_mark(f, file);
	}
}

/* A link may lead to one, and some file systems don't say. */
static bool may_be_file(unsigned char type)
{
	return type == DT_REG || type == DT_LNK || type == DT_UNKNOWN;
}

static int read_names(DIR *dir, struct name_list *ret)
{
	const struct dirent *entry;

	while ((errno = 0, entry = readdir(dir))) {
		if (!files_is_manifest_name(entry->d_name) || !may_be_file(entry->d_type))
			continue;
		ret->names = xgrow(ret->names, ret->n, &ret->cap, sizeof(*ret->names));
		ret->names[ret->n++] = xstrdup(entry->d_name);
	}
	return -errno;
}

static int scan_folder(struct files *f, const struct file_source *source, bool all)
{
	_cleanup_(closedirp) DIR *dir = opendir(source->path);
	_cleanup_(name_list_fini) struct name_list list = {0};
	int rc;

	if (!dir)
		return -errno;
	rc = read_names(dir, &list);
	if (rc != 0)
		return rc;
	/* read in path order, so that the first of several owners comes first */
	if (list.n > 0)
		qsort(list.names, list.n, sizeof(*list.names), compare_names);
	for (size_t i = 0; i < list.n; i++)
		saw_in_folder(f, source, dir, list.names[i], all);
	return 0;
}

static bool is_missing(int err)
{
	return err == -ENOENT || err == -ENOTDIR;
}

/* Says once that a path can't be read, and once that it can. */
static void note_error(struct file_source *source, int err)
{
	if (err == source->err)
		return;
	if (err == 0)
		log_info("manifests: %s: %s now", source->path,
			 is_missing(source->err) ? "is there" : "can be read");
	else
		log_warn("manifests: %s: %s", source->path,
			 is_missing(err) ? "is not there" : strerror(-err));
	source->err = err;
}

int files_scan(struct files *f, struct file_source *source, bool all)
{
	struct stat st = {0};
	int rc = 0;

	f->generation++;
	if (source->is_stdin) {
		saw_source(f, source, &st, true);
		return 0;
	}
	if (stat(source->path, &st) == -1)
		rc = -errno;
	if (rc == 0 && S_ISDIR(st.st_mode))
		rc = scan_folder(f, source, all);
	else if (rc == 0)
		saw_source(f, source, &st, all);
	note_error(source, rc);
	if (rc == 0 || is_missing(rc))
		mark_unseen(f, source);
	return rc;
}
