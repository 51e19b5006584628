/*
 * The sink: asks flow_match what a change set means for UDP flows, and has
 * conntrack pruned in the families concerned.  A change that can't have made
 * a flow stale costs no dump.
 */
#include "rules/stale_flows.h"

#include <stdlib.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/conntrack.h"
#include "rules/flow_match.h"

struct stale_flows {
	struct sink sink;
	struct flow_match *match;
	struct stale_flows_stats stats;
};

static uint64_t now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static bool is_stale(void *data, const struct flow *flow)
{
	return flow_match_is_stale(data, flow);
}

static int prune(struct stale_flows *s, const struct changeset *cs)
{
	int err = 0;

	for (enum family family = 0; family < FAMILY_N && err == 0; family++) {
		uint64_t n_deleted = 0;

		if (!cs->env->enabled[family] || !flow_match_has_family(s->match, family))
			continue;
		err = conntrack_prune_udp(family, is_stale, s->match, &n_deleted);
		s->stats.n_dumps++;
		s->stats.n_deleted[family] += n_deleted;
	}
	return err;
}

static int stale_flows_apply(struct sink *sink, const struct changeset *cs)
{
	struct stale_flows *s = container_of(sink, struct stale_flows, sink);
	uint64_t start_us = now_us();
	int err = 0;

	if (flow_match_begin(s->match, cs))
		err = prune(s, cs);
	flow_match_end(s->match, err == 0);
	s->stats.last_us = now_us() - start_us;
	return err;
}

static void stale_flows_close(struct sink *sink)
{
	struct stale_flows *s = container_of(sink, struct stale_flows, sink);

	flow_match_free(s->match);
	free(s);
}

static const struct sink_ops stale_flows_ops = {
	.name = "stale flows",
	.apply = stale_flows_apply,
	.close = stale_flows_close,
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
	s->match = flow_match_new();
	*ret = &s->sink;
	return 0;
}

struct stale_flows_stats stale_flows_stats(const struct sink *sink)
{
	const struct stale_flows *s = container_of(sink, struct stale_flows, sink);

	return s->stats;
}
