/*
 * Listeners and their owners.  A frontend that moves between services keeps its
 * listener: it loses its owner first, and is closed only if it has none at the end.
 */
#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/relay/relay_local.h"
#include "proxy/relay/relay_sink_private.h"

static bool has_address(const struct relay_sink *r, const struct service *s,
			const struct frontend *f, const struct addr *a)
{
	size_t n;
	const struct addr *addresses = relay_sink_addresses(r, s, f, &n);

	for (size_t i = 0; i < n; i++)
		if (addr_equal(&addresses[i], a))
			return true;
	return false;
}

static const struct frontend *find_frontend(const struct relay_sink *r,
					    const struct service *s,
					    const struct relay_listener_key *key)
{
	const struct frontend *frontends = service_frontends(s);

	for (uint32_t i = 0; i < s->n_frontends; i++)
		if (frontends[i].port == key->port &&
		    has_address(r, s, &frontends[i], &key->addr))
			return &frontends[i];
	return NULL;
}

static const struct frontend *find_kept(const struct relay_sink *r,
					const struct relay_entry *e,
					const struct service *new,
					const struct relay_listener_key *key)
{
	if (relay_sink_is_local(r, e, key))
		return relay_local_frontend(new);
	return find_frontend(r, new, key);
}

void relay_sink_orphan(struct relay_sink *r, struct relay_entry *e,
		       const struct service *new)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_listeners; i++) {
		struct relay_listener *l = e->listeners[i];
		const struct frontend *f = new ? find_kept(r, e, new, &l->key) : NULL;

		if (f && relay_listener_is_needed(new, f)) {
			e->listeners[n++] = l;
			continue;
		}
		l->owner = NULL;
		if (l->is_orphan)
			continue;
		l->is_orphan = true;
		r->orphans = xgrow(r->orphans, r->n_orphans, &r->cap_orphans,
				   sizeof(struct relay_listener *));
		r->orphans[r->n_orphans++] = l;
	}
	e->n_listeners = n;
}

void relay_sink_close_orphans(struct relay_sink *r)
{
	for (size_t i = 0; i < r->n_orphans; i++) {
		struct relay_listener *l = r->orphans[i];

		l->is_orphan = false;
		if (l->owner)
			continue;
		(void)hash_del(&r->listeners, &l->key);
		relay_sink_unstore(r, &l->key);
		relay_listener_close(l, &r->outbox);
	}
	r->n_orphans = 0;
}

/* With many frontends a socket for each worker would take all descriptors. */
static bool is_shared(const struct relay_sink *r)
{
	return (r->listeners.n + 1) * r->shared.n_workers >= r->limit.n_max / 4;
}

int relay_sink_listen_at(struct relay_sink *r, struct relay_entry *e,
			 const struct frontend *f, const struct relay_listener_key *key,
			 const char **ret_why)
{
	struct relay_listener *l = hash_find(&r->listeners, key);
	int err;

	if (l && l->owner && l->owner != e) {
		*ret_why = "another Service has this address and port";
		return -EADDRINUSE;
	}
	if (l) {
		bool is_own = l->owner == e;

		err = relay_listener_retarget(l, &r->outbox, e->current, f);
		if (err) {
			*ret_why = strerror(-err);
			return err;
		}
		l->owner = e;
		if (is_own)
			return 0;
	} else {
		err = relay_listener_open(&r->outbox, e->current, f, key, is_shared(r),
					  &l, ret_why);
		if (err)
			return err;
		l->owner = e;
		if (r->state)
			l->n_before = relay_state_frontend_n(r->state, &l->key);
		(void)hash_put(&r->listeners, l);
		relay_sink_store(r, l);
	}
	e->listeners =
		xgrow(e->listeners, e->n_listeners, &e->cap, sizeof(*e->listeners));
	e->listeners[e->n_listeners++] = l;
	return 0;
}

int relay_sink_listen(struct relay_sink *r, struct relay_entry *e,
		      const struct frontend *f, const struct addr *addr,
		      const char **ret_why)
{
	const struct relay_listener_key key =
		relay_listener_key_of(e->current->service, f, addr);

	return relay_sink_listen_at(r, e, f, &key, ret_why);
}
