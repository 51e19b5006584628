/*
 * A run of the sinks, one after the other.
 *
 * A sink that refused services still gets deltas.  In these, the old value of a
 * refused service is NULL, for the sink holds nothing of it.  When a delta is
 * refused in part for the first time, a full change set follows: either the
 * kernel refuses the service, or the sink's knowledge of the kernel is wrong.
 */
#include "proxy/engine/sink_set.h"

#include <errno.h>
#include <stdlib.h>

#include "core/changeset.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "core/sink.h"
#include "proxy/engine/full_changes.h"

struct run {
	struct sink_set *set;
	const struct changeset *delta;
	uint64_t random;
	struct full_changes all; /* made when needed */
	struct sink_set_result result;
};

static uint64_t now_us(const struct run *run)
{
	return run->set->now_us(run->set->data);
}

/* err: of the sink, other than -ESTALE. Work that it left is not an error. */
static int settle(struct run *run, struct sink_state *s, int err)
{
	s->is_working = err == -EINPROGRESS;
	s->is_stale = false;
	if (s->is_working)
		err = 0;
	else
		sink_state_note_result(s, err);
	if (sink_check(sink_state_sink(s)))
		s->is_changed = true;
	if (sink_state_sink(s)->is_vital)
		run->result.has_failed |= err && err != -EREMOTEIO;
	return err;
}

static void repair_followers(const struct sink_state *s)
{
	const struct dataplane *dp = s->set->dataplane;

	for (size_t i = 0; i < dp->n_sinks; i++)
		if (dp->sinks[i]->follows_repair &&
		    dp->sinks[i]->after == sink_state_sink(s))
			s->set->states[i].is_stale = true;
}

static int apply_full(struct run *run, struct sink_state *s)
{
	uint64_t start_us = now_us(run);
	const struct changeset *cs = run->delta;
	/* changes that were reported until now are covered */
	bool is_repair = sink_check(sink_state_sink(s)) || s->is_changed;
	int err;

	if (!cs->full) {
		if (!run->all.cs.full)
			full_changes_init(&run->all, s->set->state, cs->env);
		cs = &run->all.cs;
	}
	run->result.is_full |= sink_state_sink(s)->is_vital;
	s->is_changed = false;
	err = sink_state_apply(s, cs);
	if (err == -ESTALE) /* only a delta can be refused for that */
		err = -EBUSY;
	err = settle(run, s, err);
	if (err && err != -EREMOTEIO)
		return err;
	sink_state_settle_refused(s, cs);
	refused_settle_all(&s->refused); /* others no longer exist */
	sink_state_pace_refused(s);
	if (is_repair) {
		sink_state_note_repair(s, start_us);
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
		err = sink_state_apply(s, &cs);
	if (err == -ESTALE)
		return apply_full(run, s);
	if (has_changes)
		err = settle(run, s, err);
	if (err && err != -EREMOTEIO)
		return err;
	sink_state_settle_refused(s, delta);
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
	sink_state_pace_refused(s);
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
	    backoff_delay(&s->refused_backoff, now_us(run), run->random) == 0)
		retry_err = retry_refused(run, s);
	return retry_err ? retry_err : err;
}

static int apply_due(struct run *run, struct sink_state *s)
{
	bool has_changes = has_news(run->delta);

	if (sink_state_must_wait(s)) {
		s->is_stale |= has_changes;
		return s->err;
	}
	if (s->is_stale && s->backoff.wait_us && sink_state_delay(s, run->random) > 0)
		return s->err;
	if (s->is_stale || run->delta->full || (s->is_changed && has_changes))
		return apply_full(run, s);
	if (s->is_changed && repair_pacer_delay(&s->repair, now_us(run)) == 0)
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
