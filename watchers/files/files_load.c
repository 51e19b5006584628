/*
 * One file -> the objects that it holds.  What doesn't parse leaves the last
 * good objects where they are; the first time, what came before the bad place
 * counts.
 */
#include "watchers/files/files_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/files/manifest.h"

#define BUFFER_LEN (256u << 10)

struct object_list {
	struct object **objects;
	size_t n, cap;
};

static void object_list_fini(struct object_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		object_unref(list->objects[i]);
	free(list->objects);
}

static void take_object(void *data, struct object *takes)
{
	struct object_list *list = data;

	list->objects = xgrow(list->objects, list->n, &list->cap, sizeof(*list->objects));
	list->objects[list->n++] = takes;
}

/*
 * 0, or -errno when it can't be read; then the parser may have had some of it.
 * known_len is where a file ends that isn't being written; 0 when unknown.
 */
static int feed(int fd, char *buffer, size_t known_len, struct manifest *m)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = read(fd, buffer, BUFFER_LEN);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -errno;
		if (n == 0)
			return 0;
		if (manifest_feed(m, buffer, (size_t)n) != 0)
			return 0; /* manifest_finish() tells */
		len += (size_t)n;
		if (len == known_len) /* saves a read for each of many small files */
			return 0;
	}
}

/* -ESPIPE: it's a pipe, which would have to be waited for. */
static int open_file(const struct file *file, const char *path, bool is_following,
		     int *ret_fd, struct stat *ret_stat)
{
	bool is_stdin = file->key.source->is_stdin;
	_cleanup_(closep) int fd = -1;

	fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
		      : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1 || fstat(fd, ret_stat) == -1)
		return -errno;
	if (S_ISDIR(ret_stat->st_mode))
		return -EISDIR;
	/* in a folder, a pipe is nothing to wait for; one that was named is, at first */
	if (*file->key.name && !S_ISREG(ret_stat->st_mode))
		return -ENOENT;
	if (is_following && !S_ISREG(ret_stat->st_mode))
		return -ESPIPE;
	if (!is_stdin && !S_ISREG(ret_stat->st_mode) && fcntl(fd, F_SETFL, 0) == -1)
		return -errno;
	*ret_fd = take_fd(fd);
	return 0;
}

/* -EINVAL and -E2BIG: it doesn't parse, why is in *ret_error. */
static int read_objects(struct files *f, int fd, const struct stat *st, const char *path,
			struct object_list *list, char **ret_error)
{
	size_t known_len = S_ISREG(st->st_mode) ? (size_t)st->st_size : 0;
	struct manifest manifest;
	int rc;

	if (!f->buffer)
		f->buffer = xmalloc(BUFFER_LEN);
	manifest_init(&manifest, path, f->reject, take_object, list);
	manifest_expect(&manifest, known_len);
	rc = feed(fd, f->buffer, known_len, &manifest);
	if (rc == 0)
		rc = manifest_finish(&manifest, ret_error);
	manifest_fini(&manifest);
	return rc;
}

static void tell_unreadable(const struct files *f, const struct file *file,
			    const char *path, const char *why)
{
	_cleanup_(freep) char *reason =
		xasprintf("%s%s", why,
			  file->is_good ? "; its last good objects stay" : "");

	reject_call(f->reject, &(struct rejection){
				       .source = path,
				       .kind = "",
				       .ns = "",
				       .name = "",
				       .field = "",
				       .reason = reason,
			       });
}

/* It isn't there (any more), or something else is in its place. */
static bool is_gone(int err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -EISDIR || err == -ELOOP;
}

static void load_gone(struct files *f, struct file *file, bool *ret_changed)
{
	char path[FILE_PATH_LEN];

	reject_begin(f->reject, "", "", file_path(file, path));
	reject_end(f->reject);
	*ret_changed |= file_owners_replace(&f->owners, file, NULL, 0);
	files_forget(f, file);
}

int files_load(struct files *f, struct file *file, bool *ret_changed)
{
	struct object_list list = {0};
	_cleanup_(freep) char *error = NULL;
	_cleanup_(closep) int fd = -1;
	char text[FILE_PATH_LEN];
	const char *path = file_path(file, text);
	struct stat st;
	int rc = open_file(file, path, f->loop, &fd, &st);

	if (is_gone(rc)) {
		load_gone(f, file, ret_changed);
		return 0;
	}
	if (rc ==
	    -ESPIPE) /* what was read once, of it or of a file in its place, stays */
		return 0;
	file->is_lasting = rc == 0 && S_ISREG(st.st_mode) && !file->key.source->is_stdin;
	reject_begin(f->reject, "", "", path);
	if (rc == 0)
		rc = read_objects(f, fd, &st, path, &list, &error);
	/* what can't be read now is tried again by the next scan */
	file->fingerprint = rc == 0 || error ? file_fingerprint(&st) : 0;
	if (rc != 0)
		tell_unreadable(f, file, path, error ? error : strerror(-rc));
	if (rc == 0 || !file->is_good) {
		*ret_changed |=
			file_owners_replace(&f->owners, file, list.objects, list.n);
		list.n = 0; /* they have been taken */
	}
	reject_end(f->reject);
	file->is_good |= rc == 0;
	object_list_fini(&list);
	return rc;
}
