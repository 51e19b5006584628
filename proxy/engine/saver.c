/*
 * The thread reads immutable objects, of which it has references; reference counts
 * are changed by the loop only.  So between two writes the loop releases the
 * references in steps.
 */
#include "proxy/engine/saver.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/thread.h"
#include "watchers/cluster.h"
#include "watchers/saved/saved_objects.h"

#define GATHER_SEC  2.	/* from a change to the write */
#define RETRY_SEC   60. /* after an error */
#define SHARE	    20	/* of the time, at most one part in so many is spent on writes, */
#define US_PER_BYTE 1	/* and at most 1 MB a second is written on average */
#define N_RELEASED  2000 /* in one turn of the loop */
#define US_PER_SEC  1e6

/* One write; the thread's from its start to the async event. */
struct job {
	const char *dir;
	struct saved_source source;
	int64_t now_us;
	struct object **objects;
	size_t n;
	uint64_t took_us;
	size_t len;
	int err;
};

struct saver {
	struct saver_params p;
	char *source;
	ev_timer timer, release;
	ev_async done;
	pthread_t thread;
	struct job job;
	bool is_running; /* the thread */
	bool is_dirty;
	bool has_failed;  /* and this was logged */
	uint64_t next_us; /* monotonic: no write before */
};

static void write_objects(struct job *job)
{
	uint64_t start_us = clock_monotonic_us();

	job->err = saved_objects_write(job->dir, &job->source, job->now_us, job->objects,
				       job->n, &job->len);
	job->took_us = clock_monotonic_us() - start_us;
}

static void *run(void *data)
{
	struct saver *s = data;

	write_objects(&s->job);
	ev_async_send(s->p.loop, &s->done);
	return NULL;
}

static void collect(struct saver *s)
{
	s->job = (struct job){
		.dir = s->p.dir,
		.source = {.node = s->p.node, .cluster = s->source},
		.now_us = clock_wall_us(),
	};
	s->job.objects = cluster_objects(s->p.cluster, &s->job.n);
	s->is_dirty = false;
}

static void release(struct saver *s, size_t max)
{
	struct job *job = &s->job;

	for (; job->n > 0 && max > 0; max--)
		object_unref(job->objects[--job->n]);
	if (job->n == 0)
		free(take_ptr(job->objects));
}

static void schedule(struct saver *s)
{
	uint64_t now_us = clock_monotonic_us();
	double wait_sec =
		s->next_us > now_us ? (double)(s->next_us - now_us) / US_PER_SEC : 0.;

	if (!s->is_dirty || s->is_running || s->job.objects || ev_is_active(&s->timer))
		return;
	ev_timer_set(&s->timer, wait_sec > GATHER_SEC ? wait_sec : GATHER_SEC, 0.);
	ev_timer_start(s->p.loop, &s->timer);
}

/* From the end of a write to the next one. */
static uint64_t pause_us(const struct job *job)
{
	uint64_t by_time_us = job->took_us * SHARE, by_len_us = job->len * US_PER_BYTE;

	if (job->err)
		return (uint64_t)(RETRY_SEC * US_PER_SEC);
	return by_time_us > by_len_us ? by_time_us : by_len_us;
}

static void take_result(struct saver *s)
{
	const struct job *job = &s->job;

	s->next_us = clock_monotonic_us() + pause_us(job);
	if (!job->err) {
		log_debug("state: %zu objects, %zu bytes written in %.1f ms", job->n,
			  job->len, (double)job->took_us / 1e3);
		s->has_failed = false;
		return;
	}
	s->is_dirty = true;
	if (!s->has_failed)
		log_warn("state: cannot write %s: %s; a start without the API server has "
			 "older objects, or none",
			 s->p.dir, strerror(-job->err));
	s->has_failed = true;
}

static void on_done(struct ev_loop *loop, ev_async *w, int revents)
{
	struct saver *s = w->data;

	(void)pthread_join(s->thread, NULL); /* it has ended, or is about to */
	s->is_running = false;
	take_result(s);
	ev_timer_again(loop, &s->release);
}

static void on_release(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct saver *s = w->data;

	release(s, N_RELEASED);
	if (s->job.objects)
		return;
	ev_timer_stop(loop, w);
	schedule(s);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct saver *s = w->data;

	collect(s);
	s->job.err = thread_start(&s->thread, run, s);
	s->is_running = s->job.err == 0;
	if (s->is_running)
		return;
	take_result(s);
	ev_timer_again(loop, &s->release);
}

/* NULL, or why the folder cannot be used. */
static const char *open_dir(const char *dir)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;

	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return strerror(errno);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1)
		return strerror(errno);
	if (st.st_uid != geteuid())
		return "it belongs to another user";
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return "it can be written by other users";
	return NULL;
}

struct saver *saver_new(const struct saver_params *params)
{
	const char *why_not = open_dir(params->dir);
	struct saver *s;

	if (why_not) {
		log_warn("state: %s: %s; the last known objects are not kept for a start "
			 "without the API server",
			 params->dir, why_not);
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	s->p = *params;
	s->source = xstrdup(params->source);
	ev_timer_init(&s->timer, on_timer, 0., 0.);
	ev_timer_init(&s->release, on_release, 0., 0.001);
	ev_async_init(&s->done, on_done);
	s->timer.data = s->release.data = s->done.data = s;
	ev_async_start(s->p.loop, &s->done);
	return s;
}

void saver_free(struct saver *s)
{
	if (!s)
		return;
	ev_timer_stop(s->p.loop, &s->timer);
	ev_timer_stop(s->p.loop, &s->release);
	if (s->is_running) {
		(void)pthread_join(s->thread, NULL); /* cannot fail: it was started */
		take_result(s);
	}
	ev_async_stop(s->p.loop, &s->done);
	release(s, SIZE_MAX);
	if (s->is_dirty && !s->has_failed) {
		collect(s);
		write_objects(&s->job);
		take_result(s);
		release(s, SIZE_MAX);
	}
	free(s->source);
	free(s);
}

int64_t saver_load(struct saver *s)
{
	const struct saved_source source = {.node = s->p.node, .cluster = s->source};
	struct saved_objects saved = {0};
	uint64_t start_us = clock_monotonic_us();
	int64_t written_us;
	const char *why;
	int err = saved_objects_read(s->p.dir, &source, &saved, &why);

	if (err) {
		if (err != -ENOENT)
			log_warn("state: %s/%s %s; it is not used", s->p.dir,
				 SAVED_OBJECTS_FILE, why);
		return 0;
	}
	if (saved.n_unusable)
		log_warn("state: %s/%s: this version cannot use %zu of its %zu objects",
			 s->p.dir, SAVED_OBJECTS_FILE, saved.n_unusable,
			 saved.n + saved.n_unusable);
	log_debug("state: %zu objects read in %.1f ms", saved.n,
		  (double)(clock_monotonic_us() - start_us) / 1e3);
	for (size_t i = 0; i < saved.n; i++)
		(void)cluster_put(s->p.cluster, take_ptr(saved.objects[i]));
	written_us = saved.written_us;
	saved_objects_fini(&saved);
	return written_us;
}

void saver_mark(struct saver *s)
{
	s->is_dirty = true;
	schedule(s);
}
