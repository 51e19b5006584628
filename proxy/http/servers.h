/*
 * The daemon's two HTTP servers: health (/healthz, /livez) for load balancers
 * in front of nodes, and metrics (/metrics, /proxyMode, /configz, …) for
 * operators, both at kube-proxy's addresses and in its forms.  An address that
 * can't be listened on is told and tried again every 5 s; with
 * bindAddressHardFail it ends the program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cluster;
struct config;
struct dataplane;
struct ev_loop;
struct node_info;
struct object_source;
struct servers;
struct sync;
struct sync_run;

struct servers_params { /* all borrowed until servers_free() */
	struct ev_loop *loop;
	const struct config *config;
	const struct cluster *cluster;
	const struct node_info *node_info;
	const struct dataplane *dataplane;
	const struct object_source *source;
	const struct sync *sync;
	size_t (*n_rejected)(void *data); /* objects or fields that are ignored now */
	/* An address can't be listened on, each time that it was tried; may be NULL. */
	void (*failed)(void *data, const char *server, const char *address, int err);
	void *data;
};

struct servers *servers_new(const struct servers_params *params);
void servers_free(struct servers *s);

/* -errno when an address is taken and bindAddressHardFail is set; told. */
int servers_start(struct servers *s);

/* A run of the sync has ended. */
void servers_ran(struct servers *s, const struct sync_run *run);
/* A call to the API server has ended. */
void servers_api_answered(struct servers *s, int status, const char *method);
/* Is what was wanted programmed in time? For health check node ports. */
bool servers_is_healthy(const struct servers *s);
