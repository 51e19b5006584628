/*
 * Of each thing with something wrong there is a digest of its lines: the same
 * digest next time means that there is no news.  Memory is that of what is
 * wrong now: some words for each thing, whatever the number of its lines.
 */
#include "proxy/engine/rejections.h"

#include <ev.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mem.h"

/* More than anybody reads; what comes after is only logged and counted. */
#define KEPT_MAX 100000

#define ROUND_SEC 1.

struct thing {
	uint64_t key, kind; /* hashes */
	uint64_t digest;    /* of its lines */
	size_t n;
	bool is_unseen; /* while all of its kind are read */
};

/* What is being read. */
struct reading {
	struct thing thing; /* as it turns out; its key is 0 between things */
	char *name;
	char *lines[REJECTIONS_THING_LINES];
};

struct rejections {
	struct reject reject;
	struct reading reading;
	struct hash things; /* those with something wrong */
	size_t n;	    /* of all of them */
	struct ev_loop *loop;
	ev_timer round;
	size_t n_lines, n_unsaid; /* in this round */
	bool keep;
	struct plan_rejected *kept;
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

static const void *thing_key(const void *item)
{
	return &((const struct thing *)item)->key;
}

static const struct hash_ops by_key = {
	.hash = thing_hash,
	.equal = thing_equal,
	.key = thing_key,
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

/* A line that stands for so many. */
static void log_within_round(struct rejections *r, const char *line, size_t n)
{
	if (r->n_lines == REJECTIONS_ROUND_LINES) {
		r->n_unsaid += n;
		return;
	}
	r->n_lines++;
	log_warn("%s", line);
	if (r->loop && !ev_is_active(&r->round)) {
		ev_timer_set(&r->round, ROUND_SEC, 0.);
		ev_timer_start(r->loop, &r->round);
	}
}

static void on_round(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	rejections_flush(timer->data);
}

static void keep(struct rejections *r, const struct rejection *x)
{
	if (!r->keep || r->n_kept >= KEPT_MAX)
		return;
	r->kept = xgrow(r->kept, r->n_kept, &r->cap_kept, sizeof(*r->kept));
	r->kept[r->n_kept++] = (struct plan_rejected){
		.source = xstrdup(x->source),
		.kind = xstrdup(x->kind),
		.ns = xstrdup(x->ns),
		.name = xstrdup(x->name),
		.field = xstrdup(x->field),
		.reason = xstrdup(x->reason),
	};
}

static void on_rejection(void *data, const struct rejection *x)
{
	struct rejections *r = data;
	struct thing *thing = &r->reading.thing;
	_cleanup_(freep) char *line = format_rejection(x);

	keep(r, x);
	if (!thing->key) { /* of no thing: told as it comes */
		log_within_round(r, line, 1);
		return;
	}
	thing->digest = hash_mix(thing->digest, hash_string(line));
	if (thing->n++ < REJECTIONS_THING_LINES)
		r->reading.lines[thing->n - 1] = take_ptr(line);
}

static void on_begin(void *data, const struct reject_object *thing)
{
	struct rejections *r = data;
	uint64_t kind = hash_string(thing->kind);
	uint64_t name = hash_mix(hash_string(thing->ns), hash_string(thing->name));

	r->reading.thing = (struct thing){.key = hash_mix(kind, name) | 1, .kind = kind};
	r->reading.name = xstrdup(thing->name);
}

static void log_reading(struct rejections *r)
{
	struct reading *reading = &r->reading;
	_cleanup_(freep) char *rest = NULL;
	size_t n = reading->thing.n;

	for (size_t i = 0; i < n && i < REJECTIONS_THING_LINES; i++)
		log_within_round(r, reading->lines[i], 1);
	if (n <= REJECTIONS_THING_LINES)
		return;
	n -= REJECTIONS_THING_LINES;
	rest = xasprintf("%s: and %zu more; sluice plan lists all", reading->name, n);
	log_within_round(r, rest, n);
}

static void clear_reading(struct reading *reading)
{
	for (size_t i = 0; i < REJECTIONS_THING_LINES; i++)
		free(reading->lines[i]);
	free(reading->name);
	*reading = (struct reading){0};
}

static void on_end(void *data)
{
	struct rejections *r = data;
	const struct thing *now = &r->reading.thing;
	struct thing *before = hash_find(&r->things, &now->key);

	if (before)
		r->n -= before->n;
	r->n += now->n;
	if (now->n > 0 && (!before || before->digest != now->digest))
		log_reading(r);
	if (now->n == 0) {
		free(before ? hash_del(&r->things, &now->key) : NULL);
	} else {
		if (!before)
			before = xcalloc(1, sizeof(*before));
		*before = *now;
		(void)hash_put(&r->things, before);
	}
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
	r->reject = (struct reject){
		.call = on_rejection,
		.data = r,
		.begin = on_begin,
		.end = on_end,
		.begin_all = on_begin_all,
		.end_all = on_end_all,
	};
	hash_init(&r->things, &by_key);
	ev_timer_init(&r->round, on_round, 0., 0.);
	r->round.data = r;
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
	for (size_t i = 0; i < r->n_kept; i++) {
		const struct plan_rejected *x = &r->kept[i];

		free((char *)x->source);
		free((char *)x->kind);
		free((char *)x->ns);
		free((char *)x->name);
		free((char *)x->field);
		free((char *)x->reason);
	}
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
	if (r->n_unsaid > 0)
		log_warn("and %zu more were rejected; sluice plan lists all",
			 r->n_unsaid);
	r->n_lines = r->n_unsaid = 0;
	if (r->loop)
		ev_timer_stop(r->loop, &r->round);
}

const struct reject *rejections_reject(const struct rejections *r)
{
	return &r->reject;
}

size_t rejections_n(const struct rejections *r)
{
	return r->n;
}

const struct plan_rejected *rejections_kept(const struct rejections *r, size_t *ret_n)
{
	*ret_n = r->n_kept;
	return r->kept;
}
