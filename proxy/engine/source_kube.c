/*
 * The API server as a source: passes the configuration to watchers/kube.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/config/commit.h"
#include "proxy/config/config.h"
#include "proxy/engine/source.h"
#include "watchers/kube/events.h"
#include "watchers/kube/kube.h"

struct kube_source {
	struct object_source source;
	struct kube *kube;
	struct events *recorder;
	char *node_name, *user_agent, *host;
	struct source_events events;
};

static void on_synced(void *data)
{
	struct kube_source *k = data;

	/* From now on, the server and the credentials are known to work. */
	events_start(k->recorder, kube_http(k->kube));
	k->events.synced(k->events.data, 0);
}

static void on_changed(void *data)
{
	struct kube_source *k = data;

	k->events.changed(k->events.data);
}

static void on_answered(void *data, int status, const char *method)
{
	struct kube_source *k = data;

	if (k->events.answered)
		k->events.answered(k->events.data, status, method);
}

static int kube_source_start(struct object_source *source, struct ev_loop *loop,
			     const struct source_events *events)
{
	struct kube_source *k = container_of(source, struct kube_source, source);
	const struct kube_events kube_events = {on_synced, on_changed, on_answered, k};

	k->events = *events;
	log_info("api: %s", kube_server(k->kube));
	if (source->wants_pods)
		kube_want_pods(k->kube);
	kube_start(k->kube, loop, &kube_events);
	return 0;
}

static void kube_source_close(struct object_source *source)
{
	struct kube_source *k = container_of(source, struct kube_source, source);

	events_free(k->recorder);
	kube_free(k->kube);
	free(k->node_name);
	free(k->user_agent);
	free(k->host);
	free(k);
}

static struct source_api kube_source_api(const struct object_source *source)
{
	const struct kube_source *k = container_of(source, struct kube_source, source);

	return (struct source_api){
		.host = k->host,
		.n_watch_restarts = kube_n_restarts(k->kube),
		.silent_since_us = kube_silent_since_us(k->kube),
	};
}

static char *kube_source_identity(const struct object_source *source)
{
	return kube_identity(container_of(source, struct kube_source, source)->kube);
}

static char *kube_source_unread(const struct object_source *source)
{
	return kube_unread(container_of(source, struct kube_source, source)->kube);
}

static void kube_source_record(struct object_source *source,
			       const struct event_spec *spec)
{
	struct kube_source *k = container_of(source, struct kube_source, source);

	events_record(k->recorder, spec);
}

static const struct source_ops kube_source_ops = {
	.name = "api",
	.start = kube_source_start,
	.close = kube_source_close,
	.api = kube_source_api,
	.identity = kube_source_identity,
	.unread = kube_source_unread,
	.record = kube_source_record,
};

/* As client-go has it: "kube-proxy/v1.36.3 (linux/amd64) kubernetes/abcdef0" */
static char *make_user_agent(void)
{
	struct utsname host;

	if (uname(&host) == -1)
		return xasprintf("sluice/%s", SLUICE_VERSION);
	return xasprintf("sluice/%s (linux/%s) %s", SLUICE_VERSION, host.machine,
			 sluice_commit);
}

/* "https://[::1]:6443/prefix" -> "[::1]:6443", client-go's label "host". */
static char *host_of(const char *url)
{
	const char *host = strstr(url, "://") + 3;

	return xstrndup(host, strcspn(host, "/"));
}

static const char *or_null(const char *text)
{
	return text && *text ? text : NULL;
}

int source_kube_new(const struct config *config, const char *node_name,
		    struct cluster *cluster, const struct reject *reject,
		    struct object_source **ret)
{
	struct kube_source *k = xcalloc(1, sizeof(*k));
	_cleanup_(freep) char *why = NULL;
	int err;

	k->source.ops = &kube_source_ops;
	k->node_name = xstrdup(node_name);
	k->user_agent = make_user_agent();
	err = kube_new(
		&(struct kube_params){
			.kubeconfig = or_null(config->kubeconfig),
			.master = or_null(config->master),
			.node_name = k->node_name,
			.user_agent = k->user_agent,
			.qps = config->qps,
			.burst = (unsigned)config->burst,
			.cluster = cluster,
			.reject = reject,
		},
		&k->kube, &why);
	if (err) {
		log_err("api: %s", why ? why : strerror(-err));
		kube_source_close(&k->source);
		return err;
	}
	k->recorder = events_new(k->node_name);
	k->host = host_of(kube_server(k->kube));
	k->source.runs_programs = kube_runs_programs(k->kube);
	*ret = &k->source;
	return 0;
}
