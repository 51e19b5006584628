/*
 * Changes of a file, on a real loop.
 */
#include "tests/test.h"

#include <ev.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/host/path_watch.h"
#include "tests/unit/world.h"

struct watched {
	struct world world;
	struct path_watch *watch;
	ev_timer noise;
	unsigned n_changes;
};

static void on_changed(void *data)
{
	struct watched *w = data;

	w->n_changes++;
	ev_break(w->world.loop, EVBREAK_ALL);
}

static void on_noise(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct watched *w = timer->data;

	(void)loop;
	(void)revents;
	world_write(&w->world, "other", "x");
}

static int set_up(void **state)
{
	struct watched *w = xcalloc(1, sizeof(*w));
	_cleanup_(freep) char *path = NULL;

	world_open(&w->world);
	world_write(&w->world, "file", "1");
	path = world_path(&w->world, "file");
	assert_int_equal(path_watch_new(w->world.loop, path, on_changed, w, &w->watch),
			 0);
	ev_timer_init(&w->noise, on_noise, 0.02, 0.02);
	w->noise.data = w;
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct watched *w = *state;

	ev_timer_stop(w->world.loop, &w->noise);
	path_watch_free(w->watch);
	world_close(&w->world);
	free(w);
	return 0;
}

static void a_file_that_is_written_is_reported_once(void **state)
{
	struct watched *w = *state;

	world_write(&w->world, "file", "22");
	world_run(&w->world, 10.);
	assert_int_equal(w->n_changes, 1);
}

static void a_folder_that_is_always_busy_does_not_hide_a_change(void **state)
{
	struct watched *w = *state;

	ev_timer_start(w->world.loop, &w->noise);
	world_write(&w->world, "file", "22");
	world_run(&w->world, 10.);
	assert_int_equal(w->n_changes, 1);
}

#define WATCHED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WATCHED(a_file_that_is_written_is_reported_once),
		WATCHED(a_folder_that_is_always_busy_does_not_hide_a_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
