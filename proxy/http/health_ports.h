/*
 * The sink behind healthCheckNodePort: one small HTTP server for each service
 * that has one, telling outside load balancers how many endpoints this node
 * has.  A port that can't be opened is told, and tried again at the next apply.
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
