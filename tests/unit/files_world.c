#include "tests/unit/files_world.h"

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

#define DEADLINE_SEC 20.

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
}

void files_world_changed(void *data)
{
	struct files_world *w = data;

	w->n_changed++;
	if (*w->watched && !cluster_service(w->cluster, "default", w->watched))
		w->has_blinked = true;
}

int files_world_setup(void **state)
{
	struct files_world *w = xcalloc(1, sizeof(*w));

	world_open(&w->base);
	w->steps = *state;
	w->cluster = cluster_new("node-0");
	w->reject = (struct reject){.call = object_text_note, .data = &w->reports};
	ev_timer_init(&w->tick, on_tick, 0.005, 0.005);
	ev_timer_start(w->base.loop, &w->tick);
	*state = w;
	return 0;
}

int files_world_teardown(void **state)
{
	struct files_world *w = *state;

	files_free(w->files);
	cluster_free(w->cluster);
	world_close(&w->base);
	buf_fini(&w->reports);
	free(w);
	return 0;
}

const char *files_at(const struct files_world *w, const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", w->base.folder, name);
	return path;
}

char *files_service_text(const char *name, const char *ip)
{
	return xasprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s}\n"
			 "spec: {clusterIP: %s, ports: [{port: 80}]}\n",
			 name, ip);
}

void files_world_write(const struct files_world *w, const char *file, const char *name,
		       const char *ip)
{
	_cleanup_(freep) char *text = files_service_text(name, ip);

	world_write(&w->base, file, text);
}

void files_world_read(struct files_world *w, int err, const char *const *paths, size_t n)
{
	w->files = files_new(paths, n, w->cluster, &w->reject);
	assert_int_equal(files_read(w->files), err);
}

void files_world_follow(struct files_world *w, int err, const char *path)
{
	files_world_read(w, err, &path, 1);
	files_start(w->files, w->base.loop, files_world_changed, w);
}

const char *files_world_ip(const struct files_world *w, const char *service)
{
	static char text[ADDR_TEXT_LEN];
	const struct object_service *s = cluster_service(w->cluster, "default", service);

	return s ? addr_format(&s->cluster_ip[FAMILY_IPV4], text) : "";
}

void files_world_await(const struct files_world *w, const char *service, const char *ip)
{
	double end = ev_time() + DEADLINE_SEC;

	while (strcmp(files_world_ip(w, service), ip) != 0 && ev_time() < end)
		ev_run(w->base.loop, EVRUN_ONCE);
	assert_string_equal(files_world_ip(w, service), ip);
}

void files_world_pause(const struct files_world *w, double sec)
{
	double end = ev_time() + sec;

	while (ev_time() < end)
		ev_run(w->base.loop, EVRUN_ONCE);
}

void files_world_settle(const struct files_world *w)
{
	static unsigned n;
	_cleanup_(freep) char *name = xasprintf("settle-%u", ++n);
	_cleanup_(freep) char *file = xasprintf("%s.yaml", name);

	files_world_write(w, file, name, "10.96.255.1");
	files_world_await(w, name, "10.96.255.1");
	world_remove(&w->base, file);
	files_world_await(w, name, "");
	files_world_pause(w, 0.1);
}

size_t files_world_n_reported(const struct files_world *w, const char *what)
{
	size_t n = 0;

	for (const char *p = buf_string(&w->reports); (p = strstr(p, what)); p++)
		n++;
	return n;
}

void files_world_swap(const struct files_world *w, const char *version, const char *name,
		      const char *ip)
{
	_cleanup_(freep) char *file = xasprintf("%s/web.yaml", version);
	char old[64] = "";

	if (readlink(files_at(w, "..data"), old, sizeof(old) - 1) == -1)
		old[0] = '\0'; /* the first version */
	world_make_folder(&w->base, version);
	files_world_write(w, file, name, ip);
	world_link(&w->base, version, "..data_tmp");
	world_rename(&w->base, "..data_tmp", "..data");
	if (*old)
		world_remove(&w->base, old);
	else
		world_link(&w->base, "..data/web.yaml", "web.yaml");
}
