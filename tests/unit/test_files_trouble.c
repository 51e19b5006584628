/*
 * Manifests that are followed, in cases that steps of test_files.c cannot express: large files, unmounted folders, bursts, pipes, missing inotify.
 */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/engine/rejections.h"
#include "tests/unit/capture.h"
#include "tests/unit/files_world.h"
#include "tests/unit/object_text.h"

static void temporary_and_other_files_in_a_folder_are_not_read(void **state)
{
	static const char *const ignored[] = {
		".hidden.yaml", ".web.yaml.swp", "web.yaml~",	 "#web.yaml#", "4913",
		"notes.txt",	".#web.yaml",	 "web.yaml.tmp", "README",     ".yaml",
	};
	struct files_world *w = *state;

	for (size_t i = 0; i < N_ELEMENTS(ignored); i++)
		files_world_write(w, ignored[i], "ignored", "10.96.0.9");
	files_world_write(w, "a.yaml", "a", "10.96.0.1");
	files_world_write(w, "b.yml", "b", "10.96.0.2");
	world_write(
		&w->base, "c.json",
		"{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"items\":["
		"{\"metadata\":{\"name\":\"c\"},\"spec\":{\"clusterIP\":\"10.96.0.3\","
		"\"ports\":[{\"port\":80}]}}]}");
	files_world_follow(w, 0, w->base.folder);
	assert_string_equal(files_world_ip(w, "a"), "10.96.0.1");
	assert_string_equal(files_world_ip(w, "b"), "10.96.0.2");
	assert_string_equal(files_world_ip(w, "c"), "10.96.0.3");
	for (size_t i = 0; i < N_ELEMENTS(ignored); i++)
		files_world_write(w, ignored[i], "ignored", "10.96.0.8");
	files_world_settle(w);
	assert_int_equal(cluster_n(w->cluster, OBJECT_SERVICE), 3);
	assert_string_equal(buf_string(&w->reports), "");
}

/* No more than a turn's work at a time: the tick timer runs in between. */
static void a_large_file_is_read_in_several_turns(void **state)
{
	struct files_world *w = *state;
	struct buf text = BUF_INIT;
	unsigned n_turns = 0;

	files_world_follow(w, 0, w->base.folder);
	for (unsigned i = 0; i < 20000; i++)
		buf_printf(&text, "--- {a: [%u, b, c, {d: e}]}\n", i);
	buf_add_string(&text, "--- {apiVersion: v1, kind: Service, metadata: {name: a}, "
			      "spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}\n");
	world_write(&w->base, "new", buf_string(&text));
	ev_sleep(0.1); /* it is not new any more when it appears */
	world_rename(&w->base, "new", "a.yaml");
	while (!w->n_changed && n_turns < 100000) {
		ev_run(w->base.loop, EVRUN_ONCE);
		n_turns++;
	}
	assert_string_equal(files_world_ip(w, "a"), "10.96.0.1");
	assert_true(n_turns > 15);
	buf_fini(&text);
}

/* On another file system, as a mount point is after umount. */
static void an_unmounted_folder_keeps_its_objects(void **state)
{
	struct files_world *w = *state;
	const char *folder = files_at(w, "m");
	_cleanup_(freep) char *path = xstrdup(folder);

	if (unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		skip();
	assert_int_equal(mkdir(path, 0700), 0);
	if (mount("tmpfs", path, "tmpfs", 0, NULL) == -1)
		skip();
	files_world_write(w, "m/a.yaml", "a", "10.96.0.1");
	files_world_follow(w, 0, path);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	files_world_pause(w, 1.);
	assert_string_equal(files_world_ip(w, "a"), "10.96.0.1");
	assert_int_equal(files_n_missing(w->files), 1);
	assert_int_equal(mount("tmpfs", path, "tmpfs", 0, NULL), 0);
	files_world_write(w, "m/a.yaml", "a", "10.96.0.2");
	files_world_await(w, "a", "10.96.0.2");
	assert_int_equal(files_n_missing(w->files), 0);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
}

/* More events than inotify's queue holds: everything is looked at again. */
static void a_burst_of_events_loses_nothing(void **state)
{
	struct files_world *w = *state;

	files_world_follow(w, 0, w->base.folder);
	files_world_write(w, "x", "x", "10.96.0.9");
	for (unsigned i = 0; i < 9000; i++)
		assert_int_equal(rename(files_at(w, i % 2 ? "y" : "x"),
					files_at(w, i % 2 ? "x" : "y")),
				 0);
	files_world_write(w, "a.yaml", "a", "10.96.0.1");
	files_world_await(w, "a", "10.96.0.1");
}

static void a_rewrite_with_the_same_content_is_not_reported_as_a_change(void **state)
{
	struct files_world *w = *state;
	unsigned before;

	files_world_write(w, "a.yaml", "a", "10.96.0.1");
	files_world_follow(w, 0, w->base.folder);
	files_world_settle(w);
	before = w->n_changed;
	files_world_write(w, "a.yaml", "a", "10.96.0.1");
	files_world_settle(w);
	assert_int_equal(w->n_changed, before + 2); /* by files_world_settle() */
}

/* The old file is moved away before the new one is written, as vim does. */
static void services_stay_while_an_editor_saves_their_file(void **state)
{
	struct files_world *w = *state;

	files_world_write(w, "a.yaml", "a", "10.96.0.1");
	files_world_follow(w, 0, w->base.folder);
	strcpy(w->watched, "a");
	for (int i = 0; i < 20; i++) {
		_cleanup_(freep) char *ip = xasprintf("10.96.1.%d", i);
		_cleanup_(freep) char *text = files_service_text("a", ip);
		_cleanup_(closep) int fd = -1;

		world_rename(&w->base, "a.yaml", "a.yaml~");
		ev_run(w->base.loop, EVRUN_NOWAIT);
		fd = open(files_at(w, "a.yaml"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			  0600);
		assert_true(fd >= 0);
		ev_sleep(i == 0 ? 0.2 : 0.); /* as on a busy machine */
		ev_run(w->base.loop, EVRUN_NOWAIT);
		assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
		world_remove(&w->base, "a.yaml~");
		ev_run(w->base.loop, EVRUN_NOWAIT);
		(void)close(fd);
		fd = -1;
		files_world_await(w, "a", ip);
	}
	assert_false(w->has_blinked);
}

/* Also when another file comes or goes. */
static void the_number_of_objects_that_do_not_count_is_known(void **state)
{
	struct files_world *w = *state;
	struct rejections *r = rejections_new(false);

	w->reject = *rejections_reject(r);
	files_world_write(w, "b.yaml", "web", "10.96.0.2");
	files_world_write(w, "c.yaml", "web", "10.96.0.3");
	files_world_follow(w, 0, w->base.folder);
	assert_int_equal(rejections_n(r), 1);
	files_world_write(w, "a.yaml", "web", "10.96.0.1");
	files_world_settle(w);
	assert_int_equal(rejections_n(r), 2);
	assert_int_equal(files_read(w->files), 0); /* c reports a instead of b */
	capture_start();
	assert_int_equal(files_read(w->files), 0);
	assert_string_equal(capture_end(), ""); /* nothing new */
	assert_int_equal(rejections_n(r), 2);
	world_remove(&w->base, "a.yaml");
	files_world_settle(w);
	assert_int_equal(rejections_n(r), 1);
	world_remove(&w->base, "c.yaml");
	files_world_settle(w);
	assert_int_equal(rejections_n(r), 0);
	rejections_free(r);
}

static void an_object_in_several_paths_counts_from_the_first(void **state)
{
	struct files_world *w = *state;
	const char *paths[] = {files_at(w, "y"), files_at(w, "x/b.yaml"),
			       files_at(w, "x")};

	world_make_folder(&w->base, "x");
	world_make_folder(&w->base, "y");
	files_world_write(w, "x/b.yaml", "web", "10.96.0.1");
	files_world_write(w, "y/a.yaml", "web", "10.96.0.2");
	files_world_read(w, 0, paths, N_ELEMENTS(paths));
	assert_string_equal(files_world_ip(w, "web"), "10.96.0.1");
	assert_int_equal(cluster_n(w->cluster, OBJECT_SERVICE), 1);
}

static void an_unchanged_file_is_not_read_again(void **state)
{
	struct files_world *w = *state;

	world_write(&w->base, "bad.yaml",
		    "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\n"
		    "spec: {clusterIP: x, ports: [{port: 80}]}\n");
	files_world_follow(w, 0, w->base.folder);
	assert_int_equal(files_world_n_reported(w, "bad.yaml"), 1);
	files_world_write(w, "a.yaml", "a", "10.96.0.1");
	files_world_settle(w);
	assert_int_equal(files_world_n_reported(w, "bad.yaml"), 1);
	/* not even by a scan of everything */
	files_world_swap(w, "..1", "map", "10.96.0.2");
	files_world_await(w, "map", "10.96.0.2");
	assert_int_equal(files_world_n_reported(w, "bad.yaml"), 1);
	files_reread(w->files);
	files_world_settle(w);
	assert_int_equal(files_world_n_reported(w, "bad.yaml"), 2);
}

static void standard_input_and_pipes_are_read_once(void **state)
{
	struct files_world *w = *state;
	_cleanup_(freep) char *text = files_service_text("a", "10.96.0.1");
	int saved = dup(STDIN_FILENO), ends[2];
	const char *path = "-";

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
	(void)close(ends[1]);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	(void)close(ends[0]);
	files_world_follow(w, 0, path);
	assert_string_equal(files_world_ip(w, "a"), "10.96.0.1");
	assert_int_equal(files_read(w->files), 0);
	assert_string_equal(files_world_ip(w, "a"), "10.96.0.1");
	(void)dup2(saved, STDIN_FILENO);
	(void)close(saved);
}

/* A reader would wait for a writer, and the daemon with it. */
static void a_pipe_in_the_place_of_a_file_is_left_alone(void **state)
{
	struct files_world *w = *state;
	int fd;

	files_world_write(w, "a.yaml", "a", "10.96.0.1");
	files_world_follow(w, 0, files_at(w, "a.yaml"));
	world_make_fifo(&w->base, "pipe");
	world_rename(&w->base, "pipe", "a.yaml");
	files_world_pause(w, 0.2);
	fd = open(files_at(w, "a.yaml"), O_RDWR | O_CLOEXEC); /* a silent writer */
	assert_true(fd >= 0);
	assert_int_equal(close(open(files_at(w, "a.yaml"), O_WRONLY | O_CLOEXEC)), 0);
	files_world_pause(w, 0.2);
	assert_string_equal(files_world_ip(w, "a"), "10.96.0.1");
	(void)close(fd);
	files_world_write(w, "new.yaml", "a", "10.96.0.2");
	world_rename(&w->base, "new.yaml", "a.yaml");
	files_world_await(w, "a", "10.96.0.2");
}

static void without_inotify_changes_are_found_by_polling(void **state)
{
	struct files_world *w = *state;
	struct rlimit before, none;
	const char *folder = w->base.folder;
	unsigned n = 0;

	files_world_write(w, "a.yaml", "a", "10.96.0.1");
	files_world_read(w, 0, &folder, 1);
	ev_run(w->base.loop, EVRUN_NOWAIT); /* the loop has opened its descriptors */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	files_start(w->files, w->base.loop, files_world_changed, w);
	while (n++ < 20)
		ev_run(w->base.loop, EVRUN_ONCE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	files_world_write(w, "b.yaml", "b", "10.96.0.2");
	files_world_await(w, "b", "10.96.0.2");
	assert_string_equal(files_world_ip(w, "a"), "10.96.0.1");
}

static void nothing_changes_after_stop(void **state)
{
	struct files_world *w = *state;

	files_world_write(w, "a.yaml", "a", "10.96.0.1");
	files_world_follow(w, 0, w->base.folder);
	files_stop(w->files);
	files_world_write(w, "a.yaml", "a", "10.96.0.2");
	for (int i = 0; i < 20; i++)
		ev_run(w->base.loop, EVRUN_ONCE);
	assert_string_equal(files_world_ip(w, "a"), "10.96.0.1");
	assert_int_equal(w->n_changed, 0);
}

/* A Service a, and so many others that they are not read in one turn of the loop. */
static void write_many(const struct files_world *w, const char *file)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	for (int i = 0; i < 1000; i++) {
		_cleanup_(freep) char *name = i ? xasprintf("s%d", i) : xstrdup("a");
		_cleanup_(freep) char *one = files_service_text(name, "10.96.0.2");

		buf_printf(&text, "---\n%s", one);
	}
	world_write(&w->base, file, buf_string(&text));
}

/* The loop stands still between two scans for longer than a file may be missing. */
static void a_renamed_file_is_read_before_the_old_one_is_dropped(void **state)
{
	struct files_world *w = *state;

	files_world_write(w, "b.yaml", "a", "10.96.0.1");
	files_world_follow(w, 0, w->base.folder);
	files_world_pause(w, 0.1);
	(void)snprintf(w->watched, sizeof(w->watched), "a");
	world_remove(&w->base, "b.yaml");
	world_run(&w->base, 0.035);
	write_many(w, "a.yaml");
	world_run(&w->base, 0.025); /* a scan: the new file is too fresh to be read */
	(void)usleep(700000);
	files_world_await(w, "a", "10.96.0.2");
	assert_false(w->has_blinked);
	world_remove(&w->base, "a.yaml");
	*w->watched = '\0';
	files_world_await(w, "a", "");
}

#define TEST(name)                                                                       \
	cmocka_unit_test_setup_teardown(name, files_world_setup, files_world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(temporary_and_other_files_in_a_folder_are_not_read),
		TEST(a_rewrite_with_the_same_content_is_not_reported_as_a_change),
		TEST(services_stay_while_an_editor_saves_their_file),
		TEST(the_number_of_objects_that_do_not_count_is_known),
		TEST(an_object_in_several_paths_counts_from_the_first),
		TEST(an_unchanged_file_is_not_read_again),
		TEST(a_large_file_is_read_in_several_turns),
		TEST(a_burst_of_events_loses_nothing),
		TEST(standard_input_and_pipes_are_read_once),
		TEST(a_pipe_in_the_place_of_a_file_is_left_alone),
		TEST(without_inotify_changes_are_found_by_polling),
		TEST(a_renamed_file_is_read_before_the_old_one_is_dropped),
		TEST(nothing_changes_after_stop),
		TEST(an_unmounted_folder_keeps_its_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
