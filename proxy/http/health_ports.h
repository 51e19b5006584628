/*
 * The sink for healthCheckNodePort: external load balancers ask it how many
 * endpoints of a Service this node has.  One HTTP server answers on all these
 * ports.  A port that could not be opened is logged once, together with others
 * of the same moment, and its services are refused.
 */
#pragma once

#include "core/sink.h"

struct ev_loop;
struct health_ports;

struct health_ports_hooks {
	bool (*is_healthy)(void *data);
	/* A port could not be opened (for an Event); may be NULL. */
	void (*failed)(void *data, const char *ns, const char *name, uint16_t port,
		       int err);
	void *data;
};

struct sink *health_ports_new(struct ev_loop *loop,
			      const struct health_ports_hooks *hooks);
