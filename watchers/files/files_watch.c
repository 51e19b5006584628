/*
 * inotify names a folder by a number that may stand for several of the paths
 * (one watches its way through it, another is the folder), so each has a list
 * entry of its own.  The instance stays the same when the paths are watched again:
 * to close one takes the kernel up to tens of milliseconds.
 */
#include "watchers/files/files_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"

#define NAME_MASK                                                                        \
	(IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF |          \
	 IN_MOVE_SELF | IN_ONLYDIR | IN_MASK_ADD)
#define CONTENT_MASK (NAME_MASK | IN_CLOSE_WRITE)
/* Of the folder itself, or of all of them. */
#define SELF_MASK                                                                        \
	(IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT | IN_Q_OVERFLOW)
#define MAX_LINKS 40 /* the kernel's limit */

struct file_watch_entry {
	int wd;
	char *name; /* the one in the folder that counts; NULL: all do */
	const struct file_source *source; /* NULL: the name is on the way to one */
};

static int add(struct file_watch *w, const char *folder, uint32_t mask,
	       const struct file_watch_entry *entry)
{
	int wd = inotify_add_watch(w->fd, folder, mask);

	if (wd == -1)
		return -errno;
	w->entries = xgrow(w->entries, w->n, &w->cap, sizeof(*w->entries));
	w->entries[w->n] = *entry;
	w->entries[w->n++].wd = wd;
	return 0;
}

static int add_name(struct file_watch *w, const char *folder, const char *name,
		    size_t len, const struct file_source *source)
{
	struct file_watch_entry entry = {.name = xstrndup(name, len), .source = source};
	int rc = add(w, folder, source ? CONTENT_MASK : NAME_MASK, &entry);

	if (rc != 0)
		free(entry.name);
	return rc;
}

/*
 * Every folder above path, which is absolute, each for the name that leads on:
 * links are swapped, folders made again.  Ends without an error where a folder
 * is missing: its name is awaited in the one above.
 */
static int add_way(struct file_watch *w, const char *path,
		   const struct file_source *source)
{
	const char *slash = path, *next;
	int rc = 0;

	for (; slash; slash = next) {
		_cleanup_(freep) char *folder =
			slash == path ? xstrdup("/")
				      : xstrndup(path, (size_t)(slash - path));
		size_t len = strcspn(slash + 1, "/");

		next = slash[1 + len] ? slash + 1 + len : NULL;
		rc = add_name(w, folder, slash + 1, len, next ? NULL : source);
		if (rc == -ENOENT || rc == -ENOTDIR)
			return 0;
		if (rc != 0 && rc != -EACCES) /* one that may only be passed through */
			return rc;
	}
	return 0;
}

/* Without "//", "/./" and a slash at the end; links and ".." stay as they are. */
static char *absolute_path(const char *path)
{
	_cleanup_(freep) char *cwd = *path == '/' ? NULL : getcwd(NULL, 0);
	_cleanup_(freep) char *joined = xasprintf("%s/%s", cwd ? cwd : "", path);
	char *clean = xcalloc(1, strlen(joined) + 2), *save = NULL;

	for (char *part = strtok_r(joined, "/", &save); part;
	     part = strtok_r(NULL, "/", &save)) {
		if (strcmp(part, ".") != 0)
			strcat(strcat(clean, "/"), part);
	}
	return clean;
}

void file_watch_init(struct file_watch *w)
{
	*w = (struct file_watch){.fd = -1};
}

static void free_entries(struct file_watch_entry *entries, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(entries[i].name);
	free(entries);
}

void file_watch_fini(struct file_watch *w)
{
	free_entries(w->entries, w->n);
	free_entries(w->old, w->n_old);
	if (w->fd >= 0)
		(void)close(w->fd);
	file_watch_init(w);
}

int file_watch_begin(struct file_watch *w)
{
	w->old = take_ptr(w->entries);
	w->n_old = w->n;
	w->n = w->cap = 0;
	if (w->fd == -1)
		w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return w->fd == -1 ? -errno : 0;
}

static bool is_watched(const struct file_watch *w, int wd)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->entries[i].wd == wd)
			return true;
	}
	return false;
}

void file_watch_end(struct file_watch *w)
{
	for (size_t i = 0; i < w->n_old; i++) {
		if (!is_watched(w, w->old[i].wd)) /* fails where the kernel was first */
			(void)inotify_rm_watch(w->fd, w->old[i].wd);
	}
	free_entries(take_ptr(w->old), w->n_old);
	w->n_old = 0;
}

/* The path that a link at this path leads to, or NULL if it is not a link. */
static char *link_target(const char *path)
{
	char target[PATH_MAX];
	ssize_t len = readlink(path, target, sizeof(target) - 1);
	_cleanup_(freep) char *joined = NULL;

	if (len == -1)
		return NULL;
	target[len] = '\0';
	if (*target == '/')
		return absolute_path(target);
	joined = xasprintf("%.*s/%s", (int)(strrchr(path, '/') - path), path, target);
	return absolute_path(joined);
}

/* The way to the path, then to the path that it leads to if it is a link, and so on. */
static int add_ways(struct file_watch *w, const char *path,
		    const struct file_source *source)
{
	_cleanup_(freep) char *at = xstrdup(path);
	int rc = add_way(w, at, source);

	for (int i = 0; rc == 0 && i < MAX_LINKS; i++) {
		_cleanup_(freep) char *target = link_target(at);

		if (!target)
			return 0;
		free(at);
		at = take_ptr(target);
		rc = add_way(w, at, source);
	}
	return rc;
}

int file_watch_add(struct file_watch *w, const char *path,
		   const struct file_source *source)
{
	_cleanup_(freep) char *clean = absolute_path(path);
	_cleanup_(freep) char *real = NULL;
	int rc = 0;

	/* the way first: files that appear at its end from now on are noticed */
	if (*clean)
		rc = add_ways(w, clean, source);
	if (rc == 0)
		rc = add(w, path, CONTENT_MASK,
			 &(struct file_watch_entry){.source = source});
	if (rc != 0 && rc != -ENOENT && rc != -ENOTDIR)
		return rc;
	/* files are written where a link leads to */
	real = realpath(path, NULL);
	if (real && real[1] && strcmp(real, clean) != 0)
		return add_way(w, real, source);
	return 0;
}

static void pass_on(const struct file_watch *w, const struct inotify_event *event,
		    file_event_fn fn, void *data)
{
	const char *name = event->len > 0 ? event->name : "";
	struct file_event e = {
		.name = "",
		.is_moved_in = event->mask & IN_MOVED_TO,
		.is_closed = event->mask & IN_CLOSE_WRITE,
		.is_folder = event->mask & IN_ISDIR,
	};

	if (event->mask & SELF_MASK) {
		if (event->wd == -1 || is_watched(w, event->wd))
			fn(data, &e);
		return;
	}
	for (size_t i = 0; i < w->n; i++) {
		const struct file_watch_entry *entry = &w->entries[i];

		if (entry->wd != event->wd ||
		    (entry->name && strcmp(entry->name, name) != 0))
			continue;
		e.source = entry->source;
		e.name = entry->name ? "" : name;
		fn(data, &e);
	}
}

void file_watch_read(struct file_watch *w, file_event_fn fn, void *data)
{
	_Alignas(struct inotify_event) char buffer[65536];
	ssize_t len = read(w->fd, buffer, sizeof(buffer));

	for (const char *p = buffer; len > 0 && p < buffer + len;) {
		const struct inotify_event *event = (const void *)p;

		pass_on(w, event, fn, data);
		p += sizeof(*event) + event->len;
	}
}
