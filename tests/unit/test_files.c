/*
 * Manifests are followed through everything that editors, deployers and kubelet
 * do to files and folders: real inotify, a real loop, in a folder of its own.
 *
 * Most tests are rows of steps, which run_step() interprets:
 *
 *	write FILE a=1 b=2	a manifest with Services a and b, 10.96.0.1 and .2
 *	broken FILE [a=1]	the same, and then a document that does not parse
 *	empty FILE
 *	mv FROM TO, rm PATH, mkdir PATH, ln TARGET LINK
 *	swap VERSION a=1	a new version of a ConfigMap's volume with web.yaml
 *	follow PATH [ERRNO]	reads it, with this error, and starts following
 *	read PATH		only reads it
 *	a=1, a=-		waits until Service a has this address, is gone
 *	keep a			from now on Service a must not be missing
 *	settle			waits until all that happened has been noticed
 *	reported N TEXT		N reports have the text in them
 *	missing N		so many paths are missing
 */
#include "tests/test.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mount.h>
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
	const char *const *steps; /* of the test, or NULL */
	char *dir;
	struct cluster *cluster;
	struct files *files;
	struct ev_loop *loop;
	ev_timer tick;
	struct buf reports;
	struct reject reject;
	unsigned n_changed;
	char watched[16]; /* a Service that must not be missing; "" is none */
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
	if (*w->watched && !cluster_service(w->cluster, "default", w->watched))
		w->has_blinked = true;
}

static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->steps = *state;
	w->dir = xstrdup("/tmp/sluice-files-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->cluster = cluster_new("node-0");
	w->loop = ev_loop_new(EVFLAG_AUTO);
	w->reject = (struct reject){.call = object_text_note, .data = &w->reports};
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
	buf_fini(&w->reports);
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
static void await(const struct world *w, const char *service, const char *ip)
{
	double end = ev_time() + DEADLINE_SEC;

	while (strcmp(ip_of(w, service), ip) != 0 && ev_time() < end)
		ev_run(w->loop, EVRUN_ONCE);
	assert_string_equal(ip_of(w, service), ip);
}

static void settle_for(const struct world *w, double sec)
{
	double end = ev_time() + sec;

	while (ev_time() < end)
		ev_run(w->loop, EVRUN_ONCE);
}

/* Runs the loop until a file written now is noticed, and all that was before it. */
static void settle(const struct world *w, const char *folder)
{
	static unsigned n;
	_cleanup_(freep) char *name = xasprintf("settle-%u", ++n);
	_cleanup_(freep) char *path = xasprintf("%s/%s.yaml", folder, name);

	write_service(path, name, "10.96.255.1");
	await(w, name, "10.96.255.1");
	assert_int_equal(unlink(path), 0);
	await(w, name, "");
	settle_for(w, 0.1);
}

static size_t n_reported(const struct world *w, const char *what)
{
	size_t n = 0;

	for (const char *p = buf_string(&w->reports); (p = strstr(p, what)); p++)
		n++;
	return n;
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

static void write_services(const struct world *w, const char *file, char *services,
			   const char *tail)
{
	struct buf text = BUF_INIT;
	char *save = NULL;

	for (char *s = strtok_r(services, " ", &save); s;
	     s = strtok_r(NULL, " ", &save)) {
		char *number = strchr(s, '=');
		_cleanup_(freep) char *ip = xasprintf("10.96.0.%s", number + 1);
		_cleanup_(freep) char *one = NULL;

		*number = '\0';
		one = service_text(s, ip);
		buf_printf(&text, "---\n%s", one);
	}
	buf_add_string(&text, tail);
	write_text(at(w, file), buf_string(&text));
	buf_fini(&text);
}

static void take_swap(struct world *w, const char *version, char *service)
{
	char *number = strchr(service, '=');
	_cleanup_(freep) char *ip = xasprintf("10.96.0.%s", number + 1);

	*number = '\0';
	swap_config_map(w, version, service, ip);
}

static void take_await(const struct world *w, char *service)
{
	char *number = strchr(service, '=');
	_cleanup_(freep) char *ip = xasprintf("10.96.0.%s", number + 1);

	*number = '\0';
	await(w, service, strcmp(number + 1, "-") == 0 ? "" : ip);
}

static const struct {
	const char *name;
	int number;
} errors[] = {{"ENOENT", ENOENT}, {"EINVAL", EINVAL}};

static void take_read(struct world *w, const char *path)
{
	const char *full = at(w, path);

	read_paths(w, 0, &full, 1);
}

static void take_follow(struct world *w, const char *path, const char *error)
{
	int err = 0;

	for (size_t i = 0; i < N_ELEMENTS(errors); i++)
		if (strcmp(error, errors[i].name) == 0)
			err = errors[i].number;
	follow(w, -err, at(w, path));
}

static void run_step(struct world *w, const char *step)
{
	char verb[64], a[64] = "", rest[128] = "";

	(void)sscanf(step, "%63s %63s %127[^\n]", verb, a, rest);
	if (strcmp(verb, "write") == 0)
		write_services(w, a, rest, "");
	else if (strcmp(verb, "broken") == 0)
		write_services(w, a, rest, "---\nkind: [Serv");
	else if (strcmp(verb, "empty") == 0)
		write_text(at(w, a), "");
	else if (strcmp(verb, "mv") == 0)
		assert_int_equal(rename(at(w, a), at(w, rest)), 0);
	else if (strcmp(verb, "rm") == 0)
		remove_tree(at(w, a));
	else if (strcmp(verb, "mkdir") == 0)
		assert_int_equal(mkdir(at(w, a), 0700), 0);
	else if (strcmp(verb, "ln") == 0)
		assert_int_equal(symlink(a, at(w, rest)), 0);
	else if (strcmp(verb, "swap") == 0)
		take_swap(w, a, rest);
	else if (strcmp(verb, "follow") == 0)
		take_follow(w, a, rest);
	else if (strcmp(verb, "read") == 0)
		take_read(w, a);
	else if (strcmp(verb, "keep") == 0)
		strncpy(w->watched, a, sizeof(w->watched) - 1);
	else if (strcmp(verb, "settle") == 0)
		settle_for(w, 0.8); /* more than the grace of a missing file */
	else if (strcmp(verb, "reported") == 0)
		assert_int_equal(n_reported(w, rest), strtoul(a, NULL, 10));
	else if (strcmp(verb, "missing") == 0)
		assert_int_equal(files_n_missing(w->files), strtoul(a, NULL, 10));
	else if (strchr(verb, '='))
		take_await(w, verb);
	else
		fail_msg("unknown step: %s", step);
}

static void run_steps(void **state)
{
	struct world *w = *state;

	for (const char *const *step = w->steps; *step; step++) {
		print_message("%s\n", *step);
		run_step(w, *step);
	}
	if (w->has_blinked)
		fail_msg("Service %s was missing for a moment", w->watched);
}

#define STEPS(...)                                                                       \
	(const char *const[])                                                            \
	{                                                                                \
		__VA_ARGS__, NULL                                                        \
	}

static const struct {
	const char *name;
	const char *const *steps;
} stories[] = {
	{"files_that_come_change_and_go_are_followed",
	 STEPS("follow .", "write a.yaml a=1", "a=1", "write a.yaml a=2", "a=2",
	       "write .a.tmp a=3", "mv .a.tmp a.yaml", "a=3", "mv a.yaml b.yaml",
	       "settle", "a=3", "write b.yaml b=4", "b=4", "a=-", "rm b.yaml", "b=-",
	       "reported 0 :")},
	{"a_file_that_does_not_parse_keeps_its_objects",
	 STEPS("write a.yaml a=1", "follow .", "keep a", "broken a.yaml", "settle", "a=1",
	       "reported 1 a.yaml", "reported 1 its last good objects stay in effect",
	       "write a.yaml a=2", "a=2")},
	{"a_file_that_never_parsed_has_the_objects_before_the_bad_place",
	 STEPS("broken a.yaml a=1", "write b.yaml b=2", "follow . EINVAL", "a=1", "b=2",
	       "reported 1 a.yaml:  : line 8")},
	{"an_empty_file_has_no_objects",
	 STEPS("write a.yaml a=1", "follow .", "empty a.yaml", "a=-", "reported 0 :")},
	{"a_mounted_config_map_is_followed",
	 STEPS("swap ..1 a=1", "follow .", "keep a", "a=1", "swap ..2 a=2", "a=2",
	       "swap ..3 a=3", "a=3", "reported 0 :")},
	{"a_file_of_a_mounted_config_map_is_followed",
	 STEPS("swap ..1 a=1", "follow web.yaml", "keep a", "swap ..2 a=2", "a=2",
	       "write ..2/web.yaml a=3", "a=3")},
	{"a_folder_that_goes_away_keeps_its_objects",
	 STEPS("mkdir x", "mkdir x/m", "write x/m/a.yaml a=1", "follow x/m", "keep a",
	       "mv x/m x/other", "settle", "a=1", "missing 1", "mkdir x/m",
	       "write x/m/a.yaml a=2", "a=2", "missing 0", "rm x", "settle", "a=2",
	       "missing 1", "mkdir x", "mkdir x/m", "write x/m/a.yaml a=3", "a=3",
	       "write x/m/a.yaml a=4", "a=4", "missing 0")},
	{"a_folder_that_comes_back_has_the_objects_of_its_files",
	 STEPS("mkdir m", "write m/a.yaml a=1", "write m/b.yaml b=1", "follow m",
	       "mv m old", "settle", "a=1", "b=1", "rm old/b.yaml", "mv old m", "b=-",
	       "a=1")},
	{"an_empty_folder_has_no_objects",
	 STEPS("mkdir m", "write m/a.yaml a=1", "follow m", "rm m/a.yaml", "a=-",
	       "missing 0", "write m/a.yaml a=2", "a=2", "mkdir n", "mv m old", "mv n m",
	       "a=-", "missing 0")},
	{"a_folder_may_be_replaced_in_one_step",
	 STEPS("mkdir m", "mkdir n", "write m/a.yaml a=1", "write n/a.yaml a=2",
	       "follow m", "keep a", "mv m old", "mv n m", "a=2", "write m/a.yaml a=3",
	       "a=3")},
	{"a_link_to_a_folder_may_be_swapped",
	 STEPS("mkdir v1", "mkdir v2", "write v1/a.yaml a=1", "write v2/a.yaml a=2",
	       "ln v1 now", "follow now", "keep a", "a=1", "ln v2 new", "mv new now",
	       "a=2", "write v2/a.yaml a=3", "a=3")},
	{"a_single_file_is_followed_and_may_be_deleted",
	 STEPS("write a.yaml a=1", "write b.yaml b=1", "follow a.yaml",
	       "write a.yaml a=2", "a=2", "write new a=3", "mv new a.yaml", "a=3",
	       "rm a.yaml", "a=-", "missing 1", "write a.yaml a=4", "a=4", "b=-",
	       "missing 0")},
	{"a_single_file_whose_folder_goes_away_keeps_its_objects",
	 STEPS("mkdir m", "write m/a.yaml a=1", "follow m/a.yaml", "keep a", "mv m old",
	       "settle", "a=1", "missing 1", "mv old m", "write m/a.yaml a=2", "a=2",
	       "missing 0")},
	{"a_link_in_a_folder_is_a_file",
	 STEPS("follow .", "write a.txt a=1", "ln a.txt a.yaml", "a=1", "rm a.yaml",
	       "a=-")},
	{"a_path_that_does_not_exist_yet_is_awaited",
	 STEPS("follow x/y/a.yaml ENOENT", "missing 1", "mkdir x", "mkdir x/y",
	       "write x/y/a.yaml a=1", "a=1", "missing 0")},
	{"of_files_with_the_same_object_the_first_one_counts",
	 STEPS("write b.yaml a=2", "write c.yaml a=3", "follow .", "keep a", "a=2",
	       "reported 1 c.yaml: Service default/a: ", "write a.yaml a=1", "a=1",
	       "settle", "reported 1 b.yaml: Service default/a: ", "write c.yaml a=33",
	       "settle", "a=1", "rm a.yaml", "a=2", "write b.yaml b=2", "a=33")},
	{"a_renamed_file_is_not_a_second_owner",
	 STEPS("write b.yaml a=1", "follow .", "keep a", "mv b.yaml a.yaml", "settle",
	       "mv a.yaml c.yaml", "settle", "a=1", "reported 0 :")},
	{"of_two_same_objects_in_a_file_the_first_one_counts",
	 STEPS("write a.yaml a=1 a=2", "follow .", "a=1",
	       "reported 1 this file has it twice", "write a.yaml a=2", "a=2")},
	{"names_that_look_like_manifests_but_are_not_are_reported",
	 STEPS("write a.YML a=1", "write b.JSON b=1", "mkdir deeper.yaml",
	       "write deeper.yaml/a.yaml a=1", "mkdir .git", "mkdir lost+found", "read .",
	       "a=-", "reported 1 a.YML:  : is not read: the name must end in",
	       "reported 1 b.JSON:", "reported 1 deeper.yaml:  : is a folder",
	       "reported 3 :  : ")},
};

static void temporary_and_other_files_in_a_folder_are_not_read(void **state)
{
	static const char *const ignored[] = {
		".hidden.yaml", ".web.yaml.swp", "web.yaml~",	 "#web.yaml#", "4913",
		"notes.txt",	".#web.yaml",	 "web.yaml.tmp", "README",     ".yaml",
	};
	struct world *w = *state;

	for (size_t i = 0; i < N_ELEMENTS(ignored); i++)
		write_service(at(w, ignored[i]), "ignored", "10.96.0.9");
	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	write_service(at(w, "b.yml"), "b", "10.96.0.2");
	write_text(at(w, "c.json"),
		   "{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"items\":["
		   "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"clusterIP\":\"10.96.0.3\","
		   "\"ports\":[{\"port\":80}]}}]}");
	follow(w, 0, w->dir);
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
	assert_string_equal(ip_of(w, "b"), "10.96.0.2");
	assert_string_equal(ip_of(w, "c"), "10.96.0.3");
	for (size_t i = 0; i < N_ELEMENTS(ignored); i++)
		write_service(at(w, ignored[i]), "ignored", "10.96.0.8");
	settle(w, w->dir);
	assert_int_equal(cluster_n(w->cluster, OBJECT_SERVICE), 3);
	assert_string_equal(buf_string(&w->reports), "");
}

/* No more than a turn's work at a time: the tick timer runs in between. */
static void a_large_file_is_read_in_several_turns(void **state)
{
	struct world *w = *state;
	struct buf text = BUF_INIT;
	unsigned n_turns = 0;

	follow(w, 0, w->dir);
	for (unsigned i = 0; i < 20000; i++)
		buf_printf(&text, "--- {a: [%u, b, c, {d: e}]}\n", i);
	buf_add_string(&text, "--- {apiVersion: v1, kind: Service, metadata: {name: a}, "
			      "spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}\n");
	write_text(at(w, "new"), buf_string(&text));
	ev_sleep(0.1); /* it is not new any more when it appears */
	assert_int_equal(rename(at(w, "new"), at(w, "a.yaml")), 0);
	while (!w->n_changed && n_turns < 100000) {
		ev_run(w->loop, EVRUN_ONCE);
		n_turns++;
	}
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
	assert_true(n_turns > 15);
	buf_fini(&text);
}

/* On another file system, as a mount point is after umount. */
static void an_unmounted_folder_keeps_its_objects(void **state)
{
	struct world *w = *state;
	const char *folder = at(w, "m");
	_cleanup_(freep) char *path = xstrdup(folder);

	if (unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		skip();
	assert_int_equal(mkdir(path, 0700), 0);
	if (mount("tmpfs", path, "tmpfs", 0, NULL) == -1)
		skip();
	write_service(at(w, "m/a.yaml"), "a", "10.96.0.1");
	follow(w, 0, path);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	settle_for(w, 1.);
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
	assert_int_equal(files_n_missing(w->files), 1);
	assert_int_equal(mount("tmpfs", path, "tmpfs", 0, NULL), 0);
	write_service(at(w, "m/a.yaml"), "a", "10.96.0.2");
	await(w, "a", "10.96.0.2");
	assert_int_equal(files_n_missing(w->files), 0);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
}

/* More events than inotify's queue holds: everything is looked at again. */
static void a_burst_of_events_loses_nothing(void **state)
{
	struct world *w = *state;

	follow(w, 0, w->dir);
	write_service(at(w, "x"), "x", "10.96.0.9");
	for (unsigned i = 0; i < 9000; i++)
		assert_int_equal(rename(at(w, i % 2 ? "y" : "x"),
					at(w, i % 2 ? "x" : "y")),
				 0);
	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	await(w, "a", "10.96.0.1");
}

static void a_rewrite_with_the_same_content_is_not_reported_as_a_change(void **state)
{
	struct world *w = *state;
	unsigned before;

	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	follow(w, 0, w->dir);
	settle(w, w->dir);
	before = w->n_changed;
	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	settle(w, w->dir);
	assert_int_equal(w->n_changed, before + 2); /* by settle() */
}

/* The old file is moved away before the new one is written, as vim does. */
static void services_stay_while_an_editor_saves_their_file(void **state)
{
	struct world *w = *state;

	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	follow(w, 0, w->dir);
	strcpy(w->watched, "a");
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

/* Also when another file comes or goes. */
static void the_number_of_objects_that_do_not_count_is_known(void **state)
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
	assert_int_equal(files_read(w->files), 0); /* c reports a instead of b */
	capture_start();
	assert_int_equal(files_read(w->files), 0);
	assert_string_equal(capture_end(), ""); /* nothing new */
	assert_int_equal(rejections_n(r), 2);
	assert_int_equal(unlink(at(w, "a.yaml")), 0);
	settle(w, w->dir);
	assert_int_equal(rejections_n(r), 1);
	assert_int_equal(unlink(at(w, "c.yaml")), 0);
	settle(w, w->dir);
	assert_int_equal(rejections_n(r), 0);
	rejections_free(r);
}

static void an_object_in_several_paths_counts_from_the_first(void **state)
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

static void an_unchanged_file_is_not_read_again(void **state)
{
	struct world *w = *state;

	write_text(at(w, "bad.yaml"),
		   "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\n"
		   "spec: {clusterIP: x, ports: [{port: 80}]}\n");
	follow(w, 0, w->dir);
	assert_int_equal(n_reported(w, "bad.yaml"), 1);
	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	settle(w, w->dir);
	assert_int_equal(n_reported(w, "bad.yaml"), 1);
	/* not even by a scan of everything */
	swap_config_map(w, "..1", "map", "10.96.0.2");
	await(w, "map", "10.96.0.2");
	assert_int_equal(n_reported(w, "bad.yaml"), 1);
	files_reread(w->files);
	settle(w, w->dir);
	assert_int_equal(n_reported(w, "bad.yaml"), 2);
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

/* A reader would wait for a writer, and the daemon with it. */
static void a_pipe_in_the_place_of_a_file_is_left_alone(void **state)
{
	struct world *w = *state;
	int fd;

	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	follow(w, 0, at(w, "a.yaml"));
	assert_int_equal(mkfifo(at(w, "pipe"), 0600), 0);
	assert_int_equal(rename(at(w, "pipe"), at(w, "a.yaml")), 0);
	settle_for(w, 0.2);
	fd = open(at(w, "a.yaml"), O_RDWR | O_CLOEXEC); /* a silent writer */
	assert_true(fd >= 0);
	assert_int_equal(close(open(at(w, "a.yaml"), O_WRONLY | O_CLOEXEC)), 0);
	settle_for(w, 0.2);
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
	(void)close(fd);
	write_service(at(w, "new.yaml"), "a", "10.96.0.2");
	assert_int_equal(rename(at(w, "new.yaml"), at(w, "a.yaml")), 0);
	await(w, "a", "10.96.0.2");
}

static void without_inotify_changes_are_found_by_polling(void **state)
{
	struct world *w = *state;
	struct rlimit before, none;
	unsigned n = 0;

	write_service(at(w, "a.yaml"), "a", "10.96.0.1");
	read_paths(w, 0, (const char *const *)&w->dir, 1);
	ev_run(w->loop, EVRUN_NOWAIT); /* the loop has opened its descriptors */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	files_start(w->files, w->loop, on_changed, w);
	while (n++ < 20)
		ev_run(w->loop, EVRUN_ONCE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	write_service(at(w, "b.yaml"), "b", "10.96.0.2");
	await(w, "b", "10.96.0.2");
	assert_string_equal(ip_of(w, "a"), "10.96.0.1");
}

static void nothing_changes_after_stop(void **state)
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
	struct CMUnitTest tests[N_ELEMENTS(stories) + 14] = {
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
		TEST(nothing_changes_after_stop),
		TEST(an_unmounted_folder_keeps_its_objects),
	};
	size_t n = 13;

	for (size_t i = 0; i < N_ELEMENTS(stories); i++)
		tests[n++] = (struct CMUnitTest){
			.name = stories[i].name,
			.test_func = run_steps,
			.setup_func = set_up,
			.teardown_func = tear_down,
			.initial_state = (void *)(uintptr_t)stories[i].steps,
		};
	return _cmocka_run_group_tests("files", tests, n, NULL, NULL);
}
