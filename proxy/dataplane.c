#include "proxy/dataplane.h"

void dataplane_close(struct dataplane *dp)
{
	while (dp->n_sinks)
		sink_close(dp->sinks[--dp->n_sinks]);
}
