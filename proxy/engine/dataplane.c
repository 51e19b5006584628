#include "proxy/engine/dataplane.h"

#include <assert.h>

void dataplane_add(struct dataplane *dp, struct sink *sink)
{
	assert(dp->n_sinks < DATAPLANE_MAX_SINKS);
	dp->sinks[dp->n_sinks++] = sink;
}

struct sink *dataplane_last_vital(const struct dataplane *dp)
{
	for (size_t i = dp->n_sinks; i > 0; i--)
		if (dp->sinks[i - 1]->is_vital)
			return dp->sinks[i - 1];
	return NULL;
}

/* The sink that another process changed, if it is known which one. */
static const struct sink *changed_sink(const struct dataplane *dp)
{
	for (size_t i = 0; i < dp->n_sinks; i++)
		if (sink_changed_by(dp->sinks[i]))
			return dp->sinks[i];
	return NULL;
}

const char *dataplane_changed_by(const struct dataplane *dp)
{
	const struct sink *sink = changed_sink(dp);

	return sink ? sink_changed_by(sink) : "another process";
}

const char *dataplane_restored(const struct dataplane *dp)
{
	const struct sink *sink = changed_sink(dp);

	return sink ? sink_restored(sink) : "";
}

void dataplane_close(struct dataplane *dp)
{
	while (dp->n_sinks)
		sink_close(dp->sinks[--dp->n_sinks]);
}
