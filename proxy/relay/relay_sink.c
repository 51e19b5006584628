/*
 * A change set is applied in three steps: frontends that leave a service lose
 * their owner, new and changed ones take or open their listener, and what has no
 * owner then is closed.  So a frontend that moves between services keeps its
 * listener.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/relay/relay.h"
#include "proxy/relay/relay_local.h"
#include "proxy/relay/relay_sink_private.h"

#define MAX_WORKERS 256

static const void *entry_key(const void *item)
{
	return ((const struct relay_entry *)item)->current->service;
}

static uint64_t service_hash(const void *key)
{
	return service_hash_key(key);
}

static bool entry_equal(const void *item, const void *key)
{
	return service_same_key(entry_key(item), key);
}

static const struct hash_ops entry_ops = {.hash = service_hash,
					  .equal = entry_equal,
					  .key = entry_key};

struct relay_entry *relay_sink_find(const struct relay_sink *r, const struct service *s)
{
	return hash_find(&r->entries, s);
}

/* ---- node addresses ---- */

const struct addr *relay_sink_addresses(const struct relay_sink *r,
					const struct service *s, const struct frontend *f,
					size_t *ret_n)
{
	const struct node_list *list = &r->node_addresses[s->family];

	*ret_n = frontend_is_everywhere(f) ? list->n : 1;
	return frontend_is_everywhere(f) ? list->items : &f->addr;
}

/* Takes the node addresses; returns whether they are others. */
static bool take_addresses(struct relay_sink *r, const struct environment *env)
{
	bool has_moved = false;

	for (enum family family = 0; family < FAMILY_N; family++) {
		struct node_list old = r->node_addresses[family];

		r->node_addresses[family] = (struct node_list){0};
		node_list_set(&r->node_addresses[family], env, family);
		has_moved |= !node_list_equal(&old, &r->node_addresses[family]);
		node_list_fini(&old);
	}
	return has_moved;
}

static bool has_everywhere(const struct service *s)
{
	for (uint32_t i = 0; i < s->n_frontends; i++)
		if (frontend_is_everywhere(&service_frontends(s)[i]))
			return true;
	return false;
}

/* ---- entries ---- */

static void retire(struct relay_sink *r, const struct relay_service *old,
		   const struct relay_service *successor)
{
	r->has_reviews |= relay_service_retire(old, successor, relay_now_ms());
}

static void remove_entry(struct relay_sink *r, struct relay_entry *e)
{
	(void)hash_del(&r->entries, e->current->service);
	relay_sink_orphan(r, e, NULL);
	if (e->has_routes)
		relay_sink_put_routes(r, e->current->service,
				      e->current->service->n_frontends);
	retire(r, e->current, NULL);
	relay_service_unref(e->current);
	free(e->listeners);
	free(e);
}

static void refuse(struct relay_sink *r, const struct changeset *cs,
		   struct relay_entry *e, const char *where, const char *why)
{
	_cleanup_(freep) char *text = xasprintf("%s: %s", where, why);
	struct service *service = service_ref(e->current->service);

	remove_entry(r, e);
	changeset_refuse(cs, service, text);
	service_unref(service);
}

/* A new version of a known or unknown service; e->current is the result. */
static struct relay_entry *put_version(struct relay_sink *r,
				       const struct service *service)
{
	struct relay_entry *e = hash_find(&r->entries, service);
	struct relay_service *old = e ? e->current : NULL;
	struct relay_service *made =
		relay_service_new(service, &r->classifier[service->family], old);

	if (!e) {
		e = xcalloc(1, sizeof(*e));
		relay_sink_restore_service(r, made);
	} else {
		(void)hash_del(&r->entries, service);
		retire(r, old, made);
	}
	e->current = made;
	(void)hash_put(&r->entries, e);
	relay_service_unref(old);
	return e;
}

static bool is_current(const struct relay_sink *r, const struct relay_entry *e,
		       const struct service *service)
{
	return e && service_equal(e->current->service, service) &&
	       relay_classifier_equal(&e->current->classifier,
				      &r->classifier[service->family]);
}

static int listen_frontend(struct relay_sink *r, const struct changeset *cs,
			   struct relay_entry *e, const struct frontend *f)
{
	const struct service *service = e->current->service;
	size_t n;
	const struct addr *addresses = relay_sink_addresses(r, service, f, &n);

	for (size_t i = 0; i < n; i++) {
		char text[ADDR_PORT_TEXT_LEN];
		const char *why;

		if (relay_sink_listen(r, e, f, &addresses[i], &why) == 0)
			continue;
		(void)addr_port_format(&addresses[i], f->port, text);
		refuse(r, cs, e, text, why);
		return -EREMOTEIO;
	}
	return 0;
}

static int listen_local(struct relay_sink *r, const struct changeset *cs,
			struct relay_entry *e)
{
	const char *why;
	int err = relay_sink_listen_local(r, e, &why);

	if (!err)
		return 0;
	refuse(r, cs, e, "local port", why);
	return -EREMOTEIO;
}

static int listen_all(struct relay_sink *r, const struct changeset *cs,
		      struct relay_entry *e)
{
	const struct service *service = e->current->service;
	const struct frontend *f = service_frontends(service);
	uint32_t n = service->n_frontends;
	int err = 0;

	/* a refused one is removed, and its service freed */
	for (uint32_t i = 0; i < n && !err; i++)
		if (relay_sink_serves(r, &f[i]) &&
		    relay_listener_is_needed(service, &f[i]))
			err = listen_frontend(r, cs, e, &f[i]);
	return err ? err : listen_local(r, cs, e);
}

static int put_service(struct relay_sink *r, const struct changeset *cs,
		       const struct service *service)
{
	struct relay_entry *e = hash_find(&r->entries, service);
	struct service *routed =
		e && e->has_routes ? service_ref(e->current->service) : NULL;
	bool is_known =
		is_current(r, e, service) && !(r->has_moved && has_everywhere(service));
	int err = relay_sink_get_routes(r, service);

	if (!is_known)
		e = put_version(r, service);
	if (routed) {
		relay_sink_put_routes(r, routed, routed->n_frontends);
		service_unref(routed);
	}
	e->is_seen = true;
	e->has_routes = !err;
	if (err) {
		refuse(r, cs, e, "local route", strerror(-err));
		return -EREMOTEIO;
	}
	return is_known ? 0 : listen_all(r, cs, e);
}

static int put_change(struct relay_sink *r, const struct changeset *cs,
		      const struct service *service)
{
	if (service->proto != IPPROTO_SCTP)
		return put_service(r, cs, service);
	changeset_refuse(cs, service, "mode userspace does not serve SCTP");
	return -EREMOTEIO;
}

/* ---- the change set ---- */

static void leave(struct relay_sink *r, const struct change *change)
{
	struct relay_entry *e =
		hash_find(&r->entries, change->new ? change->new : change->old);

	if (!e)
		return;
	e->is_seen = true;
	if (change->new)
		relay_sink_orphan(r, e, change->new);
	else
		remove_entry(r, e);
}

static void remove_unseen(struct relay_sink *r)
{
	struct relay_entry *e;

	for (size_t i = 0; (e = hash_next(&r->entries, &i));)
		if (!e->is_seen)
			remove_entry(r, e);
}

static int start_workers(struct relay_sink *r)
{
	unsigned n = r->shared.n_workers;

	if (r->shared.workers)
		return 0;
	r->shared.workers = xcalloc(n, sizeof(*r->shared.workers));
	r->outbox.of_worker = xcalloc(n, sizeof(*r->outbox.of_worker));
	r->outbox.shared = &r->shared;
	for (unsigned i = 0; i < n; i++) {
		int err = relay_worker_new(&r->shared, &r->shared.workers[i]);

		if (err) {
			if (i == 0) {
				free(take_ptr(r->shared.workers));
				free(take_ptr(r->outbox.of_worker));
				return err;
			}
			r->shared.n_workers = i; /* these serve everything */
			log_warn("userspace: %u workers of %u: %s", i, n, strerror(-err));
			return 0;
		}
		STAILQ_INIT(&r->outbox.of_worker[i]);
	}
	relay_sink_restore_workers(r);
	return 0;
}

static void send_messages(struct relay_sink *r)
{
	for (unsigned i = 0; i < r->shared.n_workers; i++) {
		struct relay_messages *messages = &r->outbox.of_worker[i];

		if (r->has_reviews) {
			struct relay_message *m = relay_message_new(RELAY_REVIEW, NULL);

			STAILQ_INSERT_TAIL(messages, m, next);
		}
		relay_worker_send(r->shared.workers[i], messages);
	}
	r->has_reviews = false;
}

static void start_full(struct relay_sink *r, const struct environment *env)
{
	struct relay_entry *e;

	r->has_moved = take_addresses(r, env);
	for (size_t i = 0; (e = hash_next(&r->entries, &i));)
		e->is_seen = e->has_routes = false;
	for (enum family family = 0; family < FAMILY_N; family++)
		r->classifier[family] = relay_classifier_of(env, family);
}

static int relay_apply(struct sink *sink, const struct changeset *cs)
{
	struct relay_sink *r = container_of(sink, struct relay_sink, sink);
	int err = start_workers(r), result = 0;

	if (!cs->full && cs->n_node_changes)
		return -ESTALE; /* which services are at node addresses is not kept */
	r->has_moved = false;
	r->n_quiet = 0;
	if (!err && cs->full)
		err = relay_sink_restart_routes(r, cs->env);
	if (err)
		return err;
	if (cs->full)
		start_full(r, cs->env);
	for (size_t i = 0; i < cs->n; i++)
		leave(r, &cs->changes[i]);
	if (cs->full)
		remove_unseen(r);
	for (size_t i = 0; i < cs->n; i++)
		if (cs->changes[i].new &&put_change(r, cs, cs->changes[i].new) != 0)
			result = -EREMOTEIO;
	relay_sink_close_orphans(r);
	if (cs->full && r->can_route)
		relay_routes_prune(r->routes);
	send_messages(r);
	if (cs->full)
		relay_sink_adopted(r);
	return result;
}

static int relay_fd(const struct sink *sink)
{
	const struct relay_sink *r = container_of(sink, const struct relay_sink, sink);

	return r->can_route ? relay_routes_fd(r->routes) : -1;
}

static bool relay_check(struct sink *sink)
{
	return relay_routes_check(container_of(sink, struct relay_sink, sink)->routes);
}

static void relay_close(struct sink *sink)
{
	struct relay_sink *r = container_of(sink, struct relay_sink, sink);
	struct relay_entry *e;
	struct relay_listener *l;

	relay_sink_leave(r);
	for (size_t i = 0; r->shared.workers && i < r->shared.n_workers; i++)
		relay_worker_free(r->shared.workers[i]);
	for (size_t i = 0; (l = hash_next(&r->listeners, &i));) {
		relay_filter_fini(&l->filter);
		free(l);
	}
	for (size_t i = 0; (e = hash_next(&r->entries, &i));) {
		relay_service_unref(e->current);
		free(e->listeners);
		free(e);
	}
	hash_fini(&r->listeners);
	hash_fini(&r->entries);
	relay_routes_close(r->routes);
	relay_affinity_free(r->shared.affinity);
	free(r->shared.workers);
	free(r->outbox.of_worker);
	free(r->orphans);
	for (enum family family = 0; family < FAMILY_N; family++)
		node_list_fini(&r->node_addresses[family]);
	free(r);
}

static const struct sink_ops relay_ops = {
	.name = "userspace",
	.apply = relay_apply,
	.close = relay_close,
	.fd = relay_fd,
	.check = relay_check,
	.made = "local routes",
	.view = &relay_view,
};

static unsigned count_cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == -1)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

static uint32_t or_default(uint32_t value, uint32_t usual)
{
	return value ? value : usual;
}

/* By local routes, or at local ports; node ports in any case. */
static void set_places(struct relay_sink *r)
{
	bool may_route = relay_routes_is_permitted(r->routes), has_local = false;
	char text[ADDR_TEXT_LEN];
	size_t n;

	for (enum family family = 0; family < FAMILY_N; family++) {
		has_local |= r->params.has_local[family];
		if (r->params.has_local[family])
			log_info("userspace: Services are served at local ports (%u to "
				 "%u) of %s, see sluice get services; their own "
				 "addresses are not",
				 RELAY_LOCAL_FIRST, RELAY_LOCAL_LAST,
				 addr_format(&r->params.local[family], text));
	}
	r->can_route = may_route && !has_local;
	if (may_route && has_local && relay_routes_cleanup(&n) != 0)
		log_warn(
			"userspace: could not remove the local routes of an earlier run");
	if (!may_route && !has_local)
		log_warn(
			"userspace: CAP_NET_ADMIN is missing for local routes: only node "
			"ports are served; --userspace-listen serves the others at local "
			"ports");
}

int relay_sink_new(const struct relay_params *params, struct sink **ret, char **ret_why)
{
	struct relay_routes *routes;
	struct relay_sink *r;
	unsigned n = params->n_workers ? params->n_workers : count_cores();
	int err = relay_routes_open(&routes);

	if (err) {
		*ret_why = xasprintf("rtnetlink: %s", strerror(-err));
		return err;
	}
	r = xcalloc(1, sizeof(*r));
	r->sink.ops = &relay_ops;
	r->routes = routes;
	r->shared.limit = &r->limit;
	r->shared.affinity = relay_affinity_new();
	r->shared.n_workers = n < MAX_WORKERS ? n : MAX_WORKERS;
	relay_limit_init(&r->limit, r->shared.n_workers);
	hash_init(&r->entries, &entry_ops);
	hash_init(&r->listeners, &relay_listener_ops);
	r->params = *params;
	relay_sink_inherit(r);
	r->shared.udp_unanswered_sec = or_default(params->udp_unanswered_sec, 30);
	r->shared.udp_answered_sec = or_default(params->udp_answered_sec, 120);
	log_info("userspace: %u workers; the limits of open files and ports allow %u "
		 "connections, or %u UDP flows and fewer connections",
		 r->shared.n_workers, relay_limit_max_conns(&r->limit),
		 relay_limit_max_flows(&r->limit));
	set_places(r);
	*ret = &r->sink;
	return 0;
}

int relay_cleanup(size_t *ret_n)
{
	return relay_routes_cleanup(ret_n);
}
