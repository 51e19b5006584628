/*
 * The sink: flow_match computes what a change set means for UDP flows, then
 * conntrack is pruned in the families concerned.  A change that cannot have
 * made a flow stale costs no dump.
 *
 * Some of our rules may have been missing before a full change set.  Then the
 * sink also looks for connections that were opened meanwhile.
 *
 * apply() starts the first pass, and work() does the rest.  Change sets that come
 * meanwhile add to what is looked for, and make the passes due that they need.
 */
#include "rules/conntrack/stale_flows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/histogram.h"
#include "core/mem.h"
#include "rules/conntrack/conntrack.h"
#include "rules/conntrack/flow_census.h"
#include "rules/conntrack/flow_frontends.h"
#include "rules/conntrack/flow_match.h"

struct stale_flows {
	struct sink sink;
	struct conntrack *conntrack;
	struct flow_match *match;
	struct flow_frontends frontends;
	bool is_due[CONNTRACK_SCOPE_N][FAMILY_N];
	bool is_running;
	struct conntrack_pass pass; /* while running */
	uint64_t start_us;	    /* of the first pass */
	struct stale_flows_stats stats;
	bool is_counting; /* a census */
	struct histogram_bounds bounds;
	struct histogram seconds; /* of the change sets that needed a dump */
};

static bool is_stale(void *data, const struct flow *flow)
{
	return flow_match_is_stale(((struct stale_flows *)data)->match, flow);
}

static bool is_lost(void *data, const struct flow *flow)
{
	return flow_frontends_is_lost(&((struct stale_flows *)data)->frontends, flow);
}

static int finish(struct stale_flows *s, int err)
{
	memset(s->is_due, 0, sizeof(s->is_due));
	flow_match_end(s->match, err == 0);
	flow_frontends_fini(&s->frontends);
	if (s->is_running)
		histogram_observe(&s->seconds, &s->bounds,
				  (double)(clock_monotonic_us() - s->start_us) / 1e6);
	s->is_running = false;
	return err;
}

static int start_pass(struct stale_flows *s, enum conntrack_scope scope,
		      enum family family)
{
	int err;

	s->is_due[scope][family] = false;
	s->is_running = true;
	s->pass = (struct conntrack_pass){
		.family = family,
		.scope = scope,
		.is_unwanted = scope == CONNTRACK_UDP ? is_stale : is_lost,
		.data = s,
	};
	s->stats.n_dumps++;
	err = conntrack_prune(s->conntrack, &s->pass);
	return err < 0 ? finish(s, err) : -EINPROGRESS;
}

static int start_next(struct stale_flows *s)
{
	for (unsigned scope = 0; scope < CONNTRACK_SCOPE_N; scope++)
		for (unsigned family = 0; family < FAMILY_N; family++)
			if (s->is_due[scope][family])
				return start_pass(s, scope, family);
	return finish(s, 0);
}

static int stale_flows_apply(struct sink *sink, const struct changeset *cs)
{
	struct stale_flows *s = container_of(sink, struct stale_flows, sink);
	bool may_be_stale = flow_match_begin(s->match, cs);

	if (cs->full)
		flow_frontends_set(&s->frontends, cs);
	for (unsigned family = 0; family < FAMILY_N; family++) {
		if (!cs->env->enabled[family])
			continue;
		s->is_due[CONNTRACK_UDP][family] |=
			may_be_stale && flow_match_has_family(s->match, family);
		s->is_due[CONNTRACK_OPENING][family] |= cs->full;
	}
	if (s->is_running)
		return -EINPROGRESS;
	s->start_us = clock_monotonic_us();
	return start_next(s);
}

static int stale_flows_work_fd(const struct sink *sink)
{
	return conntrack_fd(container_of(sink, struct stale_flows, sink)->conntrack);
}

static int stale_flows_work(struct sink *sink)
{
	struct stale_flows *s = container_of(sink, struct stale_flows, sink);
	int err = s->is_running ? conntrack_step(s->conntrack) : 0;

	if (!s->is_running || err == -EINPROGRESS)
		return err;
	s->stats.n_deleted[s->pass.family] += conntrack_n_deleted(s->conntrack);
	return err < 0 ? finish(s, err) : start_next(s);
}

static void stale_flows_close(struct sink *sink)
{
	struct stale_flows *s = container_of(sink, struct stale_flows, sink);

	conntrack_close(s->conntrack);
	flow_frontends_fini(&s->frontends);
	flow_match_free(s->match);
	free(s);
}

/* A run has both families: each shows the same durations. */
static void stale_flows_report(const struct sink *sink,
			       void (*fn)(void *data, const struct sink_stat *stat),
			       void *data)
{
	const struct stale_flows *s = container_of(sink, struct stale_flows, sink);
	struct sink_stat seconds = {
		.name = "kubeproxy_conntrack_reconciler_sync_duration_seconds",
		.help = "ReconcileConntrackFlowsLatency latency in seconds",
		.kind = SINK_HISTOGRAM,
		.is_of_family = true,
		.histogram = &s->seconds,
		.bounds = &s->bounds,
	};
	struct sink_stat deleted = {
		.name = "kubeproxy_conntrack_reconciler_deleted_entries_total",
		.help = "Cumulative conntrack flows deleted by conntrack reconciler",
		.is_of_family = true,
	};

	for (seconds.family = 0; seconds.family < FAMILY_N; seconds.family++)
		fn(data, &seconds);
	for (deleted.family = 0; deleted.family < FAMILY_N; deleted.family++) {
		deleted.value = (double)s->stats.n_deleted[deleted.family];
		fn(data, &deleted);
	}
}

static struct sink_census *stale_flows_census(struct sink *sink,
					      const struct changeset *of)
{
	return flow_census_new(
		of, &container_of(sink, struct stale_flows, sink)->is_counting);
}

static const struct sink_view stale_flows_view = {
	.census = stale_flows_census,
	.stats = stale_flows_report,
};

static const struct sink_ops stale_flows_ops = {
	.name = "conntrack",
	.apply = stale_flows_apply,
	.close = stale_flows_close,
	.work_fd = stale_flows_work_fd,
	.work = stale_flows_work,
	.view = &stale_flows_view,
};

int stale_flows_new(struct sink **ret)
{
	struct conntrack *conntrack;
	struct stale_flows *s;
	int err;

	err = conntrack_open(&conntrack);
	if (err < 0)
		return err;
	s = xcalloc(1, sizeof(*s));
	s->conntrack = conntrack;
	s->sink.ops = &stale_flows_ops;
	s->sink.follows_repair = true; /* rules were missing */
	s->match = flow_match_new();
	s->bounds = histogram_exponential(0.001, 2, 15); /* as kube-proxy's */
	*ret = &s->sink;
	return 0;
}

struct stale_flows_stats stale_flows_stats(const struct sink *sink)
{
	const struct stale_flows *s = container_of(sink, struct stale_flows, sink);

	return s->stats;
}
