#include "proxy/engine/dataplane.h"

#include <assert.h>

void dataplane_add(struct dataplane *dp, struct sink *sink)
{
	assert(dp->n_sinks < DATAPLANE_MAX_SINKS);
	dp->sinks[dp->n_sinks++] = sink;
}

void dataplane_close(struct dataplane *dp)
{
	while (dp->n_sinks)
		sink_close(dp->sinks[--dp->n_sinks]);
}
