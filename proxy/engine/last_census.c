#include "proxy/engine/last_census.h"

#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/changeset.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/hash_keys.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/engine/census.h"

#define STEP_SEC	0.02
#define MIN_INTERVAL_US 5000000u
#define PAUSE_FACTOR	50	   /* at most 1/50 of the time is spent on counting */
#define MAX_UNREAD_US	300000000u /* older numbers are not shown */

struct entry {
	struct service *service; /* first; a reference */
	struct sink_flows flows;
};

struct last_census {
	struct ev_loop *loop;
	const struct dataplane *dp;
	const struct state *state;
	const struct environment *env;

	/* the count that runs */
	struct census *census;	   /* NULL: none does */
	struct service **services; /* a reference each */
	size_t n_services;
	ev_timer timer;

	uint64_t started_us; /* the last count, monotonic clock; 0: never */
	uint64_t took_us;    /* the last one that ended */
	int err;	     /* of it */
	bool is_known;	     /* if so: */
	uint64_t counted_us; /* its start */
	struct current numbers;
};

static void forget(struct last_census *l)
{
	struct entry *e;

	for (size_t i = 0; (e = hash_next(&l->numbers.services, &i));) {
		service_unref(e->service);
		free(e);
	}
	hash_fini(&l->numbers.services);
	l->numbers = (struct current){0};
	hash_init(&l->numbers.services, &service_key_ops);
	l->is_known = false;
}

static void stop(struct last_census *l)
{
	ev_timer_stop(l->loop, &l->timer);
	census_free(l->census);
	l->census = NULL;
	for (size_t i = 0; i < l->n_services; i++)
		service_unref(l->services[i]);
	free(l->services);
	l->services = NULL;
	l->n_services = 0;
}

static void add(struct last_census *l, size_t i)
{
	struct service *s = l->services[i];
	struct sink_flows sum = {0}, of;
	struct entry *e;

	for (uint32_t f = 0; f < s->n_frontends; f++) {
		of = census_of(l->census, i, false, f);
		sink_flows_add(&sum, &of);
	}
	if (!sum.n && !sum.n_packets[0] && !sum.n_bytes[0])
		return;
	e = xcalloc(1, sizeof(*e));
	*e = (struct entry){service_ref(s), sum};
	(void)hash_put(&l->numbers.services, e);
	sink_flows_add(&l->numbers.all, &sum);
}

/* Ends the count if it is complete. */
static void advance(struct last_census *l, uint64_t now_us)
{
	int err = census_step(l->census);

	if (err > 0)
		return;
	forget(l);
	if (err && err != l->err)
		census_log_failure(l->census, err);
	l->err = err;
	l->took_us = now_us - l->started_us;
	l->is_known = !err;
	l->counted_us = l->started_us;
	for (size_t i = 0; i < l->n_services && !err; i++)
		add(l, i);
	l->numbers.has_bytes = !err && census_has_bytes(l->census);
	l->numbers.has_packets = !err && census_has_packets(l->census);
	stop(l);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	advance(timer->data, clock_monotonic_us());
}

static void start(struct last_census *l, uint64_t now_us)
{
	size_t n = state_n_services(l->state);
	_cleanup_(freep) struct change *changes = xcalloc(n + 1, sizeof(*changes));
	struct changeset of = {.env = l->env, .changes = changes};
	const struct service *s;

	l->started_us = now_us;
	l->services = xcalloc(n + 1, sizeof(struct service *));
	for (size_t i = 0; (s = state_next(l->state, &i));) {
		l->services[l->n_services++] = service_ref(s);
		changes[of.n++].new = s;
	}
	l->census = census_new(l->dp, &of);
	if (!l->census) {
		stop(l);
		return;
	}
	ev_timer_again(l->loop, &l->timer);
	advance(l, now_us); /* some sinks know it immediately */
}

static uint64_t interval_us(const struct last_census *l)
{
	uint64_t us = PAUSE_FACTOR * l->took_us;

	return us > MIN_INTERVAL_US ? us : MIN_INTERVAL_US;
}

const struct current *last_census_read(struct last_census *l, uint64_t now_us)
{
	bool is_due = !l->started_us || now_us - l->started_us >= interval_us(l);

	if (is_due && !l->census)
		start(l, now_us);
	l->numbers.age_us = now_us - l->counted_us;
	return l->is_known && l->numbers.age_us <= interval_us(l) + MAX_UNREAD_US
		       ? &l->numbers
		       : NULL;
}

bool last_census_is_pending(struct last_census *l, uint64_t now_us)
{
	return !last_census_read(l, now_us) && l->census;
}

struct sink_flows current_of(const struct current *c, const struct service *s)
{
	const struct entry *e = hash_find(&c->services, s);

	return e ? e->flows : (struct sink_flows){0};
}

struct last_census *last_census_new(struct ev_loop *loop, const struct dataplane *dp,
				    const struct state *state,
				    const struct environment *env)
{
	struct last_census *l = xcalloc(1, sizeof(*l));

	l->loop = loop;
	l->dp = dp;
	l->state = state;
	l->env = env;
	ev_timer_init(&l->timer, on_timer, STEP_SEC, STEP_SEC);
	l->timer.data = l;
	forget(l);
	return l;
}

void last_census_free(struct last_census *l)
{
	if (!l)
		return;
	stop(l);
	forget(l);
	hash_fini(&l->numbers.services);
	free(l);
}
