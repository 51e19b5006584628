/*
 * Manifests are followed through everything that editors, deployers and kubelet
 * do to files and folders: real inotify, a real loop, in a folder of its own.
 */
#include "tests/test.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/engine/rejections.h"
#include "tests/unit/capture.h"
#include "tests/unit/object_text.h"
#include "watchers/cluster.h"
#include "watchers/files/files.h"

#define DEADLINE_SEC 20.

struct world {
	char *dir;
	struct cluster *cluster;
	struct files *files;
	struct ev_loop *loop;
	ev_timer tick;
	struct buf told;
	struct reject reject;
	unsigned n_changed;
	const char *watched; /* a Service that must not go */
	bool has_blinked;
};

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
}

static void on_changed(void *data)
{
	struct world *w = data;

	w->n_changed++;
	if (w->watched && !cluster_service(w->cluster, "default", w->watched))
		w->has_blinked = true;
}

static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->dir = xstrdup("/tmp/sluice-files-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->cluster = cluster_new("node-0");
	w->loop = ev_loop_new(EVFLAG_AUTO);
	w->reject = (struct reject){.call = object_text_note, .data = &w->told};
	ev_timer_init(&w->tick, on_tick, 0.005, 0.005);
	ev_timer_start(w->loop, &w->tick);
	*state = w;
	return 0;
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
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	files_free(w->files);
	cluster_free(w->cluster);
	ev_loop_destroy(w->loop);
	remove_tree(w->dir);
	buf_fini(&w->told);
	free(w->dir);
	free(w);
	return 0;
}

/* In the world's folder; good until the eighth call from now. */
static const char *at(const struct world *w, const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", w->dir, name);
	return path;
}

static void write_text(const char *path, const char *text)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fputs(text, f) >= 0, 1);
}

static char *service_text(const char *name, const char *ip)
{
	return xasprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s}\n"
			 "spec: {clusterIP: %s, ports: [{port: 80}]}\n",
			 name, ip);
}

static void write_service(const char *path, const char *name, const char *ip)
{
	_cleanup_(freep) char *text = service_text(name, ip);

	write_text(path, text);
}

static void read_paths(struct world *w, int err, const char *const *paths, size_t n)
{
	w->files = files_new(paths, n, w->cluster, &w->reject);
	assert_int_equal(files_read(w->files), err);
}

static void follow(struct world *w, int err, const char *path)
{
	read_paths(w, err, &path, 1);
	files_start(w->files, w->loop, on_changed, w);
}

/* Its cluster IP, or "" when there is no such Service. */
static const char *ip_of(const struct world *w, const char *service)
{
	static char text[ADDR_TEXT_LEN];
	const struct object_service *s = cluster_service(w->cluster, "default", service);

	return s ? addr_format(&s->cluster_ip[FAMILY_IPV4], text) : "";
}

/* Runs the loop until the Service has this cluster IP ("": is gone). */
static void await(struct world *w, const char *service, const char *ip)
{
	double end = ev_time() + DEADLINE_SEC;

	while (strcmp(ip_of(w, service), ip) != 0 && ev_time() < end)
		ev_run(w->loop, EVRUN_ONCE);
	assert_string_equal(ip_of(w, service), ip);
}

static void settle_for(struct world *w, double sec)
{
	double end = ev_time() + sec;

	while (ev_time() < end)
		ev_run(w->loop, EVRUN_ONCE);
}

/* Runs the loop until something written now has come through, and all before it. */
static void settle(struct world *w, const char *folder)
{
	static unsigned n;
	_cleanup_(freep) char *name = xasprintf("settle-%u", ++n);
	_cleanup_(freep) char *path = xasprintf("%s/%s.yaml", folder, name);

	write_service(path, name, "10.96.255.1");
	await(w, name, "10.96.255.1");
	assert_int_equal(unlink(path), 0);
	await(w, name, "");
	settle_for(w, 0.2); /* longer than what seems to go is waited for */
}

static size_t n_told(const struct world *w, const char *what)
{
	size_t n = 0;

	for (const char *p = buf_string(&w->told); (p = strstr(p, what)); p++)
		n++;
	return n;
}

static void a_folder_is_read_but_for_what_is_nobodys_manifest(void **state)
{
	static const char *const ignored[] = {
		".hidden.yaml", ".web.yaml.swp", "web.yaml~",	 "#web.yaml#", "4913",
		"notes.txt",	".#web.yaml",	 "web.yaml.tmp", "README",     ".yaml",
	};
	struct world *w = *state;

	for (size_t i = 0; i < N_ELEMENTS(ignored); i++)
		write_service(at(w, ignored[i]), "ignored", "10.96.0.9");
	assert_int_equal(mkdir(at(w, "deeper.yaml"), 0700), 0);
	write_service(at(w, "deeper.yaml/a.yaml"), "ignored", "10.96.0.9");
	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	write_service(at(w, "b.yml"), "b", "10.96.0.2");
	write_text(at(w, "c.json"),
		   "{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"items\":["
		   "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"clusterIP\":\"10.96.0.3\"}"
		   "}]}");
	follow(w, 0, w->dir);
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
	assert_string_equal(ip_of(w, "b"), "10.96.0.2");
	assert_string_equal(ip_of(w, "c"), "10.96.0.3");
	assert_int_equal(cluster_n(w->cluster, OBJECT_SERVICE), 3);

	for (size_t i = 0; i < N_ELEMENTS(ignored); i++)
		write_service(at(w, ignored[i]), "ignored", "10.96.0.8");
	settle(w, w->dir);
	assert_string_equal(ip_of(w, "ignored"), "");
	assert_string_equal(buf_string(&w->told), "");
}

static void files_come_change_and_go(void **state)
{
	struct world *w = *state;

	follow(w, 0, w->dir);
	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	await(w, "a", "10.96.0.1");
	write_service(at(w, "a.yaml"), "a", "10.96.0.2");
	await(w, "a", "10.96.0.2");
	write_service(at(w, ".a.tmp"), "a", "10.96.0.3");
	assert_int_equal(rename(at(w, ".a.tmp"), at(w, "a.yaml")), 0);
	await(w, "a", "10.96.0.3");
	assert_int_equal(rename(at(w, "a.yaml"), at(w, "b.yaml")), 0);
	settle(w, w->dir);
	assert_string_equal(ip_of(w, "a"), "10.96.0.3");
	write_service(at(w, "b.yaml"), "b", "10.96.0.4");
	await(w, "b", "10.96.0.4");
	await(w, "a", "");
	assert_int_equal(unlink(at(w, "b.yaml")), 0);
	await(w, "b", "");
	assert_true(w->n_changed >= 5);
}

static void what_changes_nothing_is_not_told(void **state)
{
	struct world *w = *state;
	unsigned before;

	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	follow(w, 0, w->dir);
	settle(w, w->dir);
	before = w->n_changed;
	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	settle(w, w->dir);
	assert_int_equal(w->n_changed, before + 2); /* the two of settle() */
}

static void a_file_that_does_not_parse_keeps_what_it_had(void **state)
{
	struct world *w = *state;

	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	write_text(at(w, "b.json"),
		   "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":"
		   "{\"name\":\"b\"},\"spec\":{\"clusterIP\":\"10.96.0.2\"}}");
	follow(w, 0, w->dir);
	write_text(at(w, "a.yaml"), "apiVersion: v1\nkind: [Serv");
	write_text(at(w, "b.json"),
		   "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[");
	settle(w, w->dir);
	settle(w, w->dir);
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
	assert_string_equal(ip_of(w, "b"), "10.96.0.2");
	assert_int_equal(n_told(w, "a.yaml:"), 1);
	assert_int_equal(n_told(w, "b.json:"), 1);
	assert_int_equal(n_told(w, "its last good objects stay"), 2);
	write_service(at(w, "a.yaml"), "a", "10.96.0.3");
	await(w, "a", "10.96.0.3");
}

static void of_a_file_that_never_was_good_counts_what_could_be_read(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *good = service_text("a", "10.96.0.1");
	_cleanup_(freep) char *text = xasprintf("%s---\nkind: [", good);

	write_text(at(w, "a.yaml"), text);
	write_service(at(w, "b.yaml"), "b", "10.96.0.2");
	follow(w, -EINVAL, w->dir);
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
	assert_string_equal(ip_of(w, "b"), "10.96.0.2");
	assert_int_equal(n_told(w, "a.yaml:  : line 7"), 1);
}

/* The old file is moved away before the new one is written, as vim does. */
static void services_do_not_blink_when_an_editor_saves(void **state)
{
	struct world *w = *state;

	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	follow(w, 0, w->dir);
	w->watched = "a";
	for (int i = 0; i < 20; i++) {
		_cleanup_(freep) char *ip = xasprintf("10.96.1.%d", i);
		_cleanup_(freep) char *text = service_text("a", ip);
		_cleanup_(closep) int fd = -1;

		assert_int_equal(rename(at(w, "a.yaml"), at(w, "a.yaml~")), 0);
		ev_run(w->loop, EVRUN_NOWAIT);
		fd = open(at(w, "a.yaml"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		ev_sleep(i == 0 ? 0.2 : 0.); /* as on a busy machine */
		ev_run(w->loop, EVRUN_NOWAIT);
		assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
		assert_int_equal(unlink(at(w, "a.yaml~")), 0);
		ev_run(w->loop, EVRUN_NOWAIT);
		(void)close(fd);
		fd = -1;
		await(w, "a", ip);
	}
	assert_false(w->has_blinked);
}

/* A folder as kubelet mounts a ConfigMap, with one key. */
static void swap_config_map(const struct world *w, const char *version, const char *name,
			    const char *ip)
{
	_cleanup_(freep) char *file = xasprintf("%s/web.yaml", version);
	_cleanup_(freep) char *old = realpath(at(w, "..data"), NULL);

	assert_int_equal(mkdir(at(w, version), 0700), 0);
	write_service(at(w, file), name, ip);
	assert_int_equal(symlink(version, at(w, "..data_tmp")), 0);
	assert_int_equal(rename(at(w, "..data_tmp"), at(w, "..data")), 0);
	if (old)
		remove_tree(old);
	else
		assert_int_equal(symlink("..data/web.yaml", at(w, "web.yaml")), 0);
}

static void a_mounted_config_map_is_followed(void **state)
{
	struct world *w = *state;

	swap_config_map(w, "..1", "a", "10.96.0.1");
	follow(w, 0, w->dir);
	w->watched = "a";
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
	swap_config_map(w, "..2", "a", "10.96.0.2");
	await(w, "a", "10.96.0.2");
	swap_config_map(w, "..3", "a", "10.96.0.3");
	await(w, "a", "10.96.0.3");
	assert_false(w->has_blinked);
}

static void so_is_a_single_file_of_it(void **state)
{
	struct world *w = *state;

	swap_config_map(w, "..1", "a", "10.96.0.1");
	follow(w, 0, at(w, "web.yaml"));
	w->watched = "a";
	swap_config_map(w, "..2", "a", "10.96.0.2");
	await(w, "a", "10.96.0.2");
	write_service(at(w, "..2/web.yaml"), "a", "10.96.0.3");
	await(w, "a", "10.96.0.3");
	assert_false(w->has_blinked);
}

static void a_folder_may_be_deleted_and_made_again(void **state)
{
	struct world *w = *state;

	assert_int_equal(mkdir(at(w, "x"), 0700), 0);
	assert_int_equal(mkdir(at(w, "x/y"), 0700), 0);
	write_service(at(w, "x/y/a.yaml"), "a", "10.96.0.1");
	follow(w, 0, at(w, "x/y"));
	remove_tree(at(w, "x/y"));
	await(w, "a", "");
	assert_int_equal(mkdir(at(w, "x/y"), 0700), 0);
	write_service(at(w, "x/y/a.yaml"), "a", "10.96.0.2");
	await(w, "a", "10.96.0.2");
	write_service(at(w, "x/y/a.yaml"), "a", "10.96.0.3");
	await(w, "a", "10.96.0.3");

	/* the folder above it too */
	remove_tree(at(w, "x"));
	await(w, "a", "");
	assert_int_equal(mkdir(at(w, "x"), 0700), 0);
	ev_run(w->loop, EVRUN_ONCE);
	assert_int_equal(mkdir(at(w, "x/y"), 0700), 0);
	write_service(at(w, "x/y/a.yaml"), "a", "10.96.0.4");
	await(w, "a", "10.96.0.4");

	/* and replaced by another one in one step */
	assert_int_equal(mkdir(at(w, "z"), 0700), 0);
	assert_int_equal(mkdir(at(w, "z/y"), 0700), 0);
	write_service(at(w, "z/y/a.yaml"), "a", "10.96.0.5");
	w->watched = "a";
	assert_int_equal(rename(at(w, "x"), at(w, "old")), 0);
	assert_int_equal(rename(at(w, "z"), at(w, "x")), 0);
	await(w, "a", "10.96.0.5");
	assert_false(w->has_blinked);
	write_service(at(w, "x/y/a.yaml"), "a", "10.96.0.6");
	await(w, "a", "10.96.0.6");
}

static void a_link_to_a_folder_may_be_swapped(void **state)
{
	struct world *w = *state;

	assert_int_equal(mkdir(at(w, "v1"), 0700), 0);
	assert_int_equal(mkdir(at(w, "v2"), 0700), 0);
	write_service(at(w, "v1/a.yaml"), "a", "10.96.0.1");
	write_service(at(w, "v2/a.yaml"), "a", "10.96.0.2");
	assert_int_equal(symlink("v1", at(w, "now")), 0);
	follow(w, 0, at(w, "now"));
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
	w->watched = "a";
	assert_int_equal(symlink("v2", at(w, "new")), 0);
	assert_int_equal(rename(at(w, "new"), at(w, "now")), 0);
	await(w, "a", "10.96.0.2");
	write_service(at(w, "v2/a.yaml"), "a", "10.96.0.3");
	await(w, "a", "10.96.0.3");
	assert_false(w->has_blinked);
}

static void a_single_file_is_followed(void **state)
{
	struct world *w = *state;

	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	write_service(at(w, "b.yaml"), "b", "10.96.0.1");
	follow(w, 0, at(w, "a.yaml"));
	write_service(at(w, "a.yaml"), "a", "10.96.0.2");
	await(w, "a", "10.96.0.2");
	write_service(at(w, "new"), "a", "10.96.0.3");
	assert_int_equal(rename(at(w, "new"), at(w, "a.yaml")), 0);
	await(w, "a", "10.96.0.3");
	assert_int_equal(unlink(at(w, "a.yaml")), 0);
	await(w, "a", "");
	write_service(at(w, "a.yaml"), "a", "10.96.0.4");
	await(w, "a", "10.96.0.4");
	assert_string_equal(ip_of(w, "b"), "");
}

static void links_in_a_folder_are_files_too(void **state)
{
	struct world *w = *state;

	follow(w, 0, w->dir);
	write_service(at(w, "a.txt"), "a", "10.96.0.1");
	write_service(at(w, "b.txt"), "b", "10.96.0.2");
	assert_int_equal(symlink("a.txt", at(w, "a.yaml")), 0);
	await(w, "a", "10.96.0.1");
	assert_int_equal(link(at(w, "b.txt"), at(w, "b.yaml")), 0);
	await(w, "b", "10.96.0.2");
	assert_int_equal(unlink(at(w, "a.yaml")), 0);
	await(w, "a", "");
}

static void a_path_that_is_not_there_yet_is_awaited(void **state)
{
	struct world *w = *state;

	follow(w, -ENOENT, at(w, "x/y/a.yaml"));
	assert_int_equal(mkdir(at(w, "x"), 0700), 0);
	assert_int_equal(mkdir(at(w, "x/y"), 0700), 0);
	write_service(at(w, "x/y/a.yaml"), "a", "10.96.0.1");
	await(w, "a", "10.96.0.1");
}

static void the_first_of_several_files_counts(void **state)
{
	struct world *w = *state;

	write_service(at(w, "b.yaml"), "web", "10.96.0.2");
	write_service(at(w, "c.yaml"), "web", "10.96.0.3");
	follow(w, 0, w->dir);
	assert_string_equal(ip_of(w, "web"), "10.96.0.2");
	assert_int_equal(n_told(w, "c.yaml: Service default/web: "), 1);

	write_service(at(w, "a.yaml"), "web", "10.96.0.1");
	await(w, "web", "10.96.0.1");
	assert_int_equal(n_told(w, "b.yaml: Service default/web: "), 1);

	/* those that wait may change */
	write_service(at(w, "c.yaml"), "web", "10.96.0.33");
	settle(w, w->dir);
	assert_string_equal(ip_of(w, "web"), "10.96.0.1");

	w->watched = "web";
	assert_int_equal(unlink(at(w, "a.yaml")), 0);
	await(w, "web", "10.96.0.2");
	write_service(at(w, "b.yaml"), "other", "10.96.0.2");
	await(w, "web", "10.96.0.33");
	assert_false(w->has_blinked);
	w->watched = NULL;
	assert_int_equal(unlink(at(w, "c.yaml")), 0);
	await(w, "web", "");
}

static void a_new_name_is_no_second_owner(void **state)
{
	struct world *w = *state;

	write_service(at(w, "b.yaml"), "web", "10.96.0.1");
	follow(w, 0, w->dir);
	w->watched = "web";
	assert_int_equal(rename(at(w, "b.yaml"), at(w, "a.yaml")), 0);
	settle(w, w->dir);
	assert_int_equal(rename(at(w, "a.yaml"), at(w, "c.yaml")), 0);
	settle(w, w->dir);
	assert_false(w->has_blinked);
	assert_string_equal(buf_string(&w->told), "");
}

/* Whatever another file's coming and going has to do with it. */
static void what_does_not_count_now_is_known(void **state)
{
	struct world *w = *state;
	struct rejections *r = rejections_new(false);

	w->reject = *rejections_reject(r);
	write_service(at(w, "b.yaml"), "web", "10.96.0.2");
	write_service(at(w, "c.yaml"), "web", "10.96.0.3");
	follow(w, 0, w->dir);
	assert_int_equal(rejections_n(r), 1);
	write_service(at(w, "a.yaml"), "web", "10.96.0.1");
	settle(w, w->dir);
	assert_int_equal(rejections_n(r), 2);
	assert_int_equal(files_read(w->files), 0); /* c tells of a instead of b */
	capture_start();
	assert_int_equal(files_read(w->files), 0);
	assert_string_equal(capture_end(), ""); /* that is no news */
	assert_int_equal(rejections_n(r), 2);
	assert_int_equal(unlink(at(w, "a.yaml")), 0);
	settle(w, w->dir);
	assert_int_equal(rejections_n(r), 1);
	assert_int_equal(unlink(at(w, "c.yaml")), 0);
	settle(w, w->dir);
	assert_int_equal(rejections_n(r), 0);
	rejections_free(r);
}

static void of_two_in_one_file_the_first_counts(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *first = service_text("web", "10.96.0.1");
	_cleanup_(freep) char *second = service_text("web", "10.96.0.2");
	_cleanup_(freep) char *text = xasprintf("%s---\n%s", first, second);

	write_text(at(w, "a.yaml"), text);
	follow(w, 0, w->dir);
	assert_string_equal(ip_of(w, "web"), "10.96.0.1");
	assert_int_equal(n_told(w, "this file has it twice"), 1);
	write_text(at(w, "a.yaml"), second);
	await(w, "web", "10.96.0.2");
}

static void paths_have_an_order_too(void **state)
{
	struct world *w = *state;
	const char *paths[] = {at(w, "y"), at(w, "x/b.yaml"), at(w, "x")};

	assert_int_equal(mkdir(at(w, "x"), 0700), 0);
	assert_int_equal(mkdir(at(w, "y"), 0700), 0);
	write_service(at(w, "x/b.yaml"), "web", "10.96.0.1");
	write_service(at(w, "y/a.yaml"), "web", "10.96.0.2");
	read_paths(w, 0, paths, N_ELEMENTS(paths));
	assert_string_equal(ip_of(w, "web"), "10.96.0.1");
	assert_int_equal(cluster_n(w->cluster, OBJECT_SERVICE), 1);
}

static void only_what_changed_is_read_again(void **state)
{
	struct world *w = *state;

	write_text(at(w, "bad.yaml"),
		   "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\n"
		   "spec: {clusterIP: x}\n");
	follow(w, 0, w->dir);
	assert_int_equal(n_told(w, "bad.yaml"), 1);
	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	settle(w, w->dir);
	assert_int_equal(n_told(w, "bad.yaml"), 1);
	/* not even when everything is looked at */
	swap_config_map(w, "..1", "map", "10.96.0.2");
	await(w, "map", "10.96.0.2");
	assert_int_equal(n_told(w, "bad.yaml"), 1);
	/* but when asked for */
	assert_int_equal(files_read(w->files), 0);
	assert_int_equal(n_told(w, "bad.yaml"), 2);
}

/* More news than inotify's queue holds: then everything is looked at again. */
static void no_burst_is_too_large(void **state)
{
	enum { N = 9000 };
	struct world *w = *state;
	double end = ev_time() + 10 * DEADLINE_SEC;

	follow(w, 0, w->dir);
	for (unsigned i = 0; i < N; i++) {
		char name[32], file[40], ip[32];

		(void)snprintf(name, sizeof(name), "s%u", i);
		(void)snprintf(file, sizeof(file), "%s.yaml", name);
		(void)snprintf(ip, sizeof(ip), "10.97.%u.%u", i / 250, i % 250 + 1);
		write_service(at(w, file), name, ip);
	}
	while (cluster_n(w->cluster, OBJECT_SERVICE) < N && ev_time() < end)
		ev_run(w->loop, EVRUN_ONCE);
	assert_int_equal(cluster_n(w->cluster, OBJECT_SERVICE), N);
	write_service(at(w, "s17.yaml"), "s17", "10.96.0.1");
	await(w, "s17", "10.96.0.1");
}

static void standard_input_and_pipes_are_read_once(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *text = service_text("a", "10.96.0.1");
	int saved = dup(STDIN_FILENO), ends[2];
	const char *path = "-";

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
	(void)close(ends[1]);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	(void)close(ends[0]);
	follow(w, 0, path);
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
	assert_int_equal(files_read(w->files), 0);
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
	(void)dup2(saved, STDIN_FILENO);
	(void)close(saved);
}

/* A reader would wait for somebody to write, and the daemon with it. */
static void a_pipe_in_the_place_of_a_file_is_left_alone(void **state)
{
	struct world *w = *state;
	int fd;

	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	follow(w, 0, at(w, "a.yaml"));
	assert_int_equal(mkfifo(at(w, "pipe"), 0600), 0);
	assert_int_equal(rename(at(w, "pipe"), at(w, "a.yaml")), 0);
	settle_for(w, 0.2);
	fd = open(at(w, "a.yaml"), O_RDWR | O_CLOEXEC); /* a writer that says nothing */
	assert_true(fd >= 0);
	assert_int_equal(close(open(at(w, "a.yaml"), O_WRONLY | O_CLOEXEC)), 0);
	settle_for(w, 0.2);
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
	(void)close(fd);
	write_service(at(w, "new.yaml"), "a", "10.96.0.2");
	assert_int_equal(rename(at(w, "new.yaml"), at(w, "a.yaml")), 0);
	await(w, "a", "10.96.0.2");
}

static void without_inotify_changes_are_looked_for(void **state)
{
	struct world *w = *state;
	struct rlimit before, none;

	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	read_paths(w, 0, (const char *const *)&w->dir, 1);
	ev_run(w->loop, EVRUN_NOWAIT); /* what the loop needs is open */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	files_start(w->files, w->loop, on_changed, w);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	write_service(at(w, "b.yaml"), "b", "10.96.0.2");
	await(w, "b", "10.96.0.2");
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
}

static void nothing_is_told_after_stop(void **state)
{
	struct world *w = *state;

	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	follow(w, 0, w->dir);
	files_stop(w->files);
	write_service(at(w, "a.yaml"), "a", "10.96.0.2");
	for (int i = 0; i < 20; i++)
		ev_run(w->loop, EVRUN_ONCE);
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
	assert_int_equal(w->n_changed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_folder_is_read_but_for_what_is_nobodys_manifest),
		TEST(files_come_change_and_go),
		TEST(what_changes_nothing_is_not_told),
		TEST(a_file_that_does_not_parse_keeps_what_it_had),
		TEST(of_a_file_that_never_was_good_counts_what_could_be_read),
		TEST(services_do_not_blink_when_an_editor_saves),
		TEST(a_mounted_config_map_is_followed),
		TEST(so_is_a_single_file_of_it),
		TEST(a_folder_may_be_deleted_and_made_again),
		TEST(a_link_to_a_folder_may_be_swapped),
		TEST(a_single_file_is_followed),
		TEST(links_in_a_folder_are_files_too),
		TEST(a_path_that_is_not_there_yet_is_awaited),
		TEST(the_first_of_several_files_counts),
		TEST(a_new_name_is_no_second_owner),
		TEST(what_does_not_count_now_is_known),
		TEST(of_two_in_one_file_the_first_counts),
		TEST(paths_have_an_order_too),
		TEST(only_what_changed_is_read_again),
		TEST(no_burst_is_too_large),
		TEST(standard_input_and_pipes_are_read_once),
		TEST(a_pipe_in_the_place_of_a_file_is_left_alone),
		TEST(without_inotify_changes_are_looked_for),
		TEST(nothing_is_told_after_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
