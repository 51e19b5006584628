#include "watchers/plan/left_out.h"

#include <stddef.h>
#include <string.h>

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

static bool has_port(const struct object_slice *slice,
		     const struct object_service_port *port)
{
	for (uint32_t i = 0; i < slice->n_ports; i++)
		if (slice->ports[i].proto == port->proto &&
		    strcmp(slice->ports[i].name, port->name) == 0)
			return true;
	return false;
}

/* Ports of a Service that has endpoints, but none for this port. */
static void check_ports(const struct cluster *cluster, const struct object_service *s,
			void (*fn)(void *data, const struct left_out *left), void *data)
{
	const struct object *o = &s->base;
	size_t n;
	_cleanup_(freep) const struct object_slice **slices =
		cluster_slices(cluster, o->ns, o->name, &n);

	for (uint32_t i = 0; i < s->n_ports; i++) {
		const struct object_service_port *port = &s->ports[i];
		_cleanup_(freep) char *reason = NULL;
		bool is_served = false;
		uint32_t n_endpoints = 0;

		for (size_t k = 0; k < n; k++) {
			is_served |= has_port(slices[k], port);
			n_endpoints += slices[k]->n_endpoints;
		}
		if (is_served || n_endpoints == 0)
			continue;
		reason =
			xasprintf("has endpoints, but its slices have no %s port %s%s",
				  proto_name(port->proto),
				  *port->name ? "called " : "without a name", port->name);
		fn(data, &(struct left_out){"Service", o->ns, o->name, reason, true});
	}
}

static void check_slice(const struct cluster *cluster, const struct object_slice *slice,
			void (*fn)(void *data, const struct left_out *left), void *data)
{
	const struct object *o = &slice->base;
	_cleanup_(freep) char *reason = NULL;

	if (slice->is_hidden || cluster_service(cluster, o->ns, slice->service))
		return;
	reason = xasprintf("its Service %s does not exist", slice->service);
	fn(data,
	   &(struct left_out){slice->is_mirror ? "Endpoints" : "EndpointSlice", o->ns,
			      slice->is_mirror ? slice->service : o->name, reason, true});
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
		else
			check_ports(cluster, services[i], fn, data);
	}
	for (size_t i = 0; (slice = cluster_next_slice(cluster, &i));)
		check_slice(cluster, slice, fn, data);
}
