/*
 * The answers that a daemon would give about the objects of --manifests, without a
 * daemon: the same code on a snapshot.  This host is not looked at, but for its name and
 * addresses.
 */
#pragma once

#include <jansson.h>

#include "proxy/commands/snapshot.h"
#include "proxy/control/inspect.h"
#include "proxy/engine/dataplane.h"

struct options;

struct offline { /* embedded */
	struct snapshot snapshot;
	struct dataplane no_sinks;
	struct inspect inspect;
};

/* Returns a status after printing errors; offline_close() is due in any case. */
int offline_open(struct offline *o, struct options *options, const struct parts *parts);
void offline_close(struct offline *o);
/* As control_ask(). */
int offline_ask(struct offline *o, const struct control_request *request,
		json_t **ret_result);
