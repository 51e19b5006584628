/*
 * The folder is watched, not the file: most writers put a new file under the old name.
 * Events come in bursts, and a file may be half written, so the callback waits until
 * the folder is quiet, but not for long: a busy folder may never be.  Size, time and
 * inode decide whether the file is another one, whatever the events were about.  A
 * folder that is removed and made again is watched again.
 */
#include "proxy/host/path_watch.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/mem.h"

#define QUIET_SEC   .1
#define MAX_WAIT_US 1000000ull
#define RETRY_SEC   1. /* when there is no folder to watch */
#define EVENTS                                                                           \
	(IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM |          \
	 IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

struct path_watch {
	struct ev_loop *loop;
	char *path, *folder;
	int fd;
	ev_io io;
	ev_timer quiet;
	uint64_t first_us; /* when the burst started */
	struct stat seen;
	void (*changed)(void *data);
	void *data;
};

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void on_quiet(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct path_watch *w = timer->data;
	struct stat now;

	ev_timer_stop(loop, timer);
	/* adding the same watch again has no effect */
	if (inotify_add_watch(w->fd, w->folder, EVENTS) == -1) {
		ev_timer_set(timer, RETRY_SEC, QUIET_SEC);
		ev_timer_start(loop, timer);
	}
	/* missing for a moment: its successor counts; reading a pipe would wait for a writer */
	if (stat(w->path, &now) == -1 || !S_ISREG(now.st_mode) || is_same(&now, &w->seen))
		return;
	w->seen = now;
	w->changed(w->data);
}

static void on_events(struct ev_loop *loop, ev_io *io, int revents)
{
	struct path_watch *w = io->data;
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	while (read(w->fd, events, sizeof(events)) > 0)
		continue; /* that there were some is enough */
	if (!ev_is_active(&w->quiet))
		w->first_us = clock_monotonic_us();
	if (clock_monotonic_us() - w->first_us < MAX_WAIT_US)
		ev_timer_again(loop, &w->quiet);
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

int path_watch_new(struct ev_loop *loop, const char *path, void (*changed)(void *data),
		   void *data, struct path_watch **ret)
{
	_cleanup_(freep) char *folder = folder_of(path);
	_cleanup_(closep) int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct path_watch *w;

	if (fd == -1 || inotify_add_watch(fd, folder, EVENTS) == -1)
		return -errno;
	w = xcalloc(1, sizeof(*w));
	w->folder = take_ptr(folder);
	w->loop = loop;
	w->path = xstrdup(path);
	w->changed = changed;
	w->data = data;
	w->fd = take_fd(fd);
	(void)stat(path, &w->seen); /* not there: any that comes is new */
	ev_io_init(&w->io, on_events, w->fd, EV_READ);
	ev_timer_init(&w->quiet, on_quiet, 0., QUIET_SEC);
	w->io.data = w->quiet.data = w;
	ev_io_start(loop, &w->io);
	*ret = w;
	return 0;
}

void path_watch_free(struct path_watch *w)
{
	if (!w)
		return;
	ev_io_stop(w->loop, &w->io);
	ev_timer_stop(w->loop, &w->quiet);
	(void)close(w->fd);
	free(w->path);
	free(w->folder);
	free(w);
}
