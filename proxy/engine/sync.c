/*
 * A run: update node_info, plan what is dirty into the state, take the changes,
 * tell each sink.  One timer serves all reasons to run; it is set to the
 * earliest of them after everything that could move it.
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

#include "core/changeset.h"
#include "core/clock.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/pacer.h"
#include "core/state.h"
#include "proxy/config/config.h"
#include "proxy/engine/dataplane.h"
#include "proxy/host/node_info.h"
#include "proxy/engine/repair_pacer.h"
#include "proxy/engine/telling.h"
#include "watchers/cluster.h"

#define NS_PER_US 1000

struct sync {
	struct sync_params p;
	struct state *state;
	struct pacer pacer;
	uint64_t random; /* drawn once a run, so that asking twice gives one answer */

	ev_timer timer;
	ev_timer audit_timer;
	ev_io foreign_io;
	bool is_started, is_marked;
	bool want_full;
	enum sync_reason full_reason;
	struct telling telling;
	struct repair_pacer repair_pacer;

	int64_t triggers[SYNC_MAX_TRIGGERS];
	struct sync_stats stats;
};

const char *sync_reason_name(enum sync_reason reason)
{
	static const char *const names[SYNC_REASON_N] = {
		[SYNC_REASON_CHANGE] = "change",	   [SYNC_REASON_START] = "start",
		[SYNC_REASON_ENVIRONMENT] = "environment", [SYNC_REASON_RETRY] = "retry",
		[SYNC_REASON_FOREIGN] = "foreign change",  [SYNC_REASON_AUDIT] = "audit",
	};

	return names[reason];
}

static uint64_t next_delay(const struct sync *s)
{
	uint64_t now = clock_monotonic_us(), delay = UINT64_MAX, other;

	if (s->is_marked || (s->want_full && s->full_reason != SYNC_REASON_FOREIGN))
		delay = pacer_delay(&s->pacer, now, s->random);
	if (s->want_full && s->full_reason == SYNC_REASON_FOREIGN) {
		other = repair_pacer_delay(&s->repair_pacer, now);
		delay = other < delay ? other : delay;
	}
	if (telling_has_stale(&s->telling)) {
		other = pacer_retry(&s->pacer, now, s->random);
		delay = other < delay ? other : delay;
	}
	return delay;
}

static void schedule(struct sync *s)
{
	uint64_t delay_us;

	if (!s->is_started)
		return;
	delay_us = next_delay(s);
	ev_timer_stop(s->p.loop, &s->timer);
	if (delay_us == UINT64_MAX)
		return;
	ev_now_update(s->p.loop); /* relative to now, not to the turn's begin */
	ev_timer_set(&s->timer, (double)delay_us / 1e6, 0.);
	ev_timer_start(s->p.loop, &s->timer);
}

static void note_queued(struct sync *s)
{
	int64_t now = clock_wall_us();

	for (enum family family = 0; family < FAMILY_N; family++) {
		s->stats.last_queued_us[family] = now;
		if (!s->stats.oldest_queued_us[family])
			s->stats.oldest_queued_us[family] = now;
	}
}

void sync_mark(struct sync *s)
{
	if (!s->is_marked)
		note_queued(s);
	s->is_marked = true;
	schedule(s);
}

void sync_mark_full(struct sync *s, enum sync_reason reason)
{
	/* a repair is the most urgent one and keeps its name */
	if (!s->want_full || s->full_reason != SYNC_REASON_FOREIGN)
		s->full_reason = reason;
	s->want_full = true;
	schedule(s);
}

/* What a later full run tells is not news. */
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

static void note_run(struct sync *s, struct sync_run *run)
{
	int64_t now = clock_wall_us();

	s->stats.n_runs++;
	s->stats.n_full += run->full;
	s->stats.n_planned += run->n_planned;
	s->stats.n_failures += run->err != 0 && run->err != -EREMOTEIO;
	for (enum family family = 0; family < FAMILY_N; family++) {
		if (run->err != 0 && run->err != -EREMOTEIO)
			continue;
		s->stats.oldest_queued_us[family] = 0;
		s->stats.last_updated_us[family] = now;
	}
	log_debug("sync: %s%s, %zu planned, %zu changes, plan %.1f ms, apply %.1f ms",
		  sync_reason_name(run->reason), run->full ? " (full)" : "",
		  run->n_planned, run->n_changes, (double)run->plan_us / 1e3,
		  (double)run->apply_us / 1e3);
	if (s->p.ran)
		s->p.ran(s->p.data, run);
	s->stats.last = *run;
	s->stats.last.triggers = NULL;
	s->stats.last.n_triggers = 0;
}

/* Each repair soon after another makes the next one wait longer. */
static void note_repair(struct sync *s)
{
	s->stats.n_repairs++;
	if (repair_pacer_ran(&s->repair_pacer, clock_monotonic_us()))
		log_warn("%s: somebody else changed our rules; repaired in %.1f ms",
			 s->p.dataplane->mode, (double)s->stats.last.total_us / 1e3);
	else
		log_warn("%s: somebody else keeps changing our rules; repairing once "
			 "a second",
			 s->p.dataplane->mode);
}

/* Plans what is dirty; what the run will be comes out. */
static void plan(struct sync *s, struct sync_run *run)
{
	uint64_t start_us = clock_monotonic_us();
	unsigned changed = node_info_update(s->p.node_info, s->p.cluster);

	if (changed & NODE_INFO_PLAN)
		cluster_mark_all(s->p.cluster);
	if ((changed & NODE_INFO_ENVIRONMENT) && !s->want_full) {
		s->want_full = true;
		s->full_reason = SYNC_REASON_ENVIRONMENT;
	}
	run->n_planned =
		plan_dirty(s->p.cluster, &s->p.node_info->options, s->state, SIZE_MAX);
	run->n_triggers =
		cluster_take_triggers(s->p.cluster, s->triggers, SYNC_MAX_TRIGGERS);
	run->triggers = s->triggers;
	run->plan_us = clock_monotonic_us() - start_us;
	run->full = s->want_full;
	if (s->want_full)
		run->reason = s->full_reason;
	else if (!state_has_changes(s->state) && telling_has_stale(&s->telling))
		run->reason = SYNC_REASON_RETRY;
}

static int apply(struct sync *s, struct sync_run *run)
{
	uint64_t start_us = clock_monotonic_us();
	struct state_taken taken = state_take(s->state, run->full);
	struct changeset cs = {
		.full = run->full,
		.env = &s->p.node_info->env,
		.changes = taken.changes,
		.n = taken.n,
	};

	run->n_changes = taken.n;
	count_changes(s, &cs, run);
	run->err = telling_tell(&s->telling, &cs);
	state_taken_fini(&taken);
	run->apply_us = clock_monotonic_us() - start_us;
	return run->err;
}

int sync_run(struct sync *s)
{
	uint64_t start_us = clock_monotonic_us();
	struct sync_run run = {.reason = SYNC_REASON_CHANGE};
	bool is_repair;

	plan(s, &run);
	s->is_marked = false;
	s->want_full = false;
	is_repair = run.full && run.reason == SYNC_REASON_FOREIGN;
	(void)apply(s, &run);
	run.total_us = clock_monotonic_us() - start_us;
	pacer_ran(&s->pacer, clock_monotonic_us(), run.err);
	if (getrandom(&s->random, sizeof(s->random), 0) == -1)
		s->random = 0;
	note_run(s, &run);
	if (is_repair)
		note_repair(s);
	/* a full run's working memory is many times what stays */
	if (run.full)
		(void)malloc_trim(0);
	schedule(s);
	return run.err;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct sync *s = timer->data;

	(void)loop;
	(void)revents;
	(void)sync_run(s); /* told and counted inside, and tried again */
}

static void on_audit(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct sync *s = timer->data;

	(void)loop;
	(void)revents;
	sync_mark_full(s, SYNC_REASON_AUDIT);
}

static void on_foreign(struct ev_loop *loop, ev_io *io, int revents)
{
	struct sync *s = io->data;
	struct dataplane *dp = s->p.dataplane;

	(void)loop;
	(void)revents;
	if (dp->drain(dp->sinks[0]))
		sync_mark_full(s, SYNC_REASON_FOREIGN);
}

static uint64_t positive_us(int64_t ns)
{
	return ns > 0 ? (uint64_t)ns / NS_PER_US : 0;
}

struct sync *sync_new(const struct sync_params *params)
{
	const struct config_rules *rules = config_rules(params->config);
	struct sync *s = xcalloc(1, sizeof(*s));

	s->p = *params;
	s->state = state_new();
	s->telling = (struct telling){
		.dataplane = params->dataplane,
		.state = s->state,
		.retry_us = positive_us(rules->sync_period_ns),
	};
	s->want_full = true;
	s->full_reason = SYNC_REASON_START;
	pacer_init(&s->pacer, positive_us(rules->min_sync_period_ns),
		   positive_us(params->config->gather_period_ns),
		   positive_us(rules->sync_period_ns));
	ev_timer_init(&s->timer, on_timer, 0., 0.);
	ev_timer_init(&s->audit_timer, on_audit, 0., 0.);
	s->timer.data = s->audit_timer.data = s;
	return s;
}

static void start_foreign(struct sync *s)
{
	const struct dataplane *dp = s->p.dataplane;
	int fd = dp->fd && dp->drain ? dp->fd(dp->sinks[0]) : -1;

	if (fd < 0)
		return;
	ev_io_init(&s->foreign_io, on_foreign, fd, EV_READ);
	s->foreign_io.data = s;
	ev_io_start(s->p.loop, &s->foreign_io);
}

void sync_start(struct sync *s)
{
	double audit_sec = (double)positive_us(s->p.config->audit_period_ns) / 1e6;

	s->is_started = true;
	start_foreign(s);
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
		ev_io_stop(s->p.loop, &s->foreign_io);
	}
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

size_t sync_n_pending(const struct sync *s)
{
	return cluster_n_dirty(s->p.cluster);
}
