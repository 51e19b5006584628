/*
 * One inotify watch may serve several purposes (two files in one folder), so
 * for each there is a list of what its events mean to whom.  Arming starts
 * again with an empty inotify instance: rare, and nothing can be left over.
 */
#include "watchers/files/files_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/files/files_private.h"

#define SELF_MASK    (IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_MASK_ADD)
#define NAME_MASK    (IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE)
#define CONTENT_MASK (NAME_MASK | IN_CLOSE_WRITE)
#define LOST_MASK    (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)

/* kubelet swaps this link to give a mounted ConfigMap new content. */
#define CONFIG_MAP_LINK "..data"

struct purpose {
	int wd;
	bool is_folder; /* the source: every manifest in it */
	bool is_file;	/* entry is the source itself, or what it leads to */
	const struct file_source *source;
	char *path;  /* of the folder that is watched */
	char *entry; /* the name in it that counts */
};

struct file_watch {
	int fd;
	struct purpose *purposes;
	size_t n, cap;
};

static void forget(struct file_watch *w)
{
	for (size_t i = 0; i < w->n; i++) {
		free(w->purposes[i].path);
		free(w->purposes[i].entry);
	}
	w->n = 0;
	if (w->fd >= 0)
		(void)close(w->fd);
	w->fd = -1;
}

/* What purpose describes, on the folder at path; entry may be NULL. */
static int add(struct file_watch *w, const struct purpose *purpose, const char *path,
	       const char *entry)
{
	uint32_t mask = SELF_MASK;
	int wd;

	mask |= purpose->is_folder || purpose->is_file ? CONTENT_MASK : NAME_MASK;
	wd = inotify_add_watch(w->fd, path, mask);
	if (wd == -1)
		return -errno;
	w->purposes = xgrow(w->purposes, w->n, &w->cap, sizeof(*w->purposes));
	w->purposes[w->n] = *purpose;
	w->purposes[w->n].wd = wd;
	w->purposes[w->n].path = xstrdup(path);
	w->purposes[w->n].entry = entry ? xstrdup(entry) : NULL;
	w->n++;
	return 0;
}

/*
 * Every folder above path, which is absolute and is changed meanwhile, each
 * watched for the name that leads on: links are swapped, folders made again.
 * Ends without complaint where the way does: there the next name is awaited.
 */
static int add_way(struct file_watch *w, const struct file_source *source, char *path,
		   bool is_file)
{
	char *slash = path, *next;
	int rc;

	do {
		next = strchr(slash + 1, '/');
		if (next)
			*next = '\0';
		*slash = '\0';
		rc = add(w,
			 &(struct purpose){.source = source, .is_file = is_file && !next},
			 slash == path ? "/" : path, slash + 1);
		*slash = '/';
		if (next)
			*next = '/';
		if (rc == -ENOENT || rc == -ENOTDIR)
			return 0;
		if (rc != 0 && rc != -EACCES) /* what we may only pass through */
			return rc;
		slash = next;
	} while (next);
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

static int add_source(struct file_watch *w, const struct file_source *source)
{
	_cleanup_(freep) char *path = absolute_path(source->path);
	_cleanup_(freep) char *real = NULL;
	int rc = 0;

	/* the way first: what appears at its end from now on is told */
	if (*path)
		rc = add_way(w, source, path, true);
	if (rc == 0)
		rc = add(w, &(struct purpose){.source = source, .is_folder = true},
			 source->path, NULL);
	if (rc != 0 && rc != -ENOENT && rc != -ENOTDIR)
		return rc;
	/* where a link leads to, files are written too */
	real = realpath(source->path, NULL);
	if (real && real[1] && strcmp(real, path) != 0)
		return add_way(w, source, real, true);
	return 0;
}

struct file_watch *file_watch_new(void)
{
	struct file_watch *w = xcalloc(1, sizeof(*w));

	w->fd = -1;
	return w;
}

void file_watch_free(struct file_watch *w)
{
	if (!w)
		return;
	forget(w);
	free(w->purposes);
	free(w);
}

int file_watch_arm(struct file_watch *w, const struct file_source *sources, size_t n)
{
	int rc = 0;

	forget(w);
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd == -1)
		return -errno;
	for (size_t i = 0; i < n; i++) {
		int err = sources[i].is_stdin ? 0 : add_source(w, &sources[i]);

		rc = rc != 0 ? rc : err;
	}
	return rc;
}

int file_watch_fd(const struct file_watch *w)
{
	return w->fd;
}

/* A file that appears empty is being written, and told when closed; a link is whole. */
static bool is_whole(const struct purpose *p, const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", p->path, name);
	struct stat st;

	if (lstat(path, &st) == -1)
		return false;
	return S_ISLNK(st.st_mode) || (S_ISREG(st.st_mode) && st.st_nlink > 1);
}

/* News of one name in the folder; false when it is none. */
static bool news_of(const struct purpose *p, uint32_t mask, const char *name,
		    enum file_news *ret)
{
	if (mask & (IN_CLOSE_WRITE | IN_MOVED_TO))
		*ret = FILE_NEWS_WRITTEN;
	else if (mask & (IN_DELETE | IN_MOVED_FROM))
		*ret = FILE_NEWS_GONE;
	else if (mask & IN_CREATE && is_whole(p, name))
		*ret = FILE_NEWS_WRITTEN;
	else
		return false;
	return true;
}

static void tell_purpose(const struct purpose *p, const struct inotify_event *event,
			 file_news_fn fn, void *data)
{
	const char *name = event->len > 0 ? event->name : "";
	enum file_news news;

	if (event->mask & LOST_MASK) {
		fn(data, FILE_NEWS_UNSURE, p->source, "");
		return;
	}
	if (strcmp(name, CONFIG_MAP_LINK) == 0) {
		if (event->mask & (IN_MOVED_TO | IN_CREATE))
			fn(data, FILE_NEWS_MOVED, p->source, "");
		return;
	}
	if (p->is_folder && files_is_manifest_name(name) &&
	    news_of(p, event->mask, name, &news)) {
		fn(data, news, p->source, name);
	} else if (p->entry && strcmp(name, p->entry) == 0) {
		if (p->is_file && event->mask & IN_CLOSE_WRITE)
			fn(data, FILE_NEWS_WRITTEN, p->source, "");
		else if (event->mask & IN_MOVED_TO ||
			 (event->mask & IN_CREATE && is_whole(p, name)))
			fn(data, FILE_NEWS_MOVED, p->source, "");
		else if (event->mask & IN_ISDIR || !(event->mask & IN_CREATE))
			fn(data, FILE_NEWS_UNSURE, p->source, "");
	}
}

static void tell_event(const struct file_watch *w, const struct inotify_event *event,
		       file_news_fn fn, void *data)
{
	if (event->mask & IN_Q_OVERFLOW) {
		fn(data, FILE_NEWS_MOVED, NULL, "");
		return;
	}
	for (size_t i = 0; i < w->n; i++) {
		if (w->purposes[i].wd == event->wd)
			tell_purpose(&w->purposes[i], event, fn, data);
	}
}

void file_watch_read(struct file_watch *w, file_news_fn fn, void *data)
{
	_Alignas(struct inotify_event) char buffer[65536];

	for (;;) {
		ssize_t len = read(w->fd, buffer, sizeof(buffer));

		if (len <= 0)
			return;
		for (const char *p = buffer; p < buffer + len;) {
			const struct inotify_event *event = (const void *)p;

			tell_event(w, event, fn, data);
			p += sizeof(*event) + event->len;
		}
	}
}
