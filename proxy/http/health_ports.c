/*
 * Health check node ports.  The ports of one Service and its families share
 * one server, so what is kept is counted by (namespace, name): a full apply
 * builds the table anew, a delta edits it; then the servers are brought in
 * line with it.
 */
#include "proxy/http/health_ports.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/hash_keys.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/http/health.h"
#include "proxy/http/http_server.h"

struct health_ports {
	struct sink sink;
	struct ev_loop *loop;
	struct health_ports_hooks hooks;
	struct hash entries;
};

struct entry {		     /* a Service with a health check node port */
	struct name_key key; /* owned */
	struct health_ports *owner;
	struct http_server *server;
	uint16_t open_port;	    /* what the server listens on */
	uint16_t port;		    /* what it should be */
	uint32_t n_ports[FAMILY_N]; /* of the Service, that are there */
	uint32_t local_ready[FAMILY_N];
};

/* All ports of a Service say the same; dual stack counts the larger family. */
static uint32_t local_ready(const struct entry *e)
{
	uint32_t n = 0;

	for (int family = 0; family < FAMILY_N; family++)
		if (e->n_ports[family] && e->local_ready[family] > n)
			n = e->local_ready[family];
	return n;
}

static void on_request(void *data, const struct http_request *request,
		       struct http_reply *reply)
{
	const struct entry *e = data;
	const struct health_ports_hooks *hooks = &e->owner->hooks;
	uint32_t n = local_ready(e);

	(void)request;
	reply->content_type = "application/json";
	reply->nosniff = true;
	reply->header_name = "X-Load-Balancing-Endpoint-Weight";
	(void)snprintf(reply->header_value, sizeof(reply->header_value), "%u", n);
	reply->status =
		health_service_answer(e->key.ns, e->key.name, n,
				      hooks->is_healthy(hooks->data), &reply->body);
}

static void entry_free(struct entry *e)
{
	http_server_close(e->server);
	free((char *)(uintptr_t)e->key.ns);
	free((char *)(uintptr_t)e->key.name);
	free(e);
}

static struct entry *entry_for(struct health_ports *h, const struct service *s)
{
	struct name_key key = {service_namespace(s), service_name(s)};
	struct entry *e = hash_find(&h->entries, &key);

	if (e)
		return e;
	e = xcalloc(1, sizeof(*e));
	e->owner = h;
	e->key.ns = xstrdup(key.ns);
	e->key.name = xstrdup(key.name);
	(void)hash_put(&h->entries, e);
	return e;
}

static void take_away(struct health_ports *h, const struct service *s)
{
	if (s && s->health_check_port)
		entry_for(h, s)->n_ports[s->family]--;
}

static void put(struct health_ports *h, const struct service *s)
{
	struct entry *e;

	if (!s || !s->health_check_port)
		return;
	e = entry_for(h, s);
	e->n_ports[s->family]++;
	e->port = s->health_check_port;
	e->local_ready[s->family] = s->local_ready;
}

static int open_server(struct health_ports *h, struct entry *e)
{
	struct addr any = addr_unspecified(FAMILY_IPV4);
	int err;

	http_server_close(take_ptr(e->server));
	err = http_server_open(h->loop, &any, e->port, on_request, e, &e->server);
	if (err) {
		log_warn("health check node port %u of %s/%s: %s", e->port, e->key.ns,
			 e->key.name, strerror(-err));
		if (h->hooks.failed)
			h->hooks.failed(h->hooks.data, e->key.ns, e->key.name, e->port,
					err);
		return err;
	}
	e->open_port = e->port;
	return 0;
}

static int health_ports_apply(struct sink *sink, const struct changeset *cs)
{
	struct health_ports *h = container_of(sink, struct health_ports, sink);
	struct entry *e;
	int err = 0;

	if (cs->full)
		for (size_t i = 0; (e = hash_next(&h->entries, &i));) {
			memset(e->n_ports, 0, sizeof(e->n_ports));
		}
	for (size_t i = 0; i < cs->n; i++) {
		take_away(h, cs->changes[i].old);
		put(h, cs->changes[i].new);
	}
	for (size_t i = 0; (e = hash_next(&h->entries, &i));) {
		if (!e->n_ports[FAMILY_IPV4] && !e->n_ports[FAMILY_IPV6]) {
			(void)hash_del(&h->entries, &e->key);
			entry_free(e);
		} else if ((!e->server || e->open_port != e->port) && open_server(h, e)) {
			err = -EREMOTEIO;
		}
	}
	return err;
}

static void health_ports_close(struct sink *sink)
{
	struct health_ports *h = container_of(sink, struct health_ports, sink);
	struct entry *e;

	for (size_t i = 0; (e = hash_next(&h->entries, &i));)
		entry_free(e);
	hash_fini(&h->entries);
	free(h);
}

static const struct sink_ops health_ports_ops = {
	.name = "health check node ports",
	.apply = health_ports_apply,
	.close = health_ports_close,
};

struct sink *health_ports_new(struct ev_loop *loop,
			      const struct health_ports_hooks *hooks)
{
	struct health_ports *h = xcalloc(1, sizeof(*h));

	h->sink.ops = &health_ports_ops;
	h->loop = loop;
	h->hooks = *hooks;
	hash_init(&h->entries, &name_key_ops);
	return &h->sink;
}
