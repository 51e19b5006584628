/*
 * A place is an address to listen on and the pages that are there.  Everything
 * that a page shows is computed when it is asked for.
 */
#include "proxy/http/servers.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/config/commit.h"
#include "proxy/config/config.h"
#include "proxy/engine/dataplane.h"
#include "proxy/engine/journal.h"
#include "proxy/engine/last_census.h"
#include "proxy/http/exposition.h"
#include "proxy/host/node_info.h"
#include "proxy/http/health.h"
#include "proxy/http/http_server.h"
#include "proxy/http/metrics.h"
#include "proxy/http/page.h"
#include "proxy/http/pages.h"
#include "proxy/http/services_page.h"
#include "proxy/engine/source.h"
#include "proxy/engine/sync.h"
#include "watchers/cluster.h"

#define MAX_CONNECTIONS	 64  /* of each place */
#define LISTEN_RETRY_SEC 5.0 /* as in the message */

struct page {
	const char *path;
	void (*show)(struct servers *s, const struct http_request *request,
		     struct http_reply *reply);
};

struct place {
	struct servers *owner;
	const char *name;
	const struct page *pages;
	size_t n_pages;
	const char *text; /* "0.0.0.0:10256" */
	struct addr addr;
	uint16_t port;
	struct http_server *server;
	struct ev_timer retry;
	bool has_logged;
};

struct servers {
	struct servers_params p;
	struct metrics *metrics;
	struct place health, metrics_place;
	time_t started_sec;
	uint64_t started_us; /* monotonic clock */
};

static struct health current_health(const struct servers *s)
{
	const struct object_node *node = cluster_node(s->p.cluster);
	struct sync_stats stats = sync_stats(s->p.sync);
	uint64_t now_us = clock_monotonic_us();
	struct health h = {
		.timeout_us = 2 * config_rules(s->p.config)->sync_period_ns / 1000,
		.is_node_known = node != NULL,
		.is_node_deleting = node && node->is_deleting,
		.is_node_to_be_deleted = node && node->is_to_be_deleted,
	};

	/* Manifests need no Node object; without one the node counts as known. */
	if (!node && !s->p.source->ops->api)
		h.is_node_known = true;
	for (int family = 0; family < FAMILY_N; family++)
		h.family[family] = (struct health_family){
			.is_used = s->p.node_info->env.enabled[family],
			.updated_us = stats.last_updated_us[family],
			.waiting_us =
				stats.waits_since_us[family]
					? (int64_t)(now_us - stats.waits_since_us[family])
					: 0,
		};
	return h;
}

static void answer_health(struct servers *s, bool is_livez, struct http_reply *reply)
{
	struct health h = current_health(s);

	reply->content_type = "application/json";
	reply->nosniff = true;
	reply->status = health_answer(&h, !is_livez, clock_wall_us(), &reply->body);
	metrics_health_answered(s->metrics, is_livez, reply->status);
}

static void show_healthz(struct servers *s, const struct http_request *request,
			 struct http_reply *reply)
{
	answer_health(s, false, reply);
}

static void show_livez(struct servers *s, const struct http_request *request,
		       struct http_reply *reply)
{
	answer_health(s, true, reply);
}

/*
 * Have the objects been read and programmed once? The rules of an earlier run, and
 * the last known objects, do not count.
 */
static void show_readyz(struct servers *s, const struct http_request *request,
			struct http_reply *reply)
{
	struct health h = current_health(s);

	reply->nosniff = true;
	http_reply_text(reply, "ok");
	for (int family = 0; family < FAMILY_N; family++)
		if (h.family[family].is_used &&
		    (!h.family[family].updated_us || !s->p.has_read(s->p.data))) {
			reply->status = 503;
			buf_clear(&reply->body);
			buf_add_string(&reply->body,
				       "not all objects have been read and programmed "
				       "yet");
			return;
		}
}

static void show_ok(struct servers *s, const struct http_request *request,
		    struct http_reply *reply)
{
	reply->nosniff = true;
	http_reply_text(reply, "ok");
}

static void show_mode(struct servers *s, const struct http_request *request,
		      struct http_reply *reply)
{
	reply->nosniff = true;
	http_reply_text(reply, s->p.dataplane->mode);
}

static void show_configz(struct servers *s, const struct http_request *request,
			 struct http_reply *reply)
{
	reply->nosniff = true;
	reply->content_type = "application/json";
	pages_configz(s->p.config, &reply->body);
}

/* statusz and flagz are for people: other media types are refused, as kube-proxy does. */
static bool refuse_media_type(const struct http_request *request,
			      struct http_reply *reply)
{
	if (!*request->accept || strstr(request->accept, "*/*") ||
	    strstr(request->accept, "text/plain") || strstr(request->accept, "text/*"))
		return false;
	reply->status = 406;
	reply->content_type = "application/json";
	buf_add_string(&reply->body,
		       "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
		       "\"status\":\"Failure\",\"message\":\"only the following media "
		       "types are accepted: text/plain\",\"reason\":\"NotAcceptable\","
		       "\"code\":406}\n");
	return true;
}

static void show_flagz(struct servers *s, const struct http_request *request,
		       struct http_reply *reply)
{
	if (refuse_media_type(request, reply))
		return;
	http_reply_text(reply, "");
	pages_flagz(s->p.config, &reply->body);
}

static void show_statusz(struct servers *s, const struct http_request *request,
			 struct http_reply *reply)
{
	if (refuse_media_type(request, reply))
		return;
	http_reply_text(reply, "");
	pages_statusz(s->started_sec, (clock_monotonic_us() - s->started_us) / 1000000,
		      &reply->body);
}

static void show_metrics(struct servers *s, const struct http_request *request,
			 struct http_reply *reply)
{
	struct sync_stats stats = sync_stats(s->p.sync);
	struct source_api api;
	struct metrics_input in = {
		.now_us = clock_wall_us(),
		.mode = s->p.dataplane->mode,
		.version = SLUICE_VERSION,
		.commit = sluice_commit,
		.sync = &stats,
		.n_pending = sync_n_pending(s->p.sync),
		.n_missing = s->p.source && s->p.source->ops->n_missing
				     ? s->p.source->ops->n_missing(s->p.source)
				     : 0,
		.n_rejected = s->p.n_rejected ? s->p.n_rejected(s->p.data) : 0,
		.sinks = sync_sinks(s->p.sync),
		.state = sync_state(s->p.sync),
		.checker = s->p.checker,
		.with_services = s->p.config->service_metrics,
		.counts = s->p.counts,
		.current = s->p.last_census ? last_census_read(s->p.last_census,
							       clock_monotonic_us())
					    : NULL,
		.env = &s->p.node_info->env,
		.is_in_sync = s->p.is_in_sync && s->p.is_in_sync(s->p.data),
	};

	for (int family = 0; family < FAMILY_N; family++)
		in.family_used[family] = s->p.node_info->env.enabled[family];
	if (s->p.source->ops->api) {
		api = s->p.source->ops->api(s->p.source);
		in.api = &api;
	}
	reply->content_type = EXPOSITION_CONTENT_TYPE;
	reply->header_name = "Process-Start-Time-Unix";
	(void)snprintf(reply->header_value, sizeof(reply->header_value), "%lld",
		       (long long)s->started_sec);
	metrics_write(s->metrics, &in, &reply->body);
}

/* Takes page; NULL: there is none. */
static void reply_json(struct http_reply *reply, json_t *page)
{
	_cleanup_(freep) char *text = page ? json_dumps(page, JSON_INDENT(2)) : NULL;

	json_decref(page);
	if (!text) {
		http_reply_not_found(reply);
		return;
	}
	reply->nosniff = true;
	reply->content_type = "application/json";
	buf_add_string(&reply->body, text);
}

static void show_status(struct servers *s, const struct http_request *request,
			struct http_reply *reply)
{
	reply_json(reply, s->p.status ? s->p.status(s->p.data) : NULL);
}

static void show_services(struct servers *s, const struct http_request *request,
			  struct http_reply *reply)
{
	reply->nosniff = true;
	reply->content_type = "application/json";
	reply->stream = services_page_new(sync_state(s->p.sync), s->p.counts);
}

static void show_events(struct servers *s, const struct http_request *request,
			struct http_reply *reply)
{
	reply_json(reply, s->p.journal ? journal_json(s->p.journal, "", "",
						      strtoull(request->since, NULL, 10))
				       : NULL);
}

static void show_page(struct servers *s, const struct http_request *request,
		      struct http_reply *reply)
{
	page_reply(reply);
}

static const struct page health_pages[] = {
	{"/healthz", show_healthz},
	{"/livez", show_livez},
	{"/readyz", show_readyz},
};

static const struct page metrics_pages[] = {
	{"/healthz", show_ok},	       {"/metrics", show_metrics},
	{"/proxyMode", show_mode},     {"/configz", show_configz},
	{"/statusz", show_statusz},    {"/flagz", show_flagz},
	{"/status", show_status},      {"/services.json", show_services},
	{"/events.json", show_events}, {"/", show_page},
};

static void on_request(void *data, const struct http_request *request,
		       struct http_reply *reply)
{
	const struct place *place = data;

	for (size_t i = 0; i < place->n_pages; i++)
		if (!strcmp(place->pages[i].path, request->path)) {
			place->pages[i].show(place->owner, request, reply);
			return;
		}
	http_reply_not_found(reply);
}

static int open_place(struct place *p)
{
	struct servers *s = p->owner;
	struct http_listener *listener; /* ends with its server */
	int err = 0;

	if (!p->server)
		err = http_server_new(s->p.loop, MAX_CONNECTIONS, &p->server);
	if (!err)
		err = http_server_listen(p->server, &p->addr, p->port, on_request, p,
					 &listener);

	if (!err) {
		log_info("%s server: listening on %s", p->name, p->text);
		return 0;
	}
	if (!p->has_logged)
		log_err("%s server: cannot listen on %s: %s; %s", p->name, p->text,
			strerror(-err),
			s->p.config->bind_address_hard_fail
				? "bind-address-hard-fail: exiting"
				: "retrying every 5 s");
	p->has_logged = true;
	if (s->p.failed)
		s->p.failed(s->p.data, p->name, p->text, err);
	ev_timer_again(s->p.loop, &p->retry);
	return err;
}

static void on_retry(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct place *p = w->data;

	ev_timer_stop(loop, w);
	(void)open_place(p);
}

static void place_init(struct place *p, struct servers *owner, const char *name,
		       const char *text, const struct page *pages, size_t n_pages)
{
	*p = (struct place){
		.owner = owner,
		.name = name,
		.text = text,
		.pages = pages,
		.n_pages = n_pages,
	};
	ev_init(&p->retry, on_retry);
	p->retry.repeat = LISTEN_RETRY_SEC;
	p->retry.data = p;
}

static int place_start(struct place *p)
{
	int err;

	if (!p->text || !*p->text)
		return 0; /* disabled */
	err = addr_port_parse(p->text, &p->addr, &p->port);
	if (err) {
		log_err("%s server: \"%s\" is not ADDRESS:PORT", p->name, p->text);
		return err;
	}
	err = open_place(p);
	return err && p->owner->p.config->bind_address_hard_fail ? err : 0;
}

static void place_stop(struct place *p)
{
	ev_timer_stop(p->owner->p.loop, &p->retry);
	http_server_free(p->server);
}

struct servers *servers_new(const struct servers_params *params)
{
	struct servers *s = xcalloc(1, sizeof(*s));

	s->p = *params;
	s->metrics = metrics_new();
	s->started_sec = (time_t)(clock_wall_us() / 1000000);
	s->started_us = clock_monotonic_us();
	place_init(&s->health, s, "health", params->config->healthz_bind_address,
		   health_pages, N_ELEMENTS(health_pages));
	place_init(&s->metrics_place, s, "metrics", params->config->metrics_bind_address,
		   metrics_pages, N_ELEMENTS(metrics_pages));
	return s;
}

void servers_free(struct servers *s)
{
	if (!s)
		return;
	place_stop(&s->health);
	place_stop(&s->metrics_place);
	metrics_free(s->metrics);
	free(s);
}

int servers_start(struct servers *s)
{
	int err = place_start(&s->health);

	return err ? err : place_start(&s->metrics_place);
}

void servers_ran(struct servers *s, const struct sync_run *run)
{
	metrics_ran(s->metrics, run, clock_wall_us());
}

void servers_api_answered(struct servers *s, int status, const char *method)
{
	metrics_api_answered(s->metrics, status, method);
}

bool servers_is_healthy(const struct servers *s)
{
	struct health h = current_health(s);

	return health_is_healthy(&h);
}
