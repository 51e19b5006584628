/*
 * A run: update node_info, plan the changed objects into the state, take the
 * changes, pass them to each sink.  One timer serves all reasons to run; it is
 * set to the earliest of them after everything that could move it.
 *
 * The loop's clock is not used: it stands still during a run, and how long a
 * run takes is the point.
 */
#include "proxy/engine/sync.h"

#include <errno.h>
#include <ev.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "core/changeset.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/pacer.h"
#include "core/state.h"
#include "proxy/config/config.h"
#include "proxy/engine/dataplane.h"
#include "proxy/host/node_info.h"
#include "proxy/engine/sink_set.h"
#include "watchers/cluster.h"

#define NS_PER_US	 1000
#define FIRST_BACKOFF_US 50000u

struct sync {
	struct sync_params p;
	struct state *state;
	struct pacer pacer;
	uint64_t random; /* drawn once a run, so that the timer and the run agree */

	ev_timer timer;
	ev_timer audit_timer;
	bool is_started, is_marked;
	bool has_rest; /* dirty Services remain: the next run follows immediately */
	bool want_full;
	enum sync_reason full_reason;
	struct sink_set sinks;

	int64_t triggers[SYNC_MAX_TRIGGERS];
	struct sync_stats stats;
};

const char *sync_reason_name(enum sync_reason reason)
{
	static const char *const names[SYNC_REASON_N] = {
		[SYNC_REASON_CHANGE] = "change",	   [SYNC_REASON_START] = "start",
		[SYNC_REASON_ENVIRONMENT] = "environment", [SYNC_REASON_RETRY] = "retry",
		[SYNC_REASON_REPAIR] = "repair",	   [SYNC_REASON_AUDIT] = "audit",
	};

	return names[reason];
}

static uint64_t system_clock_us(void *data, clockid_t clock)
{
	return clock_read_us(clock);
}

static uint64_t now_us(void *data)
{
	const struct sync *s = data;

	return s->p.clock_us(s->p.clock_data, CLOCK_MONOTONIC);
}

static int64_t wall_us(const struct sync *s)
{
	return (int64_t)s->p.clock_us(s->p.clock_data, CLOCK_REALTIME);
}

uint64_t sync_delay(const struct sync *s)
{
	uint64_t delay = sink_set_delay(&s->sinks, s->random), other;

	if (s->has_rest)
		return 0;
	if (s->is_marked || s->want_full) {
		other = pacer_delay(&s->pacer, now_us((void *)(uintptr_t)s));
		delay = other < delay ? other : delay;
	}
	return delay;
}

static void schedule(struct sync *s)
{
	uint64_t delay_us;

	if (!s->is_started)
		return;
	delay_us = sync_delay(s);
	ev_timer_stop(s->p.loop, &s->timer);
	if (delay_us == UINT64_MAX)
		return;
	ev_now_update(s->p.loop); /* relative to now, not to the start of the iteration */
	ev_timer_set(&s->timer, (double)delay_us / 1e6, 0.);
	ev_timer_start(s->p.loop, &s->timer);
}

static void note_queued(struct sync *s)
{
	int64_t now = wall_us(s);

	for (enum family family = 0; family < FAMILY_N; family++) {
		s->stats.last_queued_us[family] = now;
		if (!s->stats.waits_since_us[family])
			s->stats.waits_since_us[family] = now_us(s);
	}
}

void sync_mark(struct sync *s)
{
	if (!s->is_marked)
		note_queued(s);
	s->is_marked = true;
	schedule(s);
}

static void mark_full(struct sync *s, enum sync_reason reason)
{
	s->want_full = true;
	s->full_reason = reason;
	schedule(s);
}

/* A full run repeats known services, except the first one. */
static void count_changes(struct sync *s, const struct changeset *cs,
			  struct sync_run *run)
{
	bool is_news = !cs->full || run->reason == SYNC_REASON_START;

	for (size_t i = 0; i < cs->n; i++) {
		const struct service *service =
			cs->changes[i].new ? cs->changes[i].new : cs->changes[i].old;

		s->stats.n_changes[service->family] += is_news;
		run->touched[service->family] = true;
	}
}

static bool is_failure(int err)
{
	return err && err != -EREMOTEIO;
}

static void note_run(struct sync *s, struct sync_run *run, bool has_failed)
{
	int64_t now = wall_us(s);

	s->stats.n_runs++;
	s->stats.n_full += run->full;
	s->stats.n_planned += run->n_planned;
	s->stats.n_failures += has_failed;
	for (enum family family = 0; family < FAMILY_N; family++) {
		if (is_failure(run->err))
			continue;
		s->stats.waits_since_us[family] = 0;
		s->stats.last_updated_us[family] = now;
	}
	log_debug("sync: %s%s, %zu planned, %zu changes, plan %.1f ms, apply %.1f ms",
		  sync_reason_name(run->reason), run->full ? " (full)" : "",
		  run->n_planned, run->n_changes, (double)run->plan_us / 1e3,
		  (double)run->apply_us / 1e3);
	if (s->p.ran)
		s->p.ran(s->p.data, run);
	s->stats.ended_us[run->reason] = now;
	s->stats.last = *run;
	s->stats.last.triggers = NULL;
	s->stats.last.n_triggers = 0;
}

/* Plans the dirty Services, and finds out why the run happens. */
static void plan(struct sync *s, struct sync_run *run)
{
	uint64_t start_us = now_us(s);
	unsigned changed = node_info_update(s->p.node_info, s->p.cluster);

	if (changed & NODE_INFO_PLAN)
		cluster_mark_all(s->p.cluster);
	if ((changed & NODE_INFO_ENVIRONMENT) && !s->want_full) {
		s->want_full = true;
		s->full_reason = SYNC_REASON_ENVIRONMENT;
	}
	if (changed)
		node_info_set_state(s->p.node_info, s->state);
	/* A full change set needs every service; others let events run in between. */
	run->n_planned = plan_dirty(s->p.cluster, &s->p.node_info->options, s->state,
				    s->want_full ? SIZE_MAX : SYNC_MAX_PLANNED);
	s->has_rest = cluster_n_dirty(s->p.cluster) > 0;
	run->n_triggers =
		cluster_take_triggers(s->p.cluster, s->triggers, SYNC_MAX_TRIGGERS);
	run->triggers = s->triggers;
	run->plan_us = now_us(s) - start_us;
	run->full = s->want_full;
	if (s->want_full)
		run->reason = s->full_reason;
	else if (state_has_changes(s->state))
		run->reason = SYNC_REASON_CHANGE;
	else if (sink_set_is_changed(&s->sinks))
		run->reason = SYNC_REASON_REPAIR;
	else if (sink_set_delay(&s->sinks, s->random) == 0)
		run->reason = SYNC_REASON_RETRY;
}

static bool apply(struct sync *s, struct sync_run *run)
{
	uint64_t start_us = now_us(s);
	struct state_taken taken = state_take(s->state, run->full);
	struct changeset cs = {
		.full = run->full,
		.env = &s->p.node_info->env,
		.changes = taken.changes,
		.n = taken.n,
		.node_changes = taken.node_changes,
		.n_node_changes = taken.n_node_changes,
	};
	struct sink_set_result result;

	run->n_changes = taken.n;
	count_changes(s, &cs, run);
	result = sink_set_apply(&s->sinks, &cs, s->random);
	state_taken_fini(&taken);
	run->apply_us = now_us(s) - start_us;
	run->err = result.err;
	run->full |= result.is_full;
	return result.has_failed;
}

static uint64_t system_random(void)
{
	uint64_t random = 0;

	return getrandom(&random, sizeof(random), 0) == -1 ? 0 : random;
}

int sync_run(struct sync *s)
{
	uint64_t start_us = now_us(s);
	struct sync_run run = {.reason = SYNC_REASON_CHANGE};
	bool has_changes = s->is_marked || s->want_full, has_failed;

	plan(s, &run);
	s->is_marked = false;
	s->want_full = false;
	has_failed = apply(s, &run);
	run.total_us = now_us(s) - start_us;
	if (has_changes)
		pacer_ran(&s->pacer, now_us(s));
	s->random = s->p.random ? s->p.random(s->p.clock_data) : system_random();
	note_run(s, &run, has_failed);
	/* a full run needs many times the memory that is kept afterwards */
	if (run.full)
		(void)malloc_trim(0);
	schedule(s);
	return run.err;
}

void sync_finish(struct sync *s)
{
	sink_set_finish(&s->sinks);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct sync *s = timer->data;

	(void)sync_run(s); /* failures are logged, counted and retried */
}

static void on_audit(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct sync *s = timer->data;

	mark_full(s, SYNC_REASON_AUDIT);
}

static void on_sinks_changed(void *data)
{
	schedule(data);
}

static void on_refused(void *data, const struct sink *sink, const struct service *service,
		       const char *why)
{
	const struct sync *s = data;

	if (s->p.refused)
		s->p.refused(s->p.data, sink, service, why);
}

static void on_repaired(void *data, const struct sink_repair *repair)
{
	struct sync *s = data;

	s->stats.repaired_us = wall_us(s);
	if (s->p.repaired)
		s->p.repaired(s->p.data, repair);
}

static uint64_t positive_us(int64_t ns)
{
	return ns > 0 ? (uint64_t)ns / NS_PER_US : 0;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

struct sync *sync_new(const struct sync_params *params)
{
	const struct config_rules *rules = config_rules(params->config);
	uint64_t min_us = positive_us(rules->min_sync_period_ns);
	struct sync *s = xcalloc(1, sizeof(*s));

	s->p = *params;
	if (!s->p.clock_us)
		s->p.clock_us = system_clock_us;
	s->state = state_new();
	s->want_full = true;
	s->full_reason = SYNC_REASON_START;
	s->pacer.gap_us = max_u64(min_us, positive_us(params->config->gather_period_ns));
	s->sinks.dataplane = params->dataplane;
	s->sinks.state = s->state;
	s->sinks.now_us = now_us;
	s->sinks.changed = on_sinks_changed;
	s->sinks.refused = on_refused;
	s->sinks.repaired = on_repaired;
	s->sinks.data = s;
	sink_set_init(&s->sinks, max_u64(min_us, FIRST_BACKOFF_US),
		      positive_us(rules->sync_period_ns));
	ev_timer_init(&s->timer, on_timer, 0., 0.);
	ev_timer_init(&s->audit_timer, on_audit, 0., 0.);
	s->timer.data = s->audit_timer.data = s;
	return s;
}

void sync_start(struct sync *s)
{
	double audit_sec = (double)positive_us(s->p.config->audit_period_ns) / 1e6;

	s->is_started = true;
	sink_set_start(&s->sinks, s->p.loop);
	if (audit_sec > 0) {
		ev_timer_set(&s->audit_timer, audit_sec, audit_sec);
		ev_timer_start(s->p.loop, &s->audit_timer);
	}
	schedule(s);
}

void sync_free(struct sync *s)
{
	if (!s)
		return;
	if (s->is_started) {
		ev_timer_stop(s->p.loop, &s->timer);
		ev_timer_stop(s->p.loop, &s->audit_timer);
		sink_set_stop(&s->sinks, s->p.loop);
	}
	sink_set_fini(&s->sinks);
	state_free(s->state);
	free(s);
}

const struct state *sync_state(const struct sync *s)
{
	return s->state;
}

struct sync_stats sync_stats(const struct sync *s)
{
	return s->stats;
}

const struct sink_set *sync_sinks(const struct sync *s)
{
	return &s->sinks;
}

bool sync_is_refused(const struct sync *s, const struct service *service)
{
	const struct dataplane *dp = s->p.dataplane;

	for (size_t i = 0; i < dp->n_sinks; i++)
		if (dp->sinks[i]->is_vital &&
		    refused_has(&s->sinks.states[i].refused, service))
			return true;
	return false;
}

size_t sync_n_pending(const struct sync *s)
{
	return cluster_n_dirty(s->p.cluster);
}
