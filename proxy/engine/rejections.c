/*
 * Each file or object with a rejection has a digest of its lines: the same digest
 * next time means that nothing changed.  Memory is a few words for each of them,
 * whatever the number of its lines.
 */
#include "proxy/engine/rejections.h"

#include <ev.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/log_limiter.h"
#include "core/mem.h"

/* More are only logged and counted. */
#define KEPT_MAX 100000

#define SUMMARY_SEC 1.

/* A file or object with rejections. */
struct thing {
	uint64_t key, kind;	  /* hashes */
	struct log_digest digest; /* of its lines */
	size_t n;
	bool is_unseen; /* while all of its kind are read */
};

/* The file or object that is being read. */
struct reading {
	struct thing thing; /* its key is 0 between things */
	char *label;
	bool is_deleted;
	char *lines[REJECTIONS_THING_LINES];
};

struct rejections {
	struct reject reject;
	struct reading reading;
	struct hash things;
	size_t n; /* of all of them */
	struct ev_loop *loop;
	struct log_limiter limiter;
	ev_timer summary; /* of the lines that it suppressed */
	bool keep;
	struct rejection *kept;
	size_t n_kept, cap_kept;
};

static uint64_t thing_hash(const void *key)
{
	return *(const uint64_t *)key;
}

static bool thing_equal(const void *item, const void *key)
{
	return ((const struct thing *)item)->key == *(const uint64_t *)key;
}

static const struct hash_ops by_key = {
	.hash = thing_hash,
	.equal = thing_equal,
};

/* "Service ns/name: ", "Node name: "; of one without a name, "Service in ns: ". */
static void add_object(struct buf *line, const struct rejection *x)
{
	buf_add_string(line, x->kind);
	if (*x->ns)
		buf_printf(line, *x->name ? " %s/" : " in %s", x->ns);
	else if (*x->name)
		buf_add_string(line, " ");
	buf_printf(line, "%s: ", x->name);
}

/* "source: object: field: reason", without the parts that are empty. */
static char *format_rejection(const struct rejection *x)
{
	struct buf line = BUF_INIT;

	if (*x->source)
		buf_printf(&line, "%s: ", x->source);
	if (*x->kind)
		add_object(&line, x);
	if (*x->field)
		buf_printf(&line, "%s: ", x->field);
	buf_add_string(&line, x->reason);
	return buf_take(&line);
}

/* A line that stands for so many rejections. */
static void log_limited(struct rejections *r, const char *line, size_t n)
{
	if (log_limiter_take(&r->limiter, n, clock_monotonic_us())) {
		log_warn("%s", line);
	} else if (r->loop && !ev_is_active(&r->summary)) {
		ev_timer_set(&r->summary, SUMMARY_SEC, 0.);
		ev_timer_start(r->loop, &r->summary);
	}
}

static void on_summary(struct ev_loop *loop, ev_timer *timer, int revents)
{
	rejections_flush(timer->data);
}

#define N_TEXTS (sizeof(struct rejection) / sizeof(const char *))

static void keep(struct rejections *r, const struct rejection *x)
{
	const char *const *from = &x->source;
	const char **to;

	if (r->n_kept >= KEPT_MAX)
		return;
	r->kept = xgrow(r->kept, r->n_kept, &r->cap_kept, sizeof(*r->kept));
	to = &r->kept[r->n_kept++].source;
	for (size_t i = 0; i < N_TEXTS; i++)
		to[i] = xstrdup(from[i]);
}

static void on_rejection(void *data, const struct rejection *x)
{
	struct rejections *r = data;
	struct thing *thing = &r->reading.thing;
	_cleanup_(freep) char *line = format_rejection(x);

	if (r->keep) {
		keep(r, x);
		return;
	}
	if (!thing->key) { /* outside of any file or object */
		log_limited(r, line, 1);
		return;
	}
	log_digest_add(&thing->digest, line);
	if (thing->n++ < REJECTIONS_THING_LINES)
		r->reading.lines[thing->n - 1] = take_ptr(line);
}

/* "path", "Service ns/name", "Node name" */
static char *format_label(const struct reject_object *thing)
{
	return xasprintf("%s%s%s%s%s", thing->kind, *thing->kind ? " " : "", thing->ns,
			 *thing->ns ? "/" : "", thing->name);
}

static void on_begin(void *data, const struct reject_object *thing)
{
	struct rejections *r = data;
	uint64_t kind = hash_string(thing->kind);
	uint64_t name = hash_mix(hash_string(thing->ns), hash_string(thing->name));

	r->reading.thing = (struct thing){.key = hash_mix(kind, name) | 1, .kind = kind};
	r->reading.label = format_label(thing);
	r->reading.is_deleted = thing->is_deleted;
}

static void log_reading(struct rejections *r)
{
	struct reading *reading = &r->reading;
	_cleanup_(freep) char *rest = NULL;
	size_t n = reading->thing.n;

	for (size_t i = 0; i < n && i < REJECTIONS_THING_LINES; i++)
		log_limited(r, reading->lines[i], 1);
	if (n <= REJECTIONS_THING_LINES)
		return;
	n -= REJECTIONS_THING_LINES;
	rest = xasprintf("%s: and %zu more; sluice plan lists all", reading->label, n);
	log_limited(r, rest, n);
}

static void clear_reading(struct reading *reading)
{
	for (size_t i = 0; i < REJECTIONS_THING_LINES; i++)
		free(reading->lines[i]);
	free(reading->label);
	*reading = (struct reading){0};
}

/* It has no rejections (any more). */
static void end_good(struct rejections *r, struct thing *before)
{
	if (!before)
		return;
	if (!r->reading.is_deleted &&
	    log_limiter_take(&r->limiter, 0, clock_monotonic_us()))
		log_info("%s: repaired, nothing in it is ignored any more",
			 r->reading.label);
	free(hash_del(&r->things, &before->key));
}

static void end_bad(struct rejections *r, struct thing *before)
{
	struct thing *now = &r->reading.thing;

	if (before)
		now->digest.last = before->digest.last;
	else
		before = xcalloc(1, sizeof(*before));
	if (log_digest_is_new(&now->digest))
		log_reading(r);
	*before = *now;
	(void)hash_put(&r->things, before);
}

static void on_end(void *data)
{
	struct rejections *r = data;
	size_t n = r->reading.thing.n;
	struct thing *before = hash_find(&r->things, &r->reading.thing.key);

	r->n += n - (before ? before->n : 0);
	if (n == 0)
		end_good(r, before);
	else
		end_bad(r, before);
	clear_reading(&r->reading);
}

static void on_begin_all(void *data, const char *kind)
{
	struct rejections *r = data;
	uint64_t kind_hash = hash_string(kind);
	struct thing *thing;

	for (size_t i = 0; (thing = hash_next(&r->things, &i));)
		thing->is_unseen |= thing->kind == kind_hash;
}

static void on_end_all(void *data, const char *kind)
{
	struct rejections *r = data;
	uint64_t kind_hash = hash_string(kind);
	struct thing *thing;

	for (size_t i = 0; (thing = hash_next(&r->things, &i));) {
		if (thing->kind != kind_hash || !thing->is_unseen)
			continue;
		r->n -= thing->n;
		free(hash_del(&r->things, &thing->key));
	}
}

struct rejections *rejections_new(bool keep)
{
	struct rejections *r = xcalloc(1, sizeof(*r));

	r->keep = keep;
	r->limiter = (struct log_limiter){
		.burst = REJECTIONS_BURST_LINES,
		.interval_us = 1000000 / REJECTIONS_BURST_LINES,
	};
	r->reject = (struct reject){
		.call = on_rejection,
		.data = r,
		.begin = on_begin,
		.end = on_end,
		.begin_all = on_begin_all,
		.end_all = on_end_all,
	};
	hash_init(&r->things, &by_key);
	ev_timer_init(&r->summary, on_summary, 0., 0.);
	r->summary.data = r;
	return r;
}

void rejections_free(struct rejections *r)
{
	struct thing *thing;

	if (!r)
		return;
	rejections_flush(r);
	for (size_t i = 0; (thing = hash_next(&r->things, &i));)
		free(thing);
	hash_fini(&r->things);
	for (size_t i = 0; i < r->n_kept * N_TEXTS; i++)
		free((char *)(&r->kept->source)[i]);
	free(r->kept);
	clear_reading(&r->reading);
	free(r);
}

void rejections_start(struct rejections *r, struct ev_loop *loop)
{
	r->loop = loop;
}

void rejections_flush(struct rejections *r)
{
	size_t n = log_limiter_suppressed(&r->limiter);

	if (n > 0)
		log_warn("and %zu more were rejected; sluice plan lists all", n);
	if (r->loop)
		ev_timer_stop(r->loop, &r->summary);
}

const struct reject *rejections_reject(const struct rejections *r)
{
	return &r->reject;
}

size_t rejections_n(const struct rejections *r)
{
	return r->n;
}

const struct rejection *rejections_kept(const struct rejections *r, size_t *ret_n)
{
	*ret_n = r->n_kept;
	return r->kept;
}
