/*
 * An informer for each kind, over one connection pool.
 */
#include "watchers/kube/kube.h"

#include <ev.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/kube/credentials.h"
#include "watchers/kube/http.h"
#include "watchers/kube/informer.h"
#include "watchers/kube/kubeconfig.h"
#include "watchers/kube/outage.h"
#include "watchers/kube/resource.h"

#define HTTP_OK	     200
#define OPTIONAL_SEC 1.0 /* what is optional delays the first sync by so much at most */

struct kube {
	struct kube_params params;
	struct kube_config config;
	struct kube_events events;
	struct http *http;
	struct credentials *credentials;
	struct outage *outage;
	struct informer *informers[OBJECT_KIND_N];
	struct ev_loop *loop;	  /* NULL before kube_start() */
	struct ev_timer patience; /* with the optional kinds, once the others are read */
	bool has_synced, wants_pods;
};

/*
 * ServiceCIDRs only make packets to unused Service addresses be refused.  API
 * servers before 1.33 don't have them.  Pods and Namespaces only opt out of socket
 * load balancing.  kube-proxy's ClusterRole may not include the three.
 */
static bool is_optional(enum object_kind kind)
{
	return kind == OBJECT_SERVICE_CIDR || kind == OBJECT_POD ||
	       kind == OBJECT_NAMESPACE;
}

static void report_synced(struct kube *k)
{
	ev_timer_stop(k->loop, &k->patience);
	k->has_synced = true;
	k->events.synced(k->events.data);
}

static void on_impatient(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	report_synced(w->data);
}

static void on_synced(void *data)
{
	struct kube *k = data;
	bool waits_for_optional = false;

	if (k->has_synced)
		return;
	for (int kind = 0; kind < OBJECT_KIND_N; kind++) {
		if (!k->informers[kind] || informer_is_settled(k->informers[kind]))
			continue;
		if (!is_optional((enum object_kind)kind))
			return;
		waits_for_optional = true;
	}
	if (!waits_for_optional)
		report_synced(k);
	else if (!ev_is_active(&k->patience))
		ev_timer_again(k->loop, &k->patience);
}

static void on_changed(void *data)
{
	struct kube *k = data;

	if (k->has_synced)
		k->events.changed(k->events.data);
}

static void on_answered(void *data, int status, const char *method)
{
	struct kube *k = data;

	for (int kind = 0; status == HTTP_OK && kind < OBJECT_KIND_N; kind++)
		if (k->informers[kind])
			informer_nudge(k->informers[kind]);
	if (k->events.answered)
		k->events.answered(k->events.data, status, method);
}

static void on_credentials(void *data, bool is_changed)
{
	struct kube *k = data;

	for (int kind = 0; kind < OBJECT_KIND_N; kind++) {
		if (!k->informers[kind])
			continue;
		if (is_changed)
			informer_retry(k->informers[kind]);
		else
			informer_go_on(k->informers[kind]);
	}
}

int kube_new(const struct kube_params *params, struct kube **ret, char **ret_error)
{
	struct kube *k = xcalloc(1, sizeof(*k));
	int err = kube_config_load(params->kubeconfig, params->master,
				   params->service_account, &k->config, ret_error);

	if (err) {
		free(k);
		return err;
	}
	k->params = *params;
	*ret = k;
	return 0;
}

/* Where the server and the credentials were configured, for messages. */
static const char *credentials_place(const struct kube *k)
{
	if (k->params.kubeconfig)
		return k->params.kubeconfig;
	return k->config.is_in_cluster ? "the Pod's service account" : "--master";
}

void kube_want_pods(struct kube *k)
{
	k->wants_pods = true;
}

static bool is_wanted(const struct kube *k, enum object_kind kind)
{
	return k->wants_pods || (kind != OBJECT_POD && kind != OBJECT_NAMESPACE);
}

void kube_start(struct kube *k, struct ev_loop *loop, const struct kube_events *events)
{
	k->events = *events;
	k->loop = loop;
	ev_timer_init(&k->patience, on_impatient, 0, OPTIONAL_SEC);
	k->patience.data = k;
	k->http = http_new(loop, &k->config, k->params.user_agent);
	http_set_rate(k->http, k->params.qps, k->params.burst);
	k->credentials = credentials_new(loop, &k->config, k->http, on_credentials, k);
	k->outage = outage_new(loop, k->config.server, credentials_place(k));
	for (int kind = 0; kind < OBJECT_KIND_N; kind++) {
		bool may_fail = is_optional((enum object_kind)kind);
		const struct informer_params params = {
			.loop = loop,
			.http = k->http,
			.credentials = k->credentials,
			.outage = k->outage,
			.cluster = k->params.cluster,
			.reject = k->params.reject,
			.kind = (enum object_kind)kind,
			.node_name = k->params.node_name,
			.is_optional = may_fail,
			.stall_sec = k->params.stall_sec,
			.changed = on_changed,
			.synced = on_synced,
			.answered = on_answered,
			.data = k,
		};

		if (!is_wanted(k, (enum object_kind)kind))
			continue;
		if (may_fail)
			outage_set_optional(k->outage, (enum object_kind)kind);
		k->informers[kind] = informer_new(&params);
	}
	for (int kind = 0; kind < OBJECT_KIND_N; kind++)
		if (k->informers[kind])
			informer_go_on(k->informers[kind]);
}

void kube_free(struct kube *k)
{
	if (!k)
		return;
	if (k->loop)
		ev_timer_stop(k->loop, &k->patience);
	for (int kind = 0; kind < OBJECT_KIND_N; kind++)
		informer_free(k->informers[kind]);
	outage_free(k->outage);
	credentials_free(k->credentials);
	http_free(k->http);
	kube_config_fini(&k->config);
	free(k);
}

const char *kube_server(const struct kube *k)
{
	return k->config.server;
}

char *kube_identity(const struct kube *k)
{
	return kube_config_identity(&k->config);
}

bool kube_runs_programs(const struct kube *k)
{
	return k->config.exec != NULL;
}

struct http *kube_http(struct kube *k)
{
	return k->http;
}

char *kube_unread(const struct kube *k)
{
	struct buf out = BUF_INIT;
	const char *why = k->outage ? outage_why(k->outage) : NULL;

	for (int kind = 0; kind < OBJECT_KIND_N; kind++)
		if (k->informers[kind] && !informer_is_settled(k->informers[kind]))
			buf_printf(&out, "%s%s", out.len ? ", " : "",
				   resource_name((enum object_kind)kind));
	if (out.len && why)
		buf_printf(&out, " (api: %s)", why);
	return out.len ? buf_take(&out) : NULL;
}

uint64_t kube_n_restarts(const struct kube *k)
{
	uint64_t n = 0;

	for (int kind = 0; kind < OBJECT_KIND_N; kind++)
		n += k->informers[kind] ? informer_n_restarts(k->informers[kind]) : 0;
	return n;
}

int64_t kube_silent_since_us(const struct kube *k)
{
	int64_t first = 0;

	for (int kind = 0; kind < OBJECT_KIND_N; kind++) {
		int64_t since = k->informers[kind] && !is_optional((enum object_kind)kind)
					? informer_silent_since_us(k->informers[kind])
					: 0;

		if (since && (!first || since < first))
			first = since;
	}
	return first;
}
