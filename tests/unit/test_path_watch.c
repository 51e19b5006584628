/*
 * Changes of a file, on a real loop.
 */
#include "tests/test.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/host/path_watch.h"

struct world {
	struct ev_loop *loop;
	char folder[32];
	char *path, *other;
	struct path_watch *watch;
	ev_timer noise, over;
	unsigned n_changes;
};

static void write_file(const char *path, const char *text)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
}

static void on_changed(void *data)
{
	struct world *w = data;

	w->n_changes++;
	ev_break(w->loop, EVBREAK_ALL);
}

static void on_noise(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct world *w = timer->data;

	(void)loop;
	(void)revents;
	write_file(w->other, "x");
}

static void on_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->loop = ev_loop_new(EVFLAG_AUTO);
	(void)snprintf(w->folder, sizeof(w->folder), "/tmp/sluice-watch-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	w->path = xasprintf("%s/file", w->folder);
	w->other = xasprintf("%s/other", w->folder);
	write_file(w->path, "1");
	assert_int_equal(path_watch_new(w->loop, w->path, on_changed, w, &w->watch), 0);
	ev_timer_init(&w->noise, on_noise, 0.02, 0.02);
	ev_timer_init(&w->over, on_over, 10., 0.);
	w->noise.data = w;
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ev_timer_stop(w->loop, &w->noise);
	ev_timer_stop(w->loop, &w->over);
	path_watch_free(w->watch);
	(void)unlink(w->path);
	(void)unlink(w->other);
	assert_int_equal(rmdir(w->folder), 0);
	ev_loop_destroy(w->loop);
	free(w->path);
	free(w->other);
	free(w);
	return 0;
}

static void run_until_changed(struct world *w)
{
	ev_timer_start(w->loop, &w->over);
	ev_run(w->loop, 0);
	ev_timer_stop(w->loop, &w->over);
}

static void a_file_that_is_written_is_reported_once(void **state)
{
	struct world *w = *state;

	write_file(w->path, "22");
	run_until_changed(w);
	assert_int_equal(w->n_changes, 1);
}

static void a_folder_that_is_always_busy_does_not_hide_a_change(void **state)
{
	struct world *w = *state;

	ev_timer_start(w->loop, &w->noise);
	write_file(w->path, "22");
	run_until_changed(w);
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
