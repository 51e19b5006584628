/*
 * Conditions of this proxy that are worth an Event in the cluster, with
 * kube-proxy's reasons, so that alerts find them.  Where the
 * source can't record any, nothing happens.
 */
#pragma once

#include <stdint.h>

struct object_source;

struct node_events { /* a plain value; both are borrowed */
	struct object_source *source;
	const char *node_name;
};

void node_events_started(const struct node_events *e);
/* server: "health" or "metrics" */
void node_events_server_failed(const struct node_events *e, const char *server,
			       const char *address, int err);
void node_events_health_port_failed(const struct node_events *e, const char *ns,
				    const char *name, uint16_t port, int err);
