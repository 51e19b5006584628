#include "watchers/plan/left_out.h"

#include <stddef.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/cluster.h"

/* NULL: it is planned, or it was rejected. */
static const char *service_reason(const struct object_service *s)
{
	if (s->is_hidden)
		return "has a label that gives it to another proxy";
	if (s->type == SERVICE_EXTERNAL_NAME)
		return "is of type ExternalName, which is for DNS only";
	if (s->is_headless)
		return "is headless, which is for DNS only";
	return NULL;
}

void left_out_each(const struct cluster *cluster,
		   void (*fn)(void *data, const struct left_out *left), void *data)
{
	const struct object_slice *slice;
	size_t n;
	_cleanup_(freep) const struct object_service **services =
		cluster_services(cluster, &n);

	for (size_t i = 0; i < n; i++) {
		const struct object *o = &services[i]->base;
		const char *reason = service_reason(services[i]);

		if (reason)
			fn(data,
			   &(struct left_out){"Service", o->ns, o->name, reason, false});
	}
	for (size_t i = 0; (slice = cluster_next_slice(cluster, &i));) {
		_cleanup_(freep) char *reason =
			xasprintf("its Service %s does not exist", slice->service);

		if (!slice->is_hidden &&
		    !cluster_service(cluster, slice->base.ns, slice->service))
			fn(data, &(struct left_out){slice->is_mirror ? "Endpoints"
								     : "EndpointSlice",
						    slice->base.ns,
						    slice->is_mirror ? slice->service
								     : slice->base.name,
						    reason, true});
	}
}
