/*
 * `explain` for an address and port that are not a frontend: the first reason that
 * applies, from the most specific one on.
 */
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/control/inspect_parts.h"
#include "proxy/host/node_info.h"
#include "watchers/cluster.h"

struct reason { /* the action, and why; text is owned */
	const char *action;
	char *text;
};

bool inspect_is_host(const struct inspect *in, const struct addr *a)
{
	for (size_t i = 0; i < in->node_info->n_hosts; i++)
		if (addr_equal(&in->node_info->hosts[i], a))
			return true;
	return false;
}

static bool is_at_address(const struct question *q, const struct service *s,
			  const struct frontend *f)
{
	return addr_equal(&f->addr, &q->target.addr);
}

static bool is_node_port(const struct question *q, const struct service *s,
			 const struct frontend *f)
{
	return f->kind == FRONTEND_NODE_PORT && f->port == q->target.port &&
	       s->proto == q->target.proto;
}

static const struct service *find_frontend(const struct question *q,
					   bool (*matches)(const struct question *q,
							   const struct service *s,
							   const struct frontend *f),
					   const struct frontend **ret)
{
	const struct service *s;

	for (size_t cursor = 0; (s = state_next(q->in->state, &cursor));)
		for (uint32_t i = 0; i < s->n_frontends; i++)
			if (matches(q, s, &service_frontends(s)[i])) {
				*ret = &service_frontends(s)[i];
				return s;
			}
	return NULL;
}

static bool other_port(const struct question *q, struct reason *ret)
{
	const struct frontend *f;
	const struct service *s = find_frontend(q, is_at_address, &f);
	char label[512];

	if (!s || f->kind == FRONTEND_NODE_PORT)
		return false;
	service_label(s, label, sizeof(label));
	if (f->kind == FRONTEND_CLUSTER_IP)
		ret->text = xasprintf("it is the cluster IP of %s, but not a port of it",
				      label);
	else
		ret->text =
			xasprintf("it is an address of %s (%s), but not a port of it; "
				  "packets from other hosts are refused where they would "
				  "leave by the interface that they came in by",
				  label, frontend_kind_name(f->kind));
	if (f->kind == FRONTEND_CLUSTER_IP)
		ret->action = "reject";
	return true;
}

static bool has_cluster_ip(const struct object_service *s, const struct addr *a)
{
	enum family family = addr_family(a);

	return s->has_family[family] && addr_equal(&s->cluster_ip[family], a);
}

/* ipMode Proxy: packets to it are meant for the load balancer. */
static bool has_proxied_address(const struct object_service *s, const struct addr *a)
{
	for (uint32_t i = 0; i < s->n_ingress; i++)
		if (s->ingress[i].is_proxy_mode && addr_equal(&s->ingress[i].addr, a))
			return true;
	return false;
}

/* The Service that has this address, although nothing is programmed for it. */
static const struct object_service *
find_unserved(const struct question *q,
	      bool (*has)(const struct object_service *s, const struct addr *a))
{
	size_t n;
	_cleanup_(freep) const struct object_service **all =
		cluster_services(q->in->cluster, &n);

	for (size_t i = 0; i < n; i++)
		if (has(all[i], &q->target.addr))
			return all[i];
	return NULL;
}

static bool unserved_cluster_ip(const struct question *q, struct reason *ret)
{
	const struct object_service *s = find_unserved(q, has_cluster_ip);

	if (!s)
		return false;
	ret->text =
		xasprintf("it is the cluster IP of %s/%s, which %s", s->base.ns,
			  s->base.name,
			  s->is_hidden			     ? "a label hides from us"
			  : s->is_headless		     ? "is headless"
			  : s->type == SERVICE_EXTERNAL_NAME ? "is an ExternalName"
							     : "is not programmed yet");
	return true;
}

static bool service_cidr(const struct question *q, struct reason *ret)
{
	const struct environment *env = &q->in->node_info->env;

	for (uint32_t i = 0; i < env->n_service_cidrs; i++) {
		if (!cidr_contains(&env->service_cidrs[i], &q->target.addr))
			continue;
		ret->action = "drop";
		if (!unserved_cluster_ip(q, ret))
			ret->text =
				xstrdup("no Service has this address of a ServiceCIDR");
		return true;
	}
	return false;
}

static bool proxied_address(const struct question *q, struct reason *ret)
{
	const struct object_service *s = find_unserved(q, has_proxied_address);

	if (!s)
		return false;
	ret->text = xasprintf("it is a load balancer's address of %s/%s with ipMode "
			      "Proxy, which the load balancer itself serves",
			      s->base.ns, s->base.name);
	return true;
}

static bool node_port_elsewhere(const struct question *q, struct reason *ret)
{
	const struct frontend *f;
	const struct service *s = find_frontend(q, is_node_port, &f);
	char label[512];

	if (!s || !inspect_is_host(q->in, &q->target.addr))
		return false;
	ret->text = xasprintf("it is a node port of %s, which doesn't answer on this "
			      "address (nodeport-addresses)",
			      service_label(s, label, sizeof(label)));
	return true;
}

static bool health_check_port(const struct question *q, struct reason *ret)
{
	enum family family = addr_family(&q->target.addr);
	const struct service *s, *found = NULL;

	if (q->target.proto != IPPROTO_TCP || !inspect_is_host(q->in, &q->target.addr))
		return false;
	/* that of the client's family answers, if the Service has it */
	for (size_t cursor = 0; (s = state_next(q->in->state, &cursor));)
		if (s->health_check_port == q->target.port &&
		    (!found || s->family == family))
			found = s;
	if (!found)
		return false;
	ret->text = xasprintf("it is the health check node port of %s/%s: %s, %u "
			      "endpoint%s on this node",
			      service_namespace(found), service_name(found),
			      found->local_ready ? "200" : "503", found->local_ready,
			      found->local_ready == 1 ? "" : "s");
	return true;
}

static bool endpoint_itself(const struct question *q, struct reason *ret)
{
	const struct service *s;
	char label[512];

	for (size_t cursor = 0; (s = state_next(q->in->state, &cursor));)
		for (uint32_t i = 0; i < s->n_endpoints; i++) {
			const struct endpoint *e = &service_endpoints(s)[i];

			if (e->port != q->target.port || s->proto != q->target.proto ||
			    !addr_equal(&e->addr, &q->target.addr))
				continue;
			ret->text = xasprintf("it is an endpoint of %s; packets go there "
					      "directly and are not balanced",
					      service_label(s, label, sizeof(label)));
			return true;
		}
	return false;
}

void inspect_explain_unmatched(const struct question *q, json_t *result)
{
	static bool (*const reasons[])(const struct question *q, struct reason *ret) = {
		other_port,	 service_cidr,	    unserved_cluster_ip,
		proxied_address, health_check_port, node_port_elsewhere,
		endpoint_itself,
	};
	struct reason reason = {.action = "untouched"};

	for (size_t i = 0; i < N_ELEMENTS(reasons) && !reason.text; i++)
		(void)reasons[i](q, &reason);
	(void)json_object_set_new(result, "action", json_string(reason.action));
	(void)json_object_set_new(result, "why",
				  json_string(reason.text ? reason.text
							  : "it is not an address of a "
							    "Service"));
	free(reason.text);
}
