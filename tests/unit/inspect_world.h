/*
 * The daemon's answers without a daemon: objects, planned on node "node-0" with the
 * address 10.1.0.1.
 */
#pragma once

#include <jansson.h>

#include "proxy/config/config.h"
#include "proxy/control/inspect.h"
#include "proxy/engine/dataplane.h"
#include "proxy/host/node_info.h"

struct inspect_world {
	struct config config;
	struct cluster *cluster;
	struct node_info info;
	struct state *state;
	struct dataplane dataplane;
	struct inspect in;
};

/* objects: YAML */
void inspect_world_open(struct inspect_world *w, const char *objects);
void inspect_world_close(struct inspect_world *w);
/* The whole answer, which must not be an error; the caller owns it. */
json_t *inspect_world_ask(struct inspect_world *w, const struct control_request *request);
