#include "tests/unit/world.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/test.h"
#include "tests/unit/turn_loop.h"

#define PATIENCE_SEC 5.
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

void world_close(struct world *w)
{
	ev_loop_destroy(w->loop);
	assert_int_equal(nftw(w->folder, remove_one, MAX_FOLDERS, FTW_DEPTH | FTW_PHYS),
			 0);
}

char *world_path(const struct world *w, const char *name)
{
	return xasprintf("%s/%s", w->folder, name);
}

void world_write(const struct world *w, const char *name, const char *text)
{
	_cleanup_(freep) char *path = world_path(w, name);
	FILE *file = fopen(path, "we");

	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

void world_make_folder(const struct world *w, const char *name)
{
	_cleanup_(freep) char *path = world_path(w, name);

	assert_int_equal(mkdir(path, 0755), 0);
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
