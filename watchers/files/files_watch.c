/*
 * inotify names a folder by a number that may stand for several of the paths
 * (one watches its way through it, another is the folder), so each has a list
 * entry of its own.  Watching again starts with an empty inotify instance:
 * rare, and nothing can be left over.
 */
#include "watchers/files/files_watch.h"

#include <errno.h>
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

struct file_watch_entry {
	int wd;
	char *name; /* the one in the folder that counts; NULL: all do */
};

static int add(struct file_watch *w, const char *folder, const char *name, size_t len,
	       uint32_t mask)
{
	int wd = inotify_add_watch(w->fd, folder, mask);

	if (wd == -1)
		return -errno;
	w->entries = xgrow(w->entries, w->n, &w->cap, sizeof(*w->entries));
	w->entries[w->n++] = (struct file_watch_entry){
		.wd = wd,
		.name = name ? xstrndup(name, len) : NULL,
	};
	return 0;
}

/*
 * Every folder above path, which is absolute, each for the name that leads on:
 * links are swapped, folders made again.  In the last one all names count, for
 * the path may be a link to any of them.  Ends without an error where a folder
 * is missing: its name is awaited in the one above.
 */
static int add_way(struct file_watch *w, const char *path)
{
	const char *slash = path, *next;
	int rc = 0;

	for (; slash; slash = next) {
		_cleanup_(freep) char *folder =
			slash == path ? xstrdup("/")
				      : xstrndup(path, (size_t)(slash - path));

		next = strchr(slash + 1, '/');
		if (next)
			rc = add(w, folder, slash + 1, (size_t)(next - slash - 1),
				 NAME_MASK);
		else
			rc = add(w, folder, NULL, 0, CONTENT_MASK);
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

static void forget(struct file_watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->entries[i].name);
	w->n = 0;
	if (w->fd >= 0)
		(void)close(w->fd);
	w->fd = -1;
}

void file_watch_fini(struct file_watch *w)
{
	forget(w);
	free(w->entries);
	file_watch_init(w);
}

int file_watch_reset(struct file_watch *w)
{
	forget(w);
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return w->fd == -1 ? -errno : 0;
}

int file_watch_add(struct file_watch *w, const char *path)
{
	_cleanup_(freep) char *clean = absolute_path(path);
	_cleanup_(freep) char *real = NULL;
	int rc = 0;

	/* the way first: files that appear at its end from now on are noticed */
	if (*clean)
		rc = add_way(w, clean);
	if (rc == 0)
		rc = add(w, path, NULL, 0, CONTENT_MASK);
	if (rc != 0 && rc != -ENOENT && rc != -ENOTDIR)
		return rc;
	/* files are written where a link leads to */
	real = realpath(path, NULL);
	if (real && real[1] && strcmp(real, clean) != 0)
		return add_way(w, real);
	return 0;
}

static bool is_relevant(const struct file_watch *w, const struct inotify_event *event)
{
	const char *name = event->len > 0 ? event->name : "";

	if (event->mask & SELF_MASK)
		return true;
	for (size_t i = 0; i < w->n; i++) {
		const struct file_watch_entry *entry = &w->entries[i];

		if (entry->wd == event->wd &&
		    (!entry->name || strcmp(entry->name, name) == 0))
			return true;
	}
	return false;
}

bool file_watch_read(struct file_watch *w)
{
	_Alignas(struct inotify_event) char buffer[65536];
	bool is_any = false;
	ssize_t len;

	while ((len = read(w->fd, buffer, sizeof(buffer))) > 0) {
		for (const char *p = buffer; p < buffer + len;) {
			const struct inotify_event *event = (const void *)p;

			is_any |= is_relevant(w, event);
			p += sizeof(*event) + event->len;
		}
	}
	return is_any;
}
