/*
 * As kube-proxy: an Event is about the Node, with its name for the
 * uid; only a health check node port is a Service's business.
 */
#include "proxy/run/node_events.h"

#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/engine/source.h"
#include "watchers/kube/events.h"

static void record(const struct node_events *e, const struct event_spec *spec)
{
	if (e->source->ops->record)
		e->source->ops->record(e->source, spec);
}

static void record_of_node(const struct node_events *e, const char *type,
			   const char *reason, const char *action, const char *note)
{
	const struct event_spec spec = {
		.type = type,
		.reason = reason,
		.action = action,
		.note = note,
		.kind = "Node",
		.ns = "",
		.name = e->node_name,
		.uid = e->node_name,
	};

	record(e, &spec);
}

void node_events_started(const struct node_events *e)
{
	record_of_node(e, "Normal", "Starting", "StartKubeProxy", "");
}

void node_events_server_failed(const struct node_events *e, const char *server,
			       const char *address, int err)
{
	_cleanup_(freep) char *note = xasprintf("failed to start %s server on %s: %s",
						server, address, strerror(-err));

	record_of_node(e, "Warning",
		       strcmp(server, "health") == 0 ? "FailedToStartProxierHealthcheck"
						     : "FailedToStartMetricServer",
		       "StartKubeProxy", note);
}

void node_events_health_port_failed(const struct node_events *e, const char *ns,
				    const char *name, uint16_t port, int err)
{
	_cleanup_(freep) char *note =
		xasprintf("node %s failed to start healthcheck \"%s/%s\" on port %u: %s",
			  e->node_name, ns, name, port, strerror(-err));
	const struct event_spec spec = {
		.type = "Warning",
		.reason = "FailedToStartServiceHealthcheck",
		.action = "Listen",
		.note = note,
		.kind = "Service",
		.ns = ns,
		.name = name,
		.uid = "",
	};

	record(e, &spec);
}
