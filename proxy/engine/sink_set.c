/*
 * A sink that refused services still gets deltas.  In these, the old value of a
 * refused service is NULL, for the sink holds nothing of it.  When a delta is
 * refused in part for the first time, a full change set follows: either the
 * kernel refuses the service, or the sink's knowledge of the kernel is wrong.
 */
#include "proxy/engine/sink_set.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/engine/full_changes.h"

#define REFUSED_LOG_MAX 20	  /* lines for a change set */
#define REPAIR_LINES	5	  /* lines about repairs in one go, */
#define REPAIR_LINE_US	60000000u /* and then one in this time, with their number */

struct run {
	struct sink_set *set;
	const struct changeset *delta;
	uint64_t random;
	struct full_changes all; /* made when needed */
	struct sink_set_result result;
};

static uint64_t now_us(const struct sink_set *set)
{
	return set->now_us(set->data);
}

static struct sink *sink_of(const struct sink_state *s)
{
	return s->set->dataplane->sinks[s - s->set->states];
}

/* The sink that must be up to date first; NULL: none. */
static const struct sink_state *after_of(const struct sink_state *s)
{
	const struct dataplane *dp = s->set->dataplane;

	for (size_t i = 0; i < dp->n_sinks; i++)
		if (dp->sinks[i] == sink_of(s)->after)
			return &s->set->states[i];
	return NULL;
}

static bool must_wait(const struct sink_state *s)
{
	const struct sink_state *after = after_of(s);

	return after && after->is_stale;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Until it is due without a change. */
static uint64_t delay(const struct sink_state *s, uint64_t random)
{
	uint64_t now = now_us(s->set), delay_us = UINT64_MAX;

	if (must_wait(s))
		return UINT64_MAX;
	if (s->is_stale)
		return backoff_delay(&s->backoff, now, random);
	if (s->is_changed)
		delay_us = repair_pacer_delay(&s->repair, now);
	if (refused_n(&s->refused))
		delay_us = min_u64(delay_us,
				   backoff_delay(&s->refused_backoff, now, random));
	return delay_us;
}

uint64_t sink_set_delay(const struct sink_set *set, uint64_t random)
{
	uint64_t delay_us = UINT64_MAX;

	for (size_t i = 0; i < set->dataplane->n_sinks; i++)
		delay_us = min_u64(delay_us, delay(&set->states[i], random));
	return delay_us;
}

bool sink_set_is_changed(const struct sink_set *set)
{
	for (size_t i = 0; i < set->dataplane->n_sinks; i++)
		if (set->states[i].is_changed)
			return true;
	return false;
}

/* Logged when it starts to fail, not at each try. */
static void note_failure(struct sink_state *s, int err)
{
	const struct sink *sink = sink_of(s);

	if (s->err != err)
		log_line(sink->is_vital ? LOG_LEVEL_ERR : LOG_LEVEL_WARN,
			 "%s: could not apply changes: %s; retrying with growing pauses, "
			 "up to "
			 "%.0f s",
			 sink->ops->name, strerror(-err),
			 (double)s->backoff.max_us / 1e6);
	if (!s->err)
		s->failed_us = now_us(s->set);
	s->err = err;
	s->is_stale = true;
	s->n_failures++;
}

static void note_success(struct sink_state *s)
{
	if (s->err)
		log_info("%s: up to date again after %.1f s", sink_of(s)->ops->name,
			 (double)(now_us(s->set) - s->failed_us) / 1e6);
	s->err = 0;
}

static void note_repair(struct sink_state *s, uint64_t start_us)
{
	const struct sink_ops *ops = sink_of(s)->ops;
	const char *by = sink_changed_by(sink_of(s)), *what = sink_restored(sink_of(s));
	uint64_t now = now_us(s->set);
	const struct log_fields fields = {.reason = "Repaired",
					  .duration_ms = (double)(now - start_us) / 1e3};
	size_t n_unlogged;

	if (!by)
		by = "another process";
	s->n_repairs++;
	repair_pacer_ran(&s->repair, now);
	if (!log_limiter_take(&s->repair_lines, 1, now))
		return;
	n_unlogged = log_limiter_suppressed(&s->repair_lines);
	if (!n_unlogged)
		log_line_with(LOG_LEVEL_WARN, &fields,
			      "%s: %s changed %s; checked and restored in %.1f ms%s%s",
			      ops->name, by, ops->made, fields.duration_ms,
			      *what ? ": " : "", what);
	else
		log_line_with(LOG_LEVEL_WARN, &fields,
			      "%s: %s keeps changing %s; checked and restored %zu times "
			      "since the last such line",
			      ops->name, by, ops->made, n_unlogged + 1);
}

static void report_refused(const struct sink_state *s, const struct service *service,
			   const char *why)
{
	if (s->set->refused)
		s->set->refused(s->set->data, sink_of(s), service, why);
}

static void on_refused(void *data, const struct service *service, const char *why)
{
	struct sink_state *s = data;
	char label[512];

	if (!refused_put(&s->refused, service, why))
		return;
	s->has_new_refused = true;
	s->n_refused++;
	report_refused(s, service, why ? why : "");
	if (why && s->n_logged++ < REFUSED_LOG_MAX)
		log_line_with(LOG_LEVEL_WARN,
			      &(struct log_fields){.service =
							   service_label(service, label,
									 sizeof(label)),
						   .family = family_name(service->family),
						   .reason = "Refused"},
			      "%s: service %s %s %s: %s; it is left out and retried",
			      sink_of(s)->ops->name, label, proto_name(service->proto),
			      family_name(service->family), why);
}

/* The result of apply(), or of the work that it left. */
static void note_result(struct sink_state *s, int err)
{
	bool is_held = !err || err == -EREMOTEIO;

	if (is_held)
		note_success(s);
	else
		note_failure(s, err);
	backoff_ran(&s->backoff, now_us(s->set), !is_held);
}

/* err: of the sink, other than -ESTALE. Work that it left is not an error. */
static int settle(struct run *run, struct sink_state *s, int err)
{
	s->is_working = err == -EINPROGRESS;
	s->is_stale = false;
	if (s->is_working)
		err = 0;
	else
		note_result(s, err);
	if (sink_check(sink_of(s)))
		s->is_changed = true;
	if (sink_of(s)->is_vital)
		run->result.has_failed |= err && err != -EREMOTEIO;
	return err;
}

static int apply(struct sink_state *s, const struct changeset *cs)
{
	struct changeset with_refuse = *cs;

	with_refuse.refuse = on_refused;
	with_refuse.data = s;
	s->has_new_refused = false;
	s->n_logged = 0;
	refused_start_round(&s->refused);
	return sink_apply(sink_of(s), &with_refuse);
}

/* The services of this change set that are no longer refused. */
static void settle_refused(struct sink_state *s, const struct changeset *cs)
{
	for (size_t i = 0; i < cs->n && refused_n(&s->refused); i++) {
		const struct change *c = &cs->changes[i];

		if (refused_settle(&s->refused, c->new ? c->new : c->old) && c->new)
			report_refused(s, c->new, NULL);
	}
}

static void pace_refused(struct sink_state *s)
{
	backoff_ran(&s->refused_backoff, now_us(s->set), refused_n(&s->refused) > 0);
}

static void repair_followers(const struct sink_state *s)
{
	const struct dataplane *dp = s->set->dataplane;

	for (size_t i = 0; i < dp->n_sinks; i++)
		if (dp->sinks[i]->follows_repair && dp->sinks[i]->after == sink_of(s))
			s->set->states[i].is_stale = true;
}

static int apply_full(struct run *run, struct sink_state *s)
{
	uint64_t start_us = now_us(s->set);
	const struct changeset *cs = run->delta;
	/* changes that were reported until now are covered */
	bool is_repair = sink_check(sink_of(s)) || s->is_changed;
	int err;

	if (!cs->full) {
		if (!run->all.cs.full)
			full_changes_init(&run->all, s->set->state, cs->env);
		cs = &run->all.cs;
	}
	run->result.is_full |= sink_of(s)->is_vital;
	s->is_changed = false;
	err = apply(s, cs);
	if (err == -ESTALE) /* only a delta can be refused for that */
		err = -EBUSY;
	err = settle(run, s, err);
	if (err && err != -EREMOTEIO)
		return err;
	settle_refused(s, cs);
	refused_settle_all(&s->refused); /* others no longer exist */
	pace_refused(s);
	if (is_repair) {
		note_repair(s, start_us);
		repair_followers(s);
	}
	return err;
}

static bool has_news(const struct changeset *cs)
{
	return cs->full || cs->n || cs->n_node_changes;
}

/* As the sink sees it. False: it never held the service, and need not. */
static bool translate(const struct sink_state *s, const struct change *change,
		      struct change *ret)
{
	const struct service *any = change->new ? change->new : change->old;

	*ret = *change;
	if (refused_has(&s->refused, any))
		ret->old = NULL;
	return ret->old || ret->new;
}

static int apply_delta(struct run *run, struct sink_state *s,
		       const struct changeset *delta)
{
	_cleanup_(freep) struct change *seen = xcalloc(delta->n, sizeof(*seen));
	struct changeset cs = *delta;
	bool has_changes;
	int err = 0;

	cs.changes = seen;
	cs.n = 0;
	for (size_t i = 0; i < delta->n; i++)
		cs.n += translate(s, &delta->changes[i], &seen[cs.n]);
	has_changes = has_news(&cs);
	refused_start_round(&s->refused);
	if (has_changes)
		err = apply(s, &cs);
	if (err == -ESTALE)
		return apply_full(run, s);
	if (has_changes)
		err = settle(run, s, err);
	if (err && err != -EREMOTEIO)
		return err;
	settle_refused(s, delta);
	if (!has_changes || !s->has_new_refused)
		return err;
	s->refused_backoff.wait_us = 0; /* the new ones are tried soon */
	return apply_full(run, s);
}

static int retry_refused(struct run *run, struct sink_state *s)
{
	size_t n = 0;
	_cleanup_(freep) struct change *changes =
		xcalloc(refused_n(&s->refused), sizeof(*changes));
	const struct service *service;
	int err;

	/* references: an accepted one is removed from the list on the way */
	for (size_t i = 0; (service = refused_next(&s->refused, &i));)
		changes[n++].new = service_ref(service);
	err = apply_delta(run, s,
			  &(struct changeset){
				  .env = run->delta->env,
				  .changes = changes,
				  .n = n,
			  });
	pace_refused(s);
	for (size_t i = 0; i < n; i++)
		service_unref((struct service *)(uintptr_t)changes[i].new);
	return err;
}

/* 0, or the error of a sink that is up to date for its changes and retries. */
static int apply_changes(struct run *run, struct sink_state *s)
{
	const struct changeset *cs = run->delta;
	int err = 0, retry_err = 0;

	if (has_news(cs))
		err = apply_delta(run, s, cs);
	if (!s->is_stale && !s->is_changed && refused_n(&s->refused) &&
	    backoff_delay(&s->refused_backoff, now_us(s->set), run->random) == 0)
		retry_err = retry_refused(run, s);
	return retry_err ? retry_err : err;
}

static int apply_due(struct run *run, struct sink_state *s)
{
	bool has_changes = has_news(run->delta);

	if (must_wait(s)) {
		s->is_stale |= has_changes;
		return s->err;
	}
	if (s->is_stale && s->backoff.wait_us && delay(s, run->random) > 0)
		return s->err;
	if (s->is_stale || run->delta->full || (s->is_changed && has_changes))
		return apply_full(run, s);
	if (s->is_changed && repair_pacer_delay(&s->repair, now_us(s->set)) == 0)
		return apply_full(run, s);
	return apply_changes(run, s);
}

struct sink_set_result sink_set_apply(struct sink_set *set, const struct changeset *cs,
				      uint64_t random)
{
	struct run run = {.set = set, .delta = cs, .random = random};
	struct sink_set_result *result = &run.result;

	for (size_t i = 0; i < set->dataplane->n_sinks; i++) {
		int err = apply_due(&run, &set->states[i]);

		if (!set->dataplane->sinks[i]->is_vital || !err)
			continue;
		if (!result->err || (result->err == -EREMOTEIO && err != -EREMOTEIO))
			result->err = err;
	}
	full_changes_fini(&run.all);
	return *result;
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	struct sink_state *s = io->data;

	if (!sink_check(sink_of(s)))
		return;
	s->is_changed = true;
	s->set->changed(s->set->data);
}

static void work(struct sink_state *s)
{
	int err = sink_of(s)->ops->work(sink_of(s));

	if (!s->is_working || err == -EINPROGRESS)
		return;
	s->is_working = false;
	note_result(s, err);
	s->set->changed(s->set->data);
}

static void on_work(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)loop;
	(void)revents;
	work(io->data);
}

static void finish(struct sink_state *s)
{
	while (s->is_working) {
		struct pollfd fd = {
			.fd = sink_of(s)->ops->work_fd(sink_of(s)),
			.events = POLLIN,
		};

		(void)poll(&fd, 1, -1);
		work(s);
	}
}

void sink_set_finish(struct sink_set *set)
{
	for (size_t i = 0; i < set->dataplane->n_sinks; i++)
		finish(&set->states[i]);
}

void sink_set_init(struct sink_set *set, uint64_t first_backoff_us,
		   uint64_t max_backoff_us)
{
	const struct backoff backoff = {
		.first_us = first_backoff_us,
		.max_us = max_backoff_us,
	};

	for (size_t i = 0; i < DATAPLANE_MAX_SINKS; i++) {
		struct sink_state *s = &set->states[i];

		*s = (struct sink_state){
			.set = set,
			.is_stale = true,
			.backoff = backoff,
			.refused_backoff = backoff,
			.repair_lines = {.burst = REPAIR_LINES,
					 .interval_us = REPAIR_LINE_US},
		};
		refused_init(&s->refused);
	}
}

void sink_set_fini(struct sink_set *set)
{
	for (size_t i = 0; i < DATAPLANE_MAX_SINKS; i++)
		refused_fini(&set->states[i].refused);
}

static void watch(struct ev_loop *loop, struct sink_state *s, ev_io *io,
		  void (*fn)(struct ev_loop *loop, ev_io *io, int revents), int fd)
{
	if (fd < 0)
		return;
	ev_io_init(io, fn, fd, EV_READ);
	io->data = s;
	ev_io_start(loop, io);
}

void sink_set_start(struct sink_set *set, struct ev_loop *loop)
{
	for (size_t i = 0; i < set->dataplane->n_sinks; i++) {
		struct sink_state *s = &set->states[i];
		const struct sink *sink = set->dataplane->sinks[i];

		watch(loop, s, &s->io, on_io, sink_fd(sink));
		if (sink->ops->work)
			watch(loop, s, &s->work_io, on_work, sink->ops->work_fd(sink));
	}
}

void sink_set_stop(struct sink_set *set, struct ev_loop *loop)
{
	for (size_t i = 0; i < DATAPLANE_MAX_SINKS; i++) {
		ev_io_stop(loop, &set->states[i].io);
		ev_io_stop(loop, &set->states[i].work_io);
	}
}
