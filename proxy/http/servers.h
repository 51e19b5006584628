/*
 * The daemon's two HTTP servers: health (/healthz, /livez) for load balancers
 * in front of nodes, and metrics (/metrics, /proxyMode, /configz, …) for
 * operators, both at kube-proxy's addresses and in its forms.  If listening
 * fails, the error is logged and retried every 5 s; with bindAddressHardFail it
 * ends the program.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct cluster;
struct config;
struct counts;
struct dataplane;
struct ev_loop;
struct last_census;
struct node_info;
struct object_source;
struct checker;
struct servers;
struct sink;
struct sync;
struct sync_run;

struct servers_params { /* all borrowed until servers_free() */
	struct ev_loop *loop;
	const struct config *config;
	const struct cluster *cluster;
	const struct node_info *node_info;
	const struct dataplane *dataplane;
	struct counts *counts;
	struct last_census *last_census; /* NULL: none */
	const struct object_source *source;
	const struct sync *sync;
	const struct checker *checker;	  /* of endpoints; NULL: none */
	size_t (*n_rejected)(void *data); /* objects or fields that are ignored now */
	json_t *(*status)(void *data);	  /* the page /status; NULL: there is none */
	const struct sink *journal;	  /* the last changes; NULL: none */
	bool (*is_in_sync)(void *data);
	bool (*has_read)(void *data); /* the source has reported all objects once */
	/* Called after each failed attempt to listen; may be NULL. */
	void (*failed)(void *data, const char *server, const char *address, int err);
	void *data;
};

struct servers *servers_new(const struct servers_params *params);
void servers_free(struct servers *s);

/* -errno, after logging, when an address is in use and bindAddressHardFail is set. */
int servers_start(struct servers *s);

/* A run of the sync has ended. */
void servers_ran(struct servers *s, const struct sync_run *run);
/* A call to the API server has ended. */
void servers_api_answered(struct servers *s, int status, const char *method);
/* The health that health check node ports report: updates are programmed in time. */
bool servers_is_healthy(const struct servers *s);
