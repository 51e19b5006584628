#include "proxy/engine/counts_timer.h"

#include <stdint.h>

#include "core/changeset.h"
#include "core/clock.h"
#include "core/sink_view.h"
#include "core/state.h"
#include "proxy/engine/counts.h"

#define ROUND_SEC  10.
#define PAUSE_SEC  0.005 /* between two steps */
#define STEP_MAX   100	 /* services */
#define STEP_COUNT 200	 /* counters, of one service at least */

struct step {
	struct change changes[STEP_MAX];
	struct changeset of;
};

/* The next services; true if there are more. */
static bool fill(struct counts_timer *t, struct step *step)
{
	const struct service *s;
	size_t n_counters = 0;

	while (step->of.n < STEP_MAX && n_counters < STEP_COUNT) {
		s = state_next(t->state, &t->next);
		if (!s)
			return false;
		step->changes[step->of.n++].new = s;
		n_counters += s->n_frontends;
	}
	return true;
}

/*
 * Where there were connections, also such that another reading has seen, without
 * endpoints; those of a very large service are read on request only.
 */
static void read_endpoints(const struct counts_timer *t, const struct step *step)
{
	struct step busy = {.of = {.env = t->env, .changes = busy.changes}};
	size_t n_counters = 0;

	for (size_t i = 0; i < step->of.n; i++) {
		const struct service *s = step->changes[i].new;
		size_t n = (size_t)s->n_frontends * s->n_endpoints;

		if (!counts_lack_endpoints(t->counts, s) || n > STEP_COUNT)
			continue;
		if (n_counters + n > STEP_COUNT) {
			(void)counts_read(t->counts, &busy.of, true);
			busy.of.n = n_counters = 0;
		}
		busy.changes[busy.of.n++].new = s;
		n_counters += n;
	}
	if (busy.of.n)
		(void)counts_read(t->counts, &busy.of, true);
}

/* True if the round continues. */
static bool run(struct counts_timer *t)
{
	struct step step = {.of = {.env = t->env, .changes = step.changes}};
	bool has_more = fill(t, &step);

	if (step.of.n && counts_measure(t->counts, &step.of, clock_monotonic_us()))
		read_endpoints(t, &step);
	return has_more;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct counts_timer *t = timer->data;
	double rest;

	(void)revents;
	if (t->next == 0)
		t->started_us = clock_monotonic_us();
	if (run(t)) {
		timer->repeat = PAUSE_SEC;
	} else {
		counts_end_round(t->counts, clock_monotonic_us());
		t->next = 0;
		rest = ROUND_SEC - (double)(clock_monotonic_us() - t->started_us) / 1e6;
		timer->repeat = rest > 1. ? rest : 1.;
	}
	ev_timer_again(loop, timer);
}

void counts_timer_init(struct counts_timer *t, struct counts *counts,
		       const struct state *state, const struct environment *env)
{
	*t = (struct counts_timer){.counts = counts, .state = state, .env = env};
	ev_init(&t->timer, on_timer);
	t->timer.data = t;
}

void counts_timer_start(struct counts_timer *t, struct ev_loop *loop)
{
	t->timer.repeat = 1.;
	ev_timer_again(loop, &t->timer);
}

void counts_timer_stop(struct counts_timer *t, struct ev_loop *loop)
{
	ev_timer_stop(loop, &t->timer);
}
