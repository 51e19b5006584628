#include "tests/unit/world.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/test.h"
#include "tests/unit/turn_loop.h"

#define PATIENCE_SEC 60.
#define STEP_SEC     .01
#define MAX_FOLDERS  16 /* open at a time while removing */

void world_open(struct world *w)
{
	*w = (struct world){.loop = ev_loop_new(EVFLAG_AUTO)};
	strcpy(w->folder, "/tmp/sluice-unit-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_tree(const char *path)
{
	assert_int_equal(nftw(path, remove_one, MAX_FOLDERS, FTW_DEPTH | FTW_PHYS), 0);
}

void world_close(struct world *w)
{
	ev_loop_destroy(w->loop);
	remove_tree(w->folder);
}

char *world_path(const struct world *w, const char *name)
{
	return xasprintf("%s/%s", w->folder, name);
}

/* All folders above a file. */
static void make_parents(const struct world *w, char *path)
{
	for (char *slash = path + strlen(w->folder) + 1; (slash = strchr(slash, '/'));
	     *slash++ = '/') {
		*slash = '\0';
		if (mkdir(path, 0755) == -1)
			assert_int_equal(errno, EEXIST);
	}
}

void world_write(const struct world *w, const char *name, const char *text)
{
	_cleanup_(freep) char *path = world_path(w, name);
	FILE *file;

	make_parents(w, path);
	file = fopen(path, "we");
	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

char *world_read(const struct world *w, const char *name)
{
	_cleanup_(freep) char *path = world_path(w, name);
	_cleanup_(fclosep) FILE *file = fopen(path, "re");
	struct buf text = BUF_INIT;

	for (int c; file && (c = getc(file)) != EOF;)
		buf_add_char(&text, (char)c);
	return text.data ? buf_take(&text) : xstrdup("");
}

void world_make_folder(const struct world *w, const char *name)
{
	_cleanup_(freep) char *path = world_path(w, name);

	assert_int_equal(mkdir(path, 0755), 0);
}

void world_make_fifo(const struct world *w, const char *name)
{
	_cleanup_(freep) char *path = world_path(w, name);

	assert_int_equal(mkfifo(path, 0600), 0);
}

void world_link(const struct world *w, const char *target, const char *name)
{
	_cleanup_(freep) char *path = world_path(w, name);

	assert_int_equal(symlink(target, path), 0);
}

void world_rename(const struct world *w, const char *from, const char *to)
{
	_cleanup_(freep) char *from_path = world_path(w, from);
	_cleanup_(freep) char *to_path = world_path(w, to);

	assert_int_equal(rename(from_path, to_path), 0);
}

void world_remove(const struct world *w, const char *name)
{
	_cleanup_(freep) char *path = world_path(w, name);

	remove_tree(path);
}

void world_run(struct world *w, double seconds)
{
	turn_loop(w->loop, seconds);
}

void world_run_until(struct world *w, bool (*is_done)(void *data), void *data)
{
	ev_tstamp end = ev_time() + PATIENCE_SEC;

	while (!is_done(data)) {
		assert_true(ev_time() < end);
		world_run(w, STEP_SEC);
	}
}
