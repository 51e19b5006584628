#include "watchers/plan/left_out.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/cluster.h"

/* NULL: it is planned, or it was rejected. */
static const char *service_reason(const struct object_service *s)
{
	if (s->is_hidden)
		return "has a label that gives it to another proxy; remove the label "
		       "service.kubernetes.io/service-proxy-name or "
		       "service.kubernetes.io/headless";
	if (s->type == SERVICE_EXTERNAL_NAME)
		return "is of type ExternalName, which is for DNS only; use type "
		       "ClusterIP with endpoints for a service address";
	if (s->is_headless)
		return "is headless, which is for DNS only; set a clusterIP for a "
		       "service address";
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

/* "slice web-x7k2p has 3 endpoints", "its 2 slices have 5 endpoints" */
static char *describe(const struct object_slice *const *slices, size_t n,
		      uint32_t n_endpoints)
{
	const char *plural = n_endpoints == 1 ? "" : "s";

	if (n > 1)
		return xasprintf("its %zu slices have %u endpoint%s", n, n_endpoints,
				 plural);
	if (slices[0]->is_mirror)
		return xasprintf("its Endpoints have %u endpoint%s", n_endpoints, plural);
	return xasprintf("slice %s has %u endpoint%s", slices[0]->base.name, n_endpoints,
			 plural);
}

char *left_out_port(const struct cluster *cluster, const struct object_service *s,
		    const struct object_service_port *port)
{
	size_t n;
	_cleanup_(freep) const struct object_slice **slices =
		cluster_slices(cluster, s->base.ns, s->base.name, &n);
	_cleanup_(freep) char *have = NULL;
	uint32_t n_endpoints = 0;

	for (size_t i = 0; i < n; i++) {
		if (has_port(slices[i], port))
			return NULL;
		n_endpoints += slices[i]->n_endpoints;
	}
	if (n_endpoints == 0)
		return NULL;
	have = describe(slices, n, n_endpoints);
	return xasprintf("%s, but no %s port %s%s; use the same port name and protocol "
			 "in both",
			 have, proto_name(port->proto),
			 *port->name ? "called " : "without a name", port->name);
}

char *left_out_elsewhere(const struct cluster *cluster, const struct object_service *s)
{
	const struct object_slice *slice;
	size_t n;

	free(cluster_slices(cluster, s->base.ns, s->base.name, &n)); /* n alone */
	for (size_t i = 0; n == 0 && (slice = cluster_next_slice(cluster, &i));)
		if (!slice->is_hidden && strcmp(slice->service, s->base.name) == 0 &&
		    !cluster_service(cluster, slice->base.ns, slice->service))
			return xasprintf(
				"namespace %s has no slice of this Service; slice "
				"%s names one called %s, but is of namespace %s, "
				"and counts there only; give both the same "
				"namespace",
				s->base.ns, slice->base.name, slice->service,
				slice->base.ns);
	return NULL;
}

static void check_slice(const struct cluster *cluster, const struct object_slice *slice,
			void (*fn)(void *data, const struct left_out *left), void *data)
{
	const struct object *o = &slice->base;
	_cleanup_(freep) char *reason = NULL;

	if (slice->is_hidden || cluster_service(cluster, o->ns, slice->service))
		return;
	reason = xasprintf("its Service %s does not exist; create it, or %s",
			   slice->service,
			   slice->is_mirror
				   ? "delete them"
				   : "correct the label kubernetes.io/service-name");
	fn(data,
	   &(struct left_out){slice->is_mirror ? "Endpoints" : "EndpointSlice", o->ns,
			      slice->is_mirror ? slice->service : o->name, reason, true});
}

static void check_service(const struct cluster *cluster, const struct object_service *s,
			  void (*fn)(void *data, const struct left_out *left), void *data)
{
	const struct object *o = &s->base;
	const char *reason = service_reason(s);

	if (reason)
		fn(data, &(struct left_out){"Service", o->ns, o->name, reason, false});
	for (uint32_t i = 0; !reason && i < s->n_ports; i++) {
		_cleanup_(freep) char *why = left_out_port(cluster, s, &s->ports[i]);

		if (why)
			fn(data,
			   &(struct left_out){"Service", o->ns, o->name, why, true});
	}
}

void left_out_each(const struct cluster *cluster,
		   void (*fn)(void *data, const struct left_out *left), void *data)
{
	const struct object_slice *slice;
	size_t n;
	_cleanup_(freep) const struct object_service **services =
		cluster_services(cluster, &n);

	for (size_t i = 0; i < n; i++)
		check_service(cluster, services[i], fn, data);
	for (size_t i = 0; (slice = cluster_next_slice(cluster, &i));)
		check_slice(cluster, slice, fn, data);
}

void left_out_of(const struct cluster *cluster, const char *ns, const char *name,
		 void (*fn)(void *data, const struct left_out *left), void *data)
{
	const struct object_service *s = cluster_service(cluster, ns, name);
	_cleanup_(freep) const struct object_slice **slices = NULL;
	size_t n = 0;

	if (s)
		check_service(cluster, s, fn, data);
	else
		slices = cluster_slices(cluster, ns, name, &n);
	for (size_t i = 0; i < n; i++)
		check_slice(cluster, slices[i], fn, data);
}
