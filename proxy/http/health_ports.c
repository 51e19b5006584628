/*
 * The ports and families of one Service share a health check node port, so
 * entries are counted by (namespace, name).  A full apply counts from scratch, a
 * delta adjusts the counts; then listeners are opened and closed accordingly.
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

#define MAX_CONNECTIONS 256 /* of all ports */
#define N_PORT_BLOCKS	256
#define PORT_BLOCK_N	256 /* numbers in each */

struct health_ports {
	struct sink sink;
	struct ev_loop *loop;
	struct health_ports_hooks hooks;
	struct hash entries;
	struct http_server *server; /* made with the first port */
	/* Frontends that are TCP node ports, by number. NULL: none in the block. */
	uint16_t *n_node_ports[N_PORT_BLOCKS];
};

struct entry {		     /* a Service with a health check node port */
	struct name_key key; /* owned */
	struct health_ports *owner;
	struct http_listener *listener;
	uint16_t open_port;   /* of the listener */
	uint16_t port;	      /* wanted */
	uint16_t logged_port; /* with logged_err: a failure that has been logged */
	int logged_err;
	uint32_t n_ports[FAMILY_N]; /* of the Service */
	uint32_t local_ready[FAMILY_N];
};

/* A Service of two families answers for the client's; one of a single family for both. */
static uint32_t local_ready(const struct entry *e, enum family family)
{
	enum family other = family == FAMILY_IPV4 ? FAMILY_IPV6 : FAMILY_IPV4;

	return e->local_ready[e->n_ports[family] ? family : other];
}

static void on_request(void *data, const struct http_request *request,
		       struct http_reply *reply)
{
	const struct entry *e = data;
	const struct health_ports_hooks *hooks = &e->owner->hooks;
	uint32_t n = local_ready(e, request->family);

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
	http_listener_close(e->listener);
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

static bool is_node_port(const struct health_ports *h, uint16_t port)
{
	const uint16_t *block = h->n_node_ports[port / PORT_BLOCK_N];

	return block && block[port % PORT_BLOCK_N] > 0;
}

static void count_node_port(struct health_ports *h, uint16_t port, int by)
{
	uint16_t **block = &h->n_node_ports[port / PORT_BLOCK_N];

	if (!*block)
		*block = xcalloc(PORT_BLOCK_N, sizeof(**block));
	(*block)[port % PORT_BLOCK_N] += (uint16_t)by;
}

static void forget_node_ports(struct health_ports *h)
{
	for (size_t i = 0; i < N_PORT_BLOCKS; i++)
		free(take_ptr(h->n_node_ports[i]));
}

static void count_node_ports(struct health_ports *h, const struct service *s, int by)
{
	const struct frontend *frontends = service_frontends(s);

	for (uint32_t i = 0; s->proto == IPPROTO_TCP && i < s->n_frontends; i++)
		if (frontends[i].kind == FRONTEND_NODE_PORT)
			count_node_port(h, frontends[i].port, by);
}

static void take_away(struct health_ports *h, const struct service *s)
{
	if (!s)
		return;
	count_node_ports(h, s, -1);
	if (s->health_check_port)
		entry_for(h, s)->n_ports[s->family]--;
}

static void put(struct health_ports *h, const struct service *s)
{
	struct entry *e;

	if (!s)
		return;
	count_node_ports(h, s, 1);
	if (!s->health_check_port)
		return;
	e = entry_for(h, s);
	e->n_ports[s->family]++;
	e->port = s->health_check_port;
	e->local_ready[s->family] = s->local_ready;
}

/*
 * -EEXIST: packets to the port are balanced as those to a node port, before a listener
 * here would see them.
 */
static int open_port(struct health_ports *h, struct entry *e)
{
	struct addr any = addr_unspecified(FAMILY_IPV4);
	int err = 0;

	http_listener_close(take_ptr(e->listener));
	if (is_node_port(h, e->port))
		return -EEXIST;
	if (!h->server)
		err = http_server_new(h->loop, MAX_CONNECTIONS, &h->server);
	if (!err)
		err = http_server_listen(h->server, &any, e->port, on_request, e,
					 &e->listener);
	e->open_port = e->port;
	return err;
}

/* Ports of one apply to log in one line. */
struct batch {
	size_t n;
	const struct entry *first;
};

struct news {
	struct batch refused, taken, recovered;
};

static void add_to(struct batch *batch, const struct entry *e)
{
	if (batch->n++ == 0)
		batch->first = e;
}

static void note_result(struct health_ports *h, struct entry *e, int err,
			struct news *news)
{
	bool is_known = e->logged_err == err && e->logged_port == e->port;

	if (!err && e->logged_err)
		add_to(&news->recovered, e);
	e->logged_err = err;
	e->logged_port = e->port;
	if (!err || is_known)
		return;
	add_to(err == -EEXIST ? &news->taken : &news->refused, e);
	if (h->hooks.failed)
		h->hooks.failed(h->hooks.data, e->key.ns, e->key.name, e->port,
				err == -EEXIST ? -EADDRINUSE : err);
}

static void log_batch(const struct batch *batch, const char *what)
{
	const struct entry *e = batch->first;
	char more[48] = "";
	int err;

	if (!e)
		return;
	err = e->logged_err;
	if (batch->n > 1)
		(void)snprintf(more, sizeof(more), " (and %zu more ports)", batch->n - 1);
	log_line(err ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
		 "health check node port %u of %s/%s%s: %s%s%s", e->port, e->key.ns,
		 e->key.name, more, what, err && err != -EEXIST ? ": " : "",
		 err && err != -EEXIST ? strerror(-err) : "");
}

static bool is_unused(const struct entry *e)
{
	return !e->n_ports[FAMILY_IPV4] && !e->n_ports[FAMILY_IPV6];
}

/* The services whose port is not open: they count as unknown from now on. */
static void refuse(struct health_ports *h, const struct changeset *cs)
{
	for (size_t i = 0; i < cs->n; i++) {
		const struct service *s = cs->changes[i].new;

		if (!s || !s->health_check_port || entry_for(h, s)->listener ||
		    is_node_port(h, s->health_check_port))
			continue;
		changeset_refuse(cs, s, NULL); /* logged above */
		take_away(h, s);
	}
}

static int health_ports_apply(struct sink *sink, const struct changeset *cs)
{
	struct health_ports *h = container_of(sink, struct health_ports, sink);
	struct news news = {0};
	struct entry *e;
	int result = 0;

	if (cs->full) {
		forget_node_ports(h);
		for (size_t i = 0; (e = hash_next(&h->entries, &i));)
			memset(e->n_ports, 0, sizeof(e->n_ports));
	}
	for (size_t i = 0; i < cs->n; i++) {
		take_away(h, cs->changes[i].old);
		put(h, cs->changes[i].new);
	}
	for (size_t i = 0; (e = hash_next(&h->entries, &i));) {
		int err = 0;

		if (is_unused(e)) {
			/* a refused one is kept for the log until everything is known again */
			if (cs->full || !e->logged_err) {
				(void)hash_del(&h->entries, &e->key);
				entry_free(e);
			}
			continue;
		}
		if (!e->listener || e->open_port != e->port || is_node_port(h, e->port))
			err = open_port(h, e);
		note_result(h, e, err, &news);
		if (err && err != -EEXIST) /* that one ends with a change of a Service */
			result = -EREMOTEIO;
	}
	log_batch(&news.refused, "could not open, retrying");
	log_batch(&news.taken, "it is the node port of a Service, which keeps it; see "
			       "sluice explain");
	log_batch(&news.recovered, "open now");
	if (result)
		refuse(h, cs);
	return result;
}

static void health_ports_close(struct sink *sink)
{
	struct health_ports *h = container_of(sink, struct health_ports, sink);
	struct entry *e;

	for (size_t i = 0; (e = hash_next(&h->entries, &i));)
		entry_free(e);
	hash_fini(&h->entries);
	http_server_free(h->server);
	forget_node_ports(h);
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
