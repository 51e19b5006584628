/*
 * The local routes of the services: one for each service network, and one for each
 * address outside of them.
 */
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "proxy/relay/relay_sink_private.h"

static bool has_network(const struct relay_sink *r, const struct addr *a)
{
	for (size_t i = 0; i < r->n_networks; i++)
		if (cidr_contains(&r->networks[i], a))
			return true;
	return false;
}

static bool needs_route(const struct relay_sink *r, const struct frontend *f)
{
	return r->can_route && f->kind != FRONTEND_NODE_PORT && !has_network(r, &f->addr);
}

bool relay_sink_serves(const struct relay_sink *r, const struct frontend *f)
{
	return r->can_route || f->kind == FRONTEND_NODE_PORT;
}

static struct cidr host_cidr(const struct addr *a)
{
	return (struct cidr){*a, addr_family(a) == FAMILY_IPV4 ? 32 : 128};
}

void relay_sink_put_routes(struct relay_sink *r, const struct service *s, uint32_t n)
{
	const struct frontend *frontends = service_frontends(s);

	for (uint32_t i = 0; i < n; i++) {
		struct cidr net = host_cidr(&frontends[i].addr);

		if (needs_route(r, &frontends[i]))
			relay_routes_put(r->routes, &net);
	}
}

int relay_sink_get_routes(struct relay_sink *r, const struct service *s)
{
	const struct frontend *frontends = service_frontends(s);

	for (uint32_t i = 0; i < s->n_frontends; i++) {
		struct cidr net = host_cidr(&frontends[i].addr);
		int err = needs_route(r, &frontends[i])
				  ? relay_routes_get(r->routes, &net)
				  : 0;

		if (err) {
			relay_sink_put_routes(r, s, i);
			return err;
		}
	}
	return 0;
}

int relay_sink_restart_routes(struct relay_sink *r, const struct environment *env)
{
	int err = r->can_route ? relay_routes_restart(r->routes) : 0;

	r->n_networks = 0;
	if (err || !r->can_route)
		return err;
	for (uint32_t i = 0; i < env->n_service_cidrs; i++) {
		char text[CIDR_TEXT_LEN];

		if (!env->enabled[cidr_family(&env->service_cidrs[i])])
			continue;
		err = relay_routes_get(r->routes, &env->service_cidrs[i]);
		if (err)
			log_warn("userspace: no local route for service network %s: %s; "
				 "each cluster IP gets its own",
				 cidr_format(&env->service_cidrs[i], text),
				 strerror(-err));
		else
			r->networks[r->n_networks++] = env->service_cidrs[i];
	}
	return 0;
}
