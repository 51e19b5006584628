/*
 * One file -> the objects that it holds, in steps that a turn of the loop can
 * afford.  A file that does not parse keeps its last good objects; the first
 * time, those before the bad place count.  A file that is written while it is read
 * keeps them, too, and is read again.
 */
#include "watchers/files/files_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/file_text.h"

#define BUFFER_LEN (64u << 10) /* read and parsed in one step */

static void object_list_fini(struct object_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		object_unref(list->objects[i]);
	free(list->objects);
	*list = (struct object_list){0};
}

static void take_object(void *data, struct object *takes)
{
	struct object_list *list = data;

	list->objects = xgrow(list->objects, list->n, &list->cap, sizeof(*list->objects));
	list->objects[list->n++] = takes;
}

static int open_file(const struct files *f, struct file_loading *l)
{
	enum file_text_accept accept =
		f->loop || *l->file->name ? FILE_TEXT_FILE : FILE_TEXT_PIPE;

	if (!l->file->source->is_stdin)
		return file_text_open(l->file->path, accept, &l->fd, &l->st);
	l->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	return l->fd == -1 || fstat(l->fd, &l->st) == -1 ? -errno : 0;
}

static void reject_file(const struct files *f, const struct file_loading *l,
			const char *why)
{
	_cleanup_(freep) char *reason =
		xasprintf("%s%s", why,
			  l->file->n_holdings > 0
				  ? "; its last good objects stay in effect"
				  : "");

	reject_source(f->reject, l->file->path, reason);
}

/* Frees the memory and the descriptor of the reading. */
static void end(struct file_loading *l)
{
	manifest_fini(&l->manifest);
	object_list_fini(&l->list);
	free(l->buffer);
	if (l->fd != -1)
		(void)close(l->fd);
	*l = (struct file_loading){.fd = -1};
}

/* error: why it does not parse, or NULL. */
static int finish(struct files *f, int rc, const char *error)
{
	struct file_loading *l = &f->loading;
	struct file *file = l->file;

	/* one that cannot be read now is tried again by the next scan */
	file->fingerprint = rc == 0 || error ? file_fingerprint(&l->st) : 0;
	if (rc != 0)
		reject_file(f, l, error ? error : strerror(-rc));
	if (rc == 0 || file->n_holdings == 0) {
		f->is_changed |=
			file_owners_replace(&f->owners, file, l->list.objects, l->list.n);
		l->list.n = 0; /* they have been taken */
	}
	reject_end(f->reject);
	end(l);
	return rc != 0 ? rc : 1;
}

/* It was deleted or replaced by a folder or pipe: a scan notices that. */
static bool is_gone(int err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -EISDIR || err == -ELOOP ||
	       err == -ESPIPE;
}

/* Truncated since it was looked at: a scan decides how long it may stay empty. */
static bool is_emptied(const struct files *f, const struct file_loading *l)
{
	return f->loop && S_ISREG(l->st.st_mode) && l->st.st_size == 0 &&
	       l->file->n_holdings > 0 && !l->file->gone_us;
}

static int start(struct files *f, struct file *file)
{
	struct file_loading *l = &f->loading;
	int rc;

	file->wants_read = false;
	f->n_wanted--;
	l->file = file;
	rc = open_file(f, l);
	if (is_gone(rc) || (rc == 0 && is_emptied(f, l))) {
		f->due = FILE_SCAN_LATER;
		end(l);
		return 1;
	}
	reject_begin(f->reject, "", "", file->path);
	manifest_init(&l->manifest, file->path, f->reject, take_object, &l->list);
	if (rc != 0)
		return finish(f, rc, NULL);
	file->is_once = file->source->is_stdin || !S_ISREG(l->st.st_mode);
	if (S_ISREG(l->st.st_mode))
		manifest_expect(&l->manifest, (size_t)l->st.st_size);
	l->buffer = xmalloc(BUFFER_LEN);
	return 1;
}

/* 1: more of it, 0: it has been fed whole, or enough to see that it does not parse. */
static int feed(struct file_loading *l)
{
	ssize_t n = read(l->fd, l->buffer, BUFFER_LEN);

	if (n == -1)
		return errno == EINTR ? 1 : -errno;
	if (n == 0 || manifest_feed(&l->manifest, l->buffer, (size_t)n) != 0)
		return 0;
	l->len += (size_t)n;
	/* saves a read for each of many small files */
	return !S_ISREG(l->st.st_mode) || l->len != (size_t)l->st.st_size;
}

/* Has it been written since it was opened? Then it may not have been complete. */
static bool is_written(const struct files *f, const struct file_loading *l)
{
	struct stat now;

	return f->loop && S_ISREG(l->st.st_mode) && fstat(l->fd, &now) == 0 &&
	       (now.st_size != l->st.st_size ||
		now.st_mtim.tv_sec != l->st.st_mtim.tv_sec ||
		now.st_mtim.tv_nsec != l->st.st_mtim.tv_nsec);
}

static int go_on(struct files *f)
{
	struct file_loading *l = &f->loading;
	_cleanup_(freep) char *error = NULL;
	int rc = l->is_read ? 0 : feed(l);

	if (rc == 0) {
		l->is_read = true;
		rc = manifest_finish(&l->manifest, &error);
	}
	if (rc == 1)
		return 1;
	if (!is_written(f, l))
		return finish(f, rc, error);
	f->due = FILE_SCAN_LATER;
	reject_end(f->reject);
	end(l);
	return 1;
}

static struct file *find_wanted(struct files *f)
{
	for (size_t i = 0; f->n_wanted > 0 && i < f->n; i++) {
		struct file *file = f->files[(f->next + i) % f->n];

		if (file->wants_read) {
			f->next = (f->next + i + 1) % f->n;
			return file;
		}
	}
	return NULL;
}

int files_load_step(struct files *f)
{
	struct file *file;

	if (f->loading.file)
		return go_on(f);
	file = find_wanted(f);
	return file ? start(f, file) : 0;
}

void files_load_abort(struct files *f)
{
	if (f->loading.file) {
		file_want(f, f->loading.file);
		reject_end(f->reject);
		end(&f->loading);
	}
}
