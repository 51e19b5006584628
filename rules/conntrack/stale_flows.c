/*
 * The sink: flow_match computes what a change set means for UDP flows, then
 * conntrack is pruned in the families concerned.  A change that cannot have
 * made a flow stale costs no dump.
 *
 * Some of our rules may have been missing before a full change set.  Then the
 * sink also looks for connections that were opened meanwhile.
 */
#include "rules/conntrack/stale_flows.h"

#include <stdlib.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/histogram.h"
#include "core/mem.h"
#include "rules/conntrack/conntrack.h"
#include "rules/conntrack/flow_frontends.h"
#include "rules/conntrack/flow_match.h"

struct stale_flows {
	struct sink sink;
	struct flow_match *match;
	struct stale_flows_stats stats;
	struct histogram_bounds bounds;
	struct histogram seconds; /* of the change sets that needed a dump */
};

static bool is_stale(void *data, const struct flow *flow)
{
	return flow_match_is_stale(data, flow);
}

static bool is_lost(void *data, const struct flow *flow)
{
	return flow_frontends_is_lost(data, flow);
}

static int prune(struct stale_flows *s, enum family family, enum conntrack_scope scope,
		 bool (*is_unwanted)(void *data, const struct flow *flow), void *data)
{
	uint64_t n_deleted = 0;
	int err = conntrack_prune(family, scope, is_unwanted, data, &n_deleted);

	s->stats.n_dumps++;
	s->stats.n_deleted[family] += n_deleted;
	return err;
}

static int prune_stale(struct stale_flows *s, const struct changeset *cs)
{
	int err = 0;

	for (enum family family = 0; family < FAMILY_N && err == 0; family++)
		if (cs->env->enabled[family] && flow_match_has_family(s->match, family))
			err = prune(s, family, CONNTRACK_UDP, is_stale, s->match);
	return err;
}

static int prune_lost(struct stale_flows *s, const struct changeset *cs)
{
	struct flow_frontends frontends = {.cs = cs};
	int err = 0;

	for (enum family family = 0; family < FAMILY_N && err == 0; family++)
		if (cs->env->enabled[family])
			err = prune(s, family, CONNTRACK_OPENING, is_lost, &frontends);
	flow_frontends_fini(&frontends);
	return err;
}

static int stale_flows_apply(struct sink *sink, const struct changeset *cs)
{
	struct stale_flows *s = container_of(sink, struct stale_flows, sink);
	uint64_t start_us = clock_monotonic_us(), n_dumps = s->stats.n_dumps;
	int err = 0;

	if (flow_match_begin(s->match, cs))
		err = prune_stale(s, cs);
	flow_match_end(s->match, err == 0);
	if (err == 0 && cs->full)
		err = prune_lost(s, cs);
	if (s->stats.n_dumps != n_dumps)
		histogram_observe(&s->seconds, &s->bounds,
				  (double)(clock_monotonic_us() - start_us) / 1e6);
	return err;
}

static void stale_flows_close(struct sink *sink)
{
	struct stale_flows *s = container_of(sink, struct stale_flows, sink);

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

static const struct sink_view stale_flows_view = {
	.stats = stale_flows_report,
};

static const struct sink_ops stale_flows_ops = {
	.name = "conntrack",
	.apply = stale_flows_apply,
	.close = stale_flows_close,
	.view = &stale_flows_view,
};

int stale_flows_new(struct sink **ret)
{
	struct stale_flows *s;
	int err;

	err = conntrack_probe();
	if (err < 0)
		return err;
	s = xcalloc(1, sizeof(*s));
	s->sink.ops = &stale_flows_ops;
	s->sink.follows_repair = true; /* rules were missing: see prune_lost() */
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
