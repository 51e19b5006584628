/*
 * When a change of followed manifests is read: immediately if it is complete by its
 * nature, after a pause if not, and never for names that are not manifests.
 */
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/unit/files_world.h"

/* Only turns that are due now: nothing that waits for a timer happens in them. */
static void take_turns(const struct files_world *w)
{
	for (int i = 0; i < 6; i++)
		ev_run(w->base.loop, EVRUN_NOWAIT);
}

static void assert_read_now(const struct files_world *w, const char *ip)
{
	take_turns(w);
	assert_string_equal(files_world_ip(w, "a"), ip);
}

static void follow_folder(struct files_world *w)
{
	files_world_follow(w, 0, w->base.folder);
	files_world_pause(w, 0.2); /* the first scan, and what it has to wait for */
}

static void a_file_that_is_renamed_into_place_is_read_immediately(void **state)
{
	struct files_world *w = *state;

	follow_folder(w);
	files_world_write(w, ".new", "a", "10.96.0.1");
	world_rename(&w->base, ".new", "a.yaml");
	assert_read_now(w, "10.96.0.1");
	files_world_pause(w, 0.1);
	files_world_write(w, ".new", "a", "10.96.0.2");
	world_rename(&w->base, ".new", "a.yaml");
	assert_read_now(w, "10.96.0.2");
}

static void a_file_that_its_writer_closes_is_read_immediately(void **state)
{
	struct files_world *w = *state;

	files_world_write(w, "a.yaml", "a", "10.96.0.1");
	follow_folder(w);
	files_world_write(w, "a.yaml", "a", "10.96.0.2");
	assert_read_now(w, "10.96.0.2");
}

static void a_single_file_is_read_immediately(void **state)
{
	struct files_world *w = *state;

	files_world_write(w, "a", "a", "10.96.0.1");
	files_world_follow(w, 0, files_at(w, "a"));
	files_world_pause(w, 0.2);
	files_world_write(w, "a", "a", "10.96.0.2");
	assert_read_now(w, "10.96.0.2");
	files_world_pause(w, 0.1);
	files_world_write(w, "new", "a", "10.96.0.3");
	world_rename(&w->base, "new", "a");
	assert_read_now(w, "10.96.0.3");
}

static void a_swap_of_a_config_map_is_read_immediately(void **state)
{
	struct files_world *w = *state;

	files_world_swap(w, "..1", "a", "10.96.0.1");
	follow_folder(w);
	files_world_swap(w, "..2", "a", "10.96.0.2");
	assert_read_now(w, "10.96.0.2");
}

static void a_swap_below_a_single_file_is_read_immediately(void **state)
{
	struct files_world *w = *state;

	files_world_swap(w, "..1", "a", "10.96.0.1");
	files_world_follow(w, 0, files_at(w, "web.yaml"));
	files_world_pause(w, 0.2);
	files_world_swap(w, "..2", "a", "10.96.0.2");
	assert_read_now(w, "10.96.0.2");
}

static void a_folder_that_is_swapped_is_read_immediately(void **state)
{
	struct files_world *w = *state;

	world_make_folder(&w->base, "v1");
	world_make_folder(&w->base, "v2");
	files_world_write(w, "v1/a.yaml", "a", "10.96.0.1");
	world_link(&w->base, "v1", "now");
	files_world_follow(w, 0, files_at(w, "now"));
	files_world_pause(w, 0.2);
	files_world_write(w, "v2/a.yaml", "a", "10.96.0.2");
	world_link(&w->base, "v2", "new");
	world_rename(&w->base, "new", "now");
	assert_read_now(w, "10.96.0.2");
}

/* Opens the file and writes the first half of a Service. */
static int write_half(const struct files_world *w, const char *file, const char *text)
{
	int fd = open(files_at(w, file), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t half = strlen(text) - 20;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, half), half);
	return fd;
}

/* Turns in which the file was written just now, however slow the machine is. */
static void take_turns_while_written(const struct files_world *w, int fd)
{
	for (int i = 0; i < 6; i++) {
		assert_int_equal(futimens(fd, NULL), 0);
		ev_run(w->base.loop, EVRUN_NOWAIT);
	}
}

/* Also while another file of the folder changes, which takes a scan. */
static void a_file_that_is_being_written_waits(void **state)
{
	struct files_world *w = *state;
	_cleanup_(freep) char *text = files_service_text("a", "10.96.0.2");
	size_t half = strlen(text) - 20;
	int fd;

	files_world_write(w, "a.yaml", "a", "10.96.0.1");
	follow_folder(w);
	fd = write_half(w, "a.yaml", text);
	take_turns_while_written(w, fd);
	files_world_swap(w, "..1", "map", "10.96.0.9");
	take_turns_while_written(w, fd);
	assert_string_equal(files_world_ip(w, "map"), "10.96.0.9");
	assert_int_equal(write(fd, text + half, 20), 20);
	take_turns_while_written(w, fd);
	assert_string_equal(files_world_ip(w, "a"), "10.96.0.1");
	(void)close(fd);
	assert_read_now(w, "10.96.0.2");
	assert_string_equal(buf_string(&w->reports), "");
}

/* The event is of a complete write, but another one follows before the file is read. */
static void a_file_that_is_truncated_before_it_is_read_keeps_its_objects(void **state)
{
	struct files_world *w = *state;
	_cleanup_(freep) char *text = files_service_text("a", "10.96.0.3");
	int fd;

	files_world_write(w, "a.yaml", "a", "10.96.0.1");
	follow_folder(w);
	strcpy(w->watched, "a");
	files_world_write(w, "a.yaml", "a", "10.96.0.2");
	for (int i = 0; i < 2; i++) {
		fd = open(files_at(w, "a.yaml"), O_WRONLY | O_TRUNC | O_CLOEXEC);
		assert_true(fd >= 0);
		ev_run(w->base.loop, EVRUN_NOWAIT);
	}
	take_turns(w);
	assert_string_equal(files_world_ip(w, "a"), "10.96.0.1");
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
	files_world_await(w, "a", "10.96.0.3");
	assert_false(w->has_blinked);
}

/*
 * Long enough for several turns.  Its first document is reported at each reading, the
 * last one is Service a.
 */
static void write_long(const struct files_world *w, const char *file, const char *ip)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	_cleanup_(freep) char *service = files_service_text("a", ip);

	buf_add_string(&text,
		       "--- {apiVersion: v1, kind: Service, metadata: {name: bad}, "
		       "spec: {clusterIP: x, ports: [{port: 80}]}}\n");
	for (unsigned i = 0; i < 20000; i++)
		buf_printf(&text, "--- {kind: Other, a: [%u, b, c, {d: e}]}\n", i);
	buf_printf(&text, "---\n%s", service);
	world_write(&w->base, file, buf_string(&text));
}

/* The part that was read belongs to no version that a writer has finished. */
static void a_file_that_is_written_while_it_is_read_is_read_again(void **state)
{
	struct files_world *w = *state;
	int fd;

	write_long(w, "a.yaml", "10.96.0.1");
	follow_folder(w);
	write_long(w, ".new", "10.96.0.2");
	world_rename(&w->base, ".new", "a.yaml");
	take_turns(w);
	assert_string_equal(files_world_ip(w, "a"), "10.96.0.1"); /* it is being read */
	fd = open(files_at(w, "a.yaml"), O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "---\n", 4), 4);
	w->n_changed = 0;
	while (!w->n_changed)
		ev_run(w->base.loop, EVRUN_ONCE);
	(void)close(fd);
	assert_string_equal(files_world_ip(w, "a"), "10.96.0.2");
	assert_int_equal(files_world_n_reported(w, "default/bad"), 3);
}

/* The first change is read immediately, those after it once in a pause. */
static void a_flood_of_changes_is_read_at_a_bounded_rate(void **state)
{
	struct files_world *w = *state;
	double start, sec;
	char ip[32];

	follow_folder(w);
	start = ev_time();
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(ip, sizeof(ip), "10.97.%d.%d", i / 250, i % 250 + 1);
		files_world_write(w, ".new", "a", ip);
		world_rename(&w->base, ".new", "a.yaml");
		ev_run(w->base.loop, EVRUN_NOWAIT);
	}
	sec = ev_time() - start;
	print_message("%u readings in %.2f s\n", w->n_changed, sec);
	assert_true(w->n_changed >= 1);
	assert_true(w->n_changed <= 2 + (unsigned)(sec / 0.05));
	files_world_await(w, "a", ip);
}

/*
 * A scan would notice the new content where the link leads to, which no event
 * reports.
 */
static void names_that_are_not_manifests_cause_no_scan(void **state)
{
	static const char *const names[] = {"4913", ".a.yaml.swp", "a.yaml~", "#a.yaml#",
					    "a.yaml.tmp"};
	struct files_world *w = *state;

	world_make_folder(&w->base, "m");
	files_world_write(w, "elsewhere", "a", "10.96.0.1");
	world_link(&w->base, "../elsewhere", "m/a.yaml");
	files_world_follow(w, 0, files_at(w, "m"));
	files_world_pause(w, 0.2);
	files_world_write(w, "elsewhere", "a", "10.96.0.2");
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		_cleanup_(freep) char *path = xasprintf("m/%s", names[i]);

		files_world_write(w, path, "b", "10.96.0.9");
		world_rename(&w->base, path, "m/moved");
		world_remove(&w->base, "m/moved");
	}
	files_world_pause(w, 0.3);
	assert_string_equal(files_world_ip(w, "a"), "10.96.0.1");
	world_link(&w->base, "nothing", "m/b.yaml"); /* while this name does cause one */
	files_world_await(w, "a", "10.96.0.2");
}

/* Each alone: the unchanged ones are not even looked at. */
static void many_files_that_change_together_are_all_read(void **state)
{
	struct files_world *w = *state;
	char file[32], name[32];

	follow_folder(w);
	for (int i = 300; i > 0; i--) {
		(void)snprintf(file, sizeof(file), "f%d.yaml", i * 11 % 301);
		(void)snprintf(name, sizeof(name), "s%d", i);
		files_world_write(w, ".new", name, "10.96.0.1");
		world_rename(&w->base, ".new", file);
	}
	for (int i = 0; i < 20; i++)
		take_turns(w);
	assert_int_equal(cluster_n(w->cluster, OBJECT_SERVICE), 300);
	files_world_settle(w);
	assert_int_equal(cluster_n(w->cluster, OBJECT_SERVICE), 300);
	assert_string_equal(buf_string(&w->reports), "");
}

#define TEST(name)                                                                       \
	cmocka_unit_test_setup_teardown(name, files_world_setup, files_world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_is_renamed_into_place_is_read_immediately),
		TEST(a_file_that_its_writer_closes_is_read_immediately),
		TEST(a_single_file_is_read_immediately),
		TEST(a_swap_of_a_config_map_is_read_immediately),
		TEST(a_swap_below_a_single_file_is_read_immediately),
		TEST(a_folder_that_is_swapped_is_read_immediately),
		TEST(a_file_that_is_being_written_waits),
		TEST(a_file_that_is_truncated_before_it_is_read_keeps_its_objects),
		TEST(a_file_that_is_written_while_it_is_read_is_read_again),
		TEST(a_flood_of_changes_is_read_at_a_bounded_rate),
		TEST(names_that_are_not_manifests_cause_no_scan),
		TEST(many_files_that_change_together_are_all_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
