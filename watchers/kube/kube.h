/*
 * The source "api": Services, EndpointSlices, our Node, ServiceCIDRs and, if a data
 * plane wants them, Pods and Namespaces of a Kubernetes API server, listed and
 * watched into the cluster.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "watchers/reject.h"

struct cluster;
struct ev_loop;
struct http;
struct kube;

struct kube_params {		/* all borrowed until kube_free() */
	const char *kubeconfig; /* a path, or NULL */
	const char *master;	/* a URL, or NULL */
	const char *node_name;
	const char *user_agent;
	const char *service_account; /* the Pod's folder of it; NULL: the usual one */
	double qps;		     /* calls a second, see http_set_rate() */
	unsigned burst;		     /* calls in one go */
	uint32_t stall_sec; /* limit of silence in the middle of a list; 0: a minute */
	struct cluster *cluster;
	const struct reject *reject;
};

struct kube_events {
	void (*synced)(void *data);  /* every required kind has been read once */
	void (*changed)(void *data); /* the cluster has been updated, after synced */
	void (*answered)(void *data, int status, const char *method); /* may be NULL */
	void *data;
};

/* Reads the configuration. -errno with one line in *ret_error, which the caller frees. */
int kube_new(const struct kube_params *params, struct kube **ret, char **ret_error);
void kube_free(struct kube *k);

/* Before the start: Pods of the node and Namespaces are read, too. */
void kube_want_pods(struct kube *k);
void kube_start(struct kube *k, struct ev_loop *loop, const struct kube_events *events);

const char *kube_server(const struct kube *k); /* its URL */
char *kube_identity(const struct kube *k);     /* see kube_config_identity() */
struct http *kube_http(struct kube *k);	       /* for other calls, after kube_start() */
bool kube_runs_programs(const struct kube *k); /* a credential plugin is configured */
/* "services, nodes (api: WHY)": the kinds never read so far. NULL: none. Freed by the caller. */
char *kube_unread(const struct kube *k);
uint64_t kube_n_restarts(const struct kube *k);
/* Unix time since when calls for a required kind have failed; 0: none does. */
int64_t kube_silent_since_us(const struct kube *k);
