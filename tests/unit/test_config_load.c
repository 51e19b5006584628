/*
 * A configuration file beside flags, and one that changes under a running
 * daemon: noticed however it is written, applied where that is safe.
 */
#include "tests/test.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/config/config_load.h"
#include "proxy/config/options.h"
#include "proxy/host/path_watch.h"
#include "tests/unit/turn_loop.h"

#define HEADER                                                                           \
	"apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

struct world {
	char folder[64];
	struct ev_loop *loop;
	unsigned n_changed;
};

static void world_init(struct world *w)
{
	*w = (struct world){.loop = ev_loop_new(EVFLAG_AUTO)};
	(void)snprintf(w->folder, sizeof(w->folder), "/tmp/sluice-load-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
}

static void world_fini(struct world *w)
{
	_cleanup_(freep) char *command = xasprintf("rm -r %s", w->folder);

	ev_loop_destroy(w->loop);
	assert_int_equal(system(command), 0);
}

static char *path_in(const struct world *w, const char *name)
{
	return xasprintf("%s/%s", w->folder, name);
}

static void write_file(const struct world *w, const char *name, const char *text)
{
	_cleanup_(freep) char *path = path_in(w, name);
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void options_with_file(struct options *o, const struct world *w)
{
	_cleanup_(freep) char *path = path_in(w, "config");
	char *argv[] = {"kube-proxy", "--config", path, "--hostname-override",
			"from-flag",  "--v=1",	  NULL};
	struct config config;
	char *error = NULL;

	options_init(o);
	assert_int_equal(options_parse(o, 6, argv, &error), 0);
	assert_int_equal(config_load(o, &config, &error), 0);
	config_fini(&o->config);
	o->config = config;
}

static void test_flags_win_over_the_file_where_they_may(void **state)
{
	struct options o;
	struct world w;

	(void)state;
	world_init(&w);
	write_file(&w, "config", HEADER "hostnameOverride: from-file\nmode: nftables\n");
	options_with_file(&o, &w);
	assert_string_equal(o.config.hostname_override, "from-flag");
	assert_string_equal(o.config.mode, "nftables");
	assert_int_equal(o.config.logging.verbosity, 1);
	options_fini(&o);
	world_fini(&w);
}

static const struct {
	const char *text;
	bool must_restart;
	const char *format; /* of the log, afterwards */
} reload_cases[] = {
	{HEADER "mode: nftables\n", false, "text"},
	{HEADER "# the same\nmode: nftables\n", false, "text"},
	{HEADER "mode: nftables\nlogging: {format: json}\n", false, "json"},
	{HEADER "mode: auto\n", true, "text"},
	{HEADER "mode: nftables\nclusterCIDR: 10.0.0.0/8\n", true, "text"},
	{HEADER "mode: nftables\nnodePortAddresses: [all]\n", true, "text"},
	{HEADER "mode: nftables\nnodePortAddresses: [primary]\n", false, "text"},
	{HEADER "mode: magic\n", false, "text"},
	{HEADER "mode: {\n", false, "text"},
	{"", false, "text"},
};

static void test_what_can_be_changed_in_place_is(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < N_ELEMENTS(reload_cases); i++) {
		struct options o;

		write_file(&w, "config", HEADER "mode: nftables\n");
		options_with_file(&o, &w);
		write_file(&w, "config", reload_cases[i].text);
		assert_int_equal(config_reload(&o), reload_cases[i].must_restart);
		log_set_json(false);
		assert_string_equal(o.config.logging.format, reload_cases[i].format);
		assert_string_equal(o.config.mode, "nftables");
		options_fini(&o);
	}
	world_fini(&w);
}

static void on_changed(void *data)
{
	struct world *w = data;

	w->n_changed++;
}

/* Fails after five seconds. */
static void expect_changes(struct world *w, unsigned n)
{
	ev_tstamp end = ev_time() + 5.;

	while (w->n_changed < n) {
		assert_true(ev_time() < end);
		turn_loop(w->loop, .01);
	}
	assert_int_equal(w->n_changed, n);
}

static void test_a_file_is_followed_through_writing_and_renaming(void **state)
{
	_cleanup_(freep) char *path = NULL, *other = NULL;
	struct path_watch *watch;
	struct world w;

	(void)state;
	world_init(&w);
	path = path_in(&w, "config");
	other = path_in(&w, "config.new");
	write_file(&w, "config", "one");
	assert_int_equal(path_watch_new(w.loop, path, on_changed, &w, &watch), 0);
	write_file(&w, "config", "written over");
	expect_changes(&w, 1);
	write_file(&w, "config.new", "renamed over");
	assert_int_equal(rename(other, path), 0);
	expect_changes(&w, 2);
	assert_int_equal(unlink(path), 0);
	turn_loop(w.loop, .3); /* gone is no change */
	assert_int_equal(w.n_changed, 2);
	write_file(&w, "config", "made again");
	expect_changes(&w, 3);
	write_file(&w, "neighbour", "of no interest");
	turn_loop(w.loop, .3);
	assert_int_equal(w.n_changed, 3);
	path_watch_free(watch);
	world_fini(&w);
}

/* As kubelet does it: config -> ..data/config, ..data -> a folder, swapped at once. */
static void test_a_mounted_configmap_is_followed(void **state)
{
	_cleanup_(freep) char *path = NULL, *data = NULL, *data_new = NULL;
	_cleanup_(freep) char *first = NULL, *second = NULL;
	struct path_watch *watch;
	struct world w;

	(void)state;
	world_init(&w);
	path = path_in(&w, "config");
	data = path_in(&w, "..data");
	data_new = path_in(&w, "..data_tmp");
	first = path_in(&w, "..1");
	second = path_in(&w, "..2");
	assert_int_equal(mkdir(first, 0755), 0);
	assert_int_equal(mkdir(second, 0755), 0);
	write_file(&w, "..1/config", "one");
	write_file(&w, "..2/config", "two");
	assert_int_equal(symlink("..1", data), 0);
	assert_int_equal(symlink("..data/config", path), 0);
	assert_int_equal(path_watch_new(w.loop, path, on_changed, &w, &watch), 0);
	assert_int_equal(symlink("..2", data_new), 0);
	assert_int_equal(rename(data_new, data), 0);
	expect_changes(&w, 1);
	path_watch_free(watch);
	world_fini(&w);
}

/* Whoever opened it would wait until somebody writes. */
static void test_a_pipe_in_its_place_is_no_change(void **state)
{
	_cleanup_(freep) char *path = NULL, *pipe_path = NULL;
	struct path_watch *watch;
	struct world w;

	(void)state;
	world_init(&w);
	path = path_in(&w, "config");
	pipe_path = path_in(&w, "pipe");
	write_file(&w, "config", "one");
	assert_int_equal(path_watch_new(w.loop, path, on_changed, &w, &watch), 0);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	assert_int_equal(rename(pipe_path, path), 0);
	turn_loop(w.loop, .3);
	assert_int_equal(w.n_changed, 0);
	assert_int_equal(unlink(path), 0);
	write_file(&w, "config", "a file again");
	expect_changes(&w, 1);
	path_watch_free(watch);
	world_fini(&w);
}

static void test_a_folder_that_is_made_anew_is_followed(void **state)
{
	_cleanup_(freep) char *folder = NULL, *path = NULL;
	struct path_watch *watch;
	struct world w;

	(void)state;
	world_init(&w);
	folder = path_in(&w, "folder");
	path = path_in(&w, "folder/config");
	assert_int_equal(mkdir(folder, 0755), 0);
	write_file(&w, "folder/config", "one");
	assert_int_equal(path_watch_new(w.loop, path, on_changed, &w, &watch), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
	turn_loop(w.loop, .3);
	assert_int_equal(w.n_changed, 0);
	assert_int_equal(mkdir(folder, 0755), 0);
	write_file(&w, "folder/config", "two and more");
	expect_changes(&w, 1);
	write_file(&w, "folder/config", "followed as before");
	expect_changes(&w, 2);
	path_watch_free(watch);
	world_fini(&w);
}

static void test_a_folder_that_is_not_there_is_told(void **state)
{
	struct path_watch *watch = NULL;
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

	(void)state;
	assert_int_equal(path_watch_new(loop, "/nonexistent/config", on_changed, NULL,
					&watch),
			 -ENOENT);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags_win_over_the_file_where_they_may),
		cmocka_unit_test(test_what_can_be_changed_in_place_is),
		cmocka_unit_test(test_a_file_is_followed_through_writing_and_renaming),
		cmocka_unit_test(test_a_mounted_configmap_is_followed),
		cmocka_unit_test(test_a_pipe_in_its_place_is_no_change),
		cmocka_unit_test(test_a_folder_that_is_made_anew_is_followed),
		cmocka_unit_test(test_a_folder_that_is_not_there_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
