/*
 * Listeners at local ports, in place of local routes.
 */
#include <errno.h>

#include "core/log.h"
#include "proxy/relay/relay_local.h"
#include "proxy/relay/relay_sink_private.h"

bool relay_sink_is_local(const struct relay_sink *r, const struct relay_entry *e,
			 const struct relay_listener_key *key)
{
	enum family family = addr_family(&key->addr);

	return r->params.has_local[family] && e->local_port &&
	       key->port == e->local_port &&
	       addr_equal(&key->addr, &r->params.local[family]);
}

/* One line for all of the family: each row of `get` has the reason, too. */
static void log_unserved(struct relay_sink *r, enum family family)
{
	if (!r->params.has_local[!family] || r->has_logged[family])
		return;
	r->has_logged[family] = true;
	log_warn("userspace: %s Services have no local port: userspace-listen has no "
		 "address of this family",
		 family_name(family));
}

int relay_sink_listen_local(struct relay_sink *r, struct relay_entry *e,
			    const char **ret_why)
{
	const struct service *s = e->current->service;
	const struct frontend *f = relay_local_frontend(s);
	struct relay_listener_key key = {
		.addr = r->params.local[s->family],
		.port = e->local_port,
		.proto = s->proto,
	};
	int err = -EADDRINUSE;

	if (!r->params.has_local[s->family])
		log_unserved(r, s->family);
	if (!r->params.has_local[s->family] || !f || !relay_listener_is_needed(s, f))
		return 0;
	if (e->local_port)
		err = relay_sink_listen_at(r, e, f, &key, ret_why);
	for (unsigned n = 0; err == -EADDRINUSE && n < RELAY_LOCAL_TRIES; n++) {
		key.port = relay_local_port(s, n);
		err = relay_sink_listen_at(r, e, f, &key, ret_why);
	}
	if (!err)
		e->local_port = key.port;
	return err;
}

void relay_sink_place(const struct sink *sink, const struct service *s,
		      const struct frontend *f, struct sink_place *ret)
{
	const struct relay_sink *r = container_of(sink, struct relay_sink, sink);
	const struct relay_entry *e = relay_sink_find(r, s);

	*ret = (struct sink_place){0};
	if (e && e->local_port) {
		ret->local = r->params.local[s->family];
		ret->local_port = e->local_port;
	}
	if (relay_sink_serves(r, f))
		return;
	ret->why_not =
		r->params.has_local[FAMILY_IPV4] || r->params.has_local[FAMILY_IPV6]
			? "with userspace-listen only node ports and local ports "
			  "are served"
			: "local routes need CAP_NET_ADMIN";
}
