/*
 * A configuration file beside flags, and one that changes under a running
 * daemon: noticed however it is written, applied where that is safe.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/config/config_load.h"
#include "proxy/config/options.h"
#include "proxy/host/path_watch.h"
#include "tests/unit/world.h"

#define HEADER                                                                           \
	"apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

struct load {
	struct world world;
	struct path_watch *watch;
	unsigned n_changed, n_expected;
};

static void options_with_file(struct options *o, const struct world *w)
{
	_cleanup_(freep) char *path = world_path(w, "config");
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

static void flags_win_over_the_file_where_they_may(void **state)
{
	struct options o;
	struct load l = {0};

	(void)state;
	world_open(&l.world);
	world_write(&l.world, "config",
		    HEADER "hostnameOverride: from-file\nmode: nftables\n");
	options_with_file(&o, &l.world);
	assert_string_equal(o.config.hostname_override, "from-flag");
	assert_string_equal(o.config.mode, "nftables");
	assert_int_equal(o.config.logging.verbosity, 1);
	options_fini(&o);
	world_close(&l.world);
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

static void a_reload_asks_for_a_restart_only_where_one_is_needed(void **state)
{
	static const char *const modes[] = {"nftables", NULL};
	struct load l = {0};

	(void)state;
	world_open(&l.world);
	for (size_t i = 0; i < N_ELEMENTS(reload_cases); i++) {
		struct options o;

		world_write(&l.world, "config", HEADER "mode: nftables\n");
		options_with_file(&o, &l.world);
		o.config.modes = modes;
		world_write(&l.world, "config", reload_cases[i].text);
		assert_int_equal(config_reload(&o), reload_cases[i].must_restart);
		log_set_json(false);
		assert_string_equal(o.config.logging.format, reload_cases[i].format);
		assert_string_equal(o.config.mode, "nftables");
		options_fini(&o);
	}
	world_close(&l.world);
}

static void on_changed(void *data)
{
	struct load *l = data;

	l->n_changed++;
}

static bool has_changed(void *data)
{
	const struct load *l = data;

	return l->n_changed >= l->n_expected;
}

static void expect_changes(struct load *l, unsigned n)
{
	l->n_expected = n;
	world_run_until(&l->world, has_changed, l);
	assert_int_equal(l->n_changed, n);
}

static void follow(struct load *l, const char *name)
{
	_cleanup_(freep) char *path = world_path(&l->world, name);

	assert_int_equal(path_watch_new(l->world.loop, path, on_changed, l, &l->watch),
			 0);
}

static void load_close(struct load *l)
{
	path_watch_free(l->watch);
	world_close(&l->world);
}

static void a_file_is_followed_through_writing_and_renaming(void **state)
{
	struct load l = {0};

	(void)state;
	world_open(&l.world);
	world_write(&l.world, "config", "one");
	follow(&l, "config");
	world_write(&l.world, "config", "written over");
	expect_changes(&l, 1);
	world_write(&l.world, "config.new", "renamed over");
	world_rename(&l.world, "config.new", "config");
	expect_changes(&l, 2);
	world_remove(&l.world, "config");
	world_run(&l.world, .3); /* a removal is not a change */
	assert_int_equal(l.n_changed, 2);
	world_write(&l.world, "config", "made again");
	expect_changes(&l, 3);
	world_write(&l.world, "neighbour", "of no interest");
	world_run(&l.world, .3);
	assert_int_equal(l.n_changed, 3);
	load_close(&l);
}

/* As kubelet does it: config -> ..data/config, ..data -> a folder, swapped in one step. */
static void a_mounted_configmap_is_followed(void **state)
{
	struct load l = {0};

	(void)state;
	world_open(&l.world);
	world_write(&l.world, "..1/config", "one");
	world_write(&l.world, "..2/config", "two");
	world_link(&l.world, "..1", "..data");
	world_link(&l.world, "..data/config", "config");
	follow(&l, "config");
	world_link(&l.world, "..2", "..data_tmp");
	world_rename(&l.world, "..data_tmp", "..data");
	expect_changes(&l, 1);
	load_close(&l);
}

/* open() would wait for a writer. */
static void a_pipe_in_the_place_of_the_file_is_ignored(void **state)
{
	struct load l = {0};

	(void)state;
	world_open(&l.world);
	world_write(&l.world, "config", "one");
	follow(&l, "config");
	world_make_fifo(&l.world, "pipe");
	world_rename(&l.world, "pipe", "config");
	world_run(&l.world, .3);
	assert_int_equal(l.n_changed, 0);
	world_remove(&l.world, "config");
	world_write(&l.world, "config", "a file again");
	expect_changes(&l, 1);
	load_close(&l);
}

static void a_folder_that_is_removed_and_made_again_is_followed(void **state)
{
	struct load l = {0};

	(void)state;
	world_open(&l.world);
	world_write(&l.world, "folder/config", "one");
	follow(&l, "folder/config");
	world_remove(&l.world, "folder/config");
	world_remove(&l.world, "folder");
	world_run(&l.world, .3);
	assert_int_equal(l.n_changed, 0);
	world_write(&l.world, "folder/config", "two and more");
	expect_changes(&l, 1);
	world_write(&l.world, "folder/config", "followed as before");
	expect_changes(&l, 2);
	load_close(&l);
}

static void a_missing_folder_is_reported(void **state)
{
	struct path_watch *watch = NULL;
	struct load l = {0};

	(void)state;
	world_open(&l.world);
	assert_int_equal(path_watch_new(l.world.loop, "/nonexistent/config", on_changed,
					&l, &watch),
			 -ENOENT);
	world_close(&l.world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_win_over_the_file_where_they_may),
		cmocka_unit_test(a_reload_asks_for_a_restart_only_where_one_is_needed),
		cmocka_unit_test(a_file_is_followed_through_writing_and_renaming),
		cmocka_unit_test(a_mounted_configmap_is_followed),
		cmocka_unit_test(a_pipe_in_the_place_of_the_file_is_ignored),
		cmocka_unit_test(a_folder_that_is_removed_and_made_again_is_followed),
		cmocka_unit_test(a_missing_folder_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
