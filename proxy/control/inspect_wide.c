/*
 * `explain` for a Service, a node port or an address alone: each frontend that it
 * means is explained; of a Service, the first one of each port and family.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/control/inspect_parts.h"
#include "proxy/host/node_info.h"
#include "watchers/cluster.h"
#include "watchers/plan/left_out.h"

#define MAX_MATCHES 20

struct wide_question {
	struct question question; /* of one match after the other */
	const struct wide_target *wide;
	json_t *matches;
	size_t n_omitted;
};

static bool is_port(const struct service *s, const struct frontend *f, const char *port)
{
	char number[8];

	(void)snprintf(number, sizeof(number), "%u", f->port);
	return !*port || strcmp(service_port_name(s), port) == 0 ||
	       strcmp(number, port) == 0;
}

static bool is_meant(const struct wide_target *w, const struct service *s,
		     const struct frontend *f)
{
	switch (w->kind) {
	case TARGET_SERVICE:
		return strcmp(service_namespace(s), w->ns) == 0 &&
		       strcmp(service_name(s), w->name) == 0 &&
		       is_port(s, f, w->port_name);
	case TARGET_NODE_PORT:
		return f->kind == FRONTEND_NODE_PORT && f->port == w->port &&
		       (!w->proto || s->proto == w->proto);
	case TARGET_ADDRESS:
		return addr_equal(&f->addr, &w->addr);
	}
	return false;
}

/* An address that has the frontend, where that is at all of the node's. */
static struct addr address_of(const struct inspect *in, const struct frontend *f)
{
	const struct environment *env = &in->node_info->env;
	enum family family = addr_family(&f->addr);
	struct addr any = addr_unspecified(family);

	if (addr_equal(&f->addr, &any) && env->n_node_addresses[family])
		return env->node_addresses[family][0];
	return f->addr;
}

static void explain(struct wide_question *q, const struct service *s,
		    const struct frontend *f)
{
	if (json_array_size(q->matches) == MAX_MATCHES) {
		q->n_omitted++;
		return;
	}
	q->question.target = (struct target){
		.addr = address_of(q->question.in, f),
		.port = f->port,
		.proto = s->proto,
	};
	(void)json_array_append_new(q->matches, inspect_explain_target(&q->question));
}

static void explain_service(struct wide_question *q, const struct service *s)
{
	const struct question *one = &q->question;

	if (one->has_from && addr_family(&one->from) != s->family)
		return;
	for (uint32_t i = 0; i < s->n_frontends; i++) {
		const struct frontend *f = &service_frontends(s)[i];

		if (!is_meant(q->wide, s, f))
			continue;
		explain(q, s, f);
		if (q->wide->kind == TARGET_SERVICE)
			return;
	}
}

/* Keeps the first reason. */
static void keep_reason(void *data, const struct left_out *left)
{
	char **reason = data;

	if (!*reason)
		*reason = xasprintf("it is not served: %s", left->reason);
}

static char *why_no_service(const struct inspect *in, const struct wide_target *w)
{
	char *reason = NULL;

	if (!cluster_service(in->cluster, w->ns, w->name))
		return xasprintf("there is no Service %s/%s", w->ns, w->name);
	left_out_of(in->cluster, w->ns, w->name, keep_reason, &reason);
	if (reason)
		return reason;
	return *w->port_name
		       ? xasprintf("Service %s/%s has no port %s", w->ns, w->name,
				   w->port_name)
		       : xasprintf("Service %s/%s has no address here", w->ns, w->name);
}

static char *why_no_address(const struct inspect *in, const struct addr *addr)
{
	const struct service *s;
	char label[512];

	for (size_t i = 0; (s = state_next(in->state, &i));)
		for (uint32_t e = 0; e < s->n_endpoints; e++)
			if (addr_equal(&service_endpoints(s)[e].addr, addr))
				return xasprintf(
					"it is an endpoint of %s; connections to it are "
					"direct, not balanced",
					service_label(s, label, sizeof(label)));
	if (inspect_is_host(in, addr))
		return xstrdup("it is an address of this host, and no Service has node "
			       "ports there");
	return xstrdup("it is not an address of a Service or of an endpoint");
}

static char *why_none(const struct inspect *in, const struct wide_target *w)
{
	switch (w->kind) {
	case TARGET_SERVICE:
		return why_no_service(in, w);
	case TARGET_NODE_PORT:
		return xasprintf("no Service has node port %u here", w->port);
	case TARGET_ADDRESS:
		break;
	}
	return why_no_address(in, &w->addr);
}

json_t *inspect_explain_wide(const struct question *q, const struct wide_target *wide)
{
	struct wide_question all = {*q, wide, json_array(), 0};
	size_t n;
	_cleanup_(freep) const struct service **services = state_sorted(q->in->state, &n);
	_cleanup_(freep) char *why = NULL;
	json_t *result;

	for (size_t i = 0; i < n; i++)
		explain_service(&all, services[i]);
	result = json_pack("{s:o, s:I}", "matches", all.matches, "omitted",
			   (json_int_t)all.n_omitted);
	if (json_array_size(all.matches) == 0) {
		why = why_none(q->in, wide);
		(void)json_object_set_new(result, "why", json_string(why));
	}
	return result;
}
