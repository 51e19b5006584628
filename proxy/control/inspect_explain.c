/*
 * `explain`: the matching frontend, the decision for each class of client, what on this
 * host may be in the way, and each endpoint with the reason why it is in or out.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/engine/dataplane.h"
#include "proxy/host/node_info.h"
#include "proxy/host/preconditions.h"
#include "proxy/control/inspect_parts.h"
#include "proxy/control/target.h"
#include "watchers/cluster.h"
#include "watchers/plan/left_out.h"

/* Which classes an address may belong to; detectors by interface can't be asked for one. */
static bool may_be(const struct question *q, enum client_class client)
{
	const struct environment *env = &q->in->node_info->env;
	enum family family = addr_family(&q->from);
	bool by_interface = env->detector == POD_DETECTOR_BRIDGE ||
			    env->detector == POD_DETECTOR_PREFIX;
	bool is_pod = env->detector == POD_DETECTOR_CIDR && env->has_pod_cidr[family] &&
		      cidr_contains(&env->pod_cidr[family], &q->from);

	if (!q->has_from)
		return true;
	if (inspect_is_host(q->in, &q->from))
		return client == CLIENT_NODE;
	if (client == CLIENT_POD)
		return is_pod || by_interface;
	return client == CLIENT_EXTERNAL && !is_pod;
}

static bool is_allowed(const struct service *s, const struct frontend *f,
		       const struct addr *from)
{
	if (!f->is_limited)
		return true;
	for (uint32_t i = 0; i < s->n_allowed; i++)
		if (cidr_contains(&service_allowed(s)[i], from))
			return true;
	return false;
}

static const char *why_not(bool is_out, uint8_t action)
{
	if (is_out)
		return "not in loadBalancerSourceRanges";
	return action == ACTION_DROP ? "policy Local, and no usable endpoint on this node"
				     : "no usable endpoint";
}

static void add_decider(json_t *json, const char *name, const char *passed_because)
{
	(void)json_object_set_new(json, "decidedBy", json_string(name));
	if (passed_because)
		(void)json_object_set_new(json, "passedBecause",
					  json_string(passed_because));
}

static void add_note(void *data, const char *line)
{
	(void)json_array_append_new(data, json_string(line));
}

static void add_notes(const struct sink *sink, const struct sink_question *question,
		      json_t *json)
{
	json_t *notes = json_array();

	if (sink->ops->view->notes)
		sink->ops->view->notes(sink, question, add_note, notes);
	(void)json_object_set_new(json, "notes", notes);
}

/* Where several sinks may decide: the first one that does, and why those before it do not. */
static void explain_sink(const struct question *q, const struct service *s,
			 const struct frontend *f, enum client_class client, json_t *json)
{
	const struct dataplane *dp = q->in->dataplane;
	const struct sink_question question = {s, f, client, &q->in->node_info->env};
	const char *passed_because = NULL;
	size_t n = 0;

	for (size_t i = 0; i < dp->n_sinks; i++)
		n += dp->sinks[i]->ops->view && dp->sinks[i]->ops->view->decides;
	for (size_t i = 0; n > 1 && i < dp->n_sinks; i++) {
		const struct sink_view *view = dp->sinks[i]->ops->view;
		const char *why;

		if (!view || !view->decides)
			continue;
		if (view->decides(dp->sinks[i], &question, &why)) {
			if (view->keeps_source && json_object_get(json, "masquerade"))
				(void)json_object_set_new(json, "masquerade",
							  json_false());
			add_decider(json, dp->sinks[i]->ops->name, passed_because);
			add_notes(dp->sinks[i], &question, json);
			return;
		}
		passed_because = passed_because ? passed_because : why;
	}
	if (n > 1)
		add_decider(json, "none", passed_because);
}

static json_t *explain_source(const struct question *q, const struct service *s,
			      const struct frontend *f, enum client_class client)
{
	const struct decision *d = &f->from[client];
	bool is_out = q->has_from && !is_allowed(s, f, &q->from);
	uint8_t action = is_out ? (uint8_t)ACTION_DROP : d->action;
	json_t *json = json_pack("{s:s, s:s}", "from", client_class_name(client),
				 "action", action_name(action));

	if (action == ACTION_BALANCE)
		(void)json_object_update_new(json,
					     json_pack("{s:b, s:s, s:i}", "masquerade",
						       d->masquerade, "pool",
						       d->pool == POOL_LOCAL ? "local"
									     : "cluster",
						       "endpoints", s->n_pool[d->pool]));
	else
		(void)json_object_set_new(json, "why",
					  json_string(why_not(is_out, action)));
	explain_sink(q, s, f, client, json);
	return json;
}

static json_t *explain_sources(const struct question *q, const struct service *s,
			       const struct frontend *f)
{
	json_t *list = json_array();

	for (enum client_class client = 0; client < CLIENT_N; client++)
		if (may_be(q, client))
			(void)json_array_append_new(list,
						    explain_source(q, s, f, client));
	return list;
}

static json_t *explain_allowed(const struct service *s, const struct frontend *f)
{
	char text[CIDR_TEXT_LEN];
	json_t *list = json_array();

	for (uint32_t i = 0; f->is_limited && i < s->n_allowed; i++)
		(void)json_array_append_new(
			list, json_string(cidr_format(&service_allowed(s)[i], text)));
	return list;
}

static json_t *explain_endpoints(const struct question *q, const struct service *s)
{
	size_t n;
	_cleanup_(freep) struct plan_endpoint_reason *reasons =
		inspect_endpoints_of(q->in, s, &n);
	char text[ADDR_PORT_TEXT_LEN];
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *reason = inspect_reason(&reasons[i]);

		(void)json_array_append_new(
			list, json_pack("{s:s, s:s, s:b, s:b, s:s}", "endpoint",
					addr_port_format(&reasons[i].addr,
							 reasons[i].port, text),
					"node", reasons[i].node, "inClusterPool",
					reasons[i].in_cluster_pool, "inLocalPool",
					reasons[i].in_local_pool, "reason", reason));
	}
	return list;
}

/* Others that want this place and wait. */
static json_t *explain_conflicts(const struct question *q, const struct service *s)
{
	size_t n;
	_cleanup_(freep) struct state_conflict *conflicts =
		state_conflicts(q->in->state, &n);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (service_same_key(conflicts[i].holder, s) &&
		    conflicts[i].frontend.port == q->target.port &&
		    (frontend_is_everywhere(&conflicts[i].frontend) ||
		     addr_equal(&conflicts[i].frontend.addr, &q->target.addr)))
			(void)json_array_append_new(list, inspect_service_key(
								  conflicts[i].waiting));
	return list;
}

struct warnings {
	json_t *list;
	enum family family;
	unsigned clients;
};

static void add_warning(void *data, enum family family, unsigned clients,
			const char *finding)
{
	const struct warnings *w = data;

	if (family == w->family && (clients & w->clients))
		(void)json_array_append_new(w->list, json_string(finding));
}

/* The port of the object that the service was planned from; NULL: it is gone. */
static const struct object_service_port *port_of(const struct object_service *object,
						 const struct service *s)
{
	for (uint32_t i = 0; object && i < object->n_ports; i++)
		if (object->ports[i].proto == s->proto &&
		    strcmp(object->ports[i].name, service_port_name(s)) == 0)
			return &object->ports[i];
	return NULL;
}

/* Port names that do not meet. */
static void warn_of_port(const struct question *q, const struct service *s, json_t *list)
{
	const struct object_service *object =
		cluster_service(q->in->cluster, service_namespace(s), service_name(s));
	const struct object_service_port *port = port_of(object, s);
	_cleanup_(freep) char *why =
		port ? left_out_port(q->in->cluster, object, port) : NULL;
	_cleanup_(freep) char *elsewhere =
		port && s->n_endpoints == 0 ? left_out_elsewhere(q->in->cluster, object)
					    : NULL;

	if (why)
		(void)json_array_append_new(list, json_string(why));
	if (elsewhere)
		(void)json_array_append_new(list, json_string(elsewhere));
}

/* This host keeps packets to its own addresses. */
static void warn_of_local_addresses(const struct question *q, const struct service *s,
				    const struct frontend *f, json_t *list)
{
	char text[ADDR_TEXT_LEN];

	if (f->kind != FRONTEND_NODE_PORT && inspect_is_host(q->in, &f->addr))
		(void)json_array_append_new(
			list,
			json_sprintf("%s is an address of this host, too: its ports "
				     "that no Service has reach processes here; "
				     "remove it from the interface",
				     addr_format(&f->addr, text)));
	for (uint32_t i = 0; i < s->n_endpoints; i++) {
		const struct endpoint *e = &service_endpoints(s)[i];

		if (!(e->flags & ENDPOINT_HERE) && inspect_is_host(q->in, &e->addr))
			(void)json_array_append_new(
				list,
				json_sprintf("endpoint %s is of another node, but an "
					     "address of this host, which keeps its "
					     "packets; remove it from the interface",
					     addr_format(&e->addr, text)));
	}
}

/* A place where the data plane does not serve it, and the one where it does. */
static void warn_of_place(const struct question *q, const struct service *s,
			  const struct frontend *f, json_t *list)
{
	struct inspect_place place = inspect_place(q->in, s, f);
	char text[ADDR_PORT_TEXT_LEN];

	if (place.why_not)
		(void)json_array_append_new(list, json_sprintf("not served here: %s",
							       place.why_not));
	if (place.why_not && place.local_port)
		(void)json_array_append_new(
			list, json_sprintf("clients on this host reach it at %s",
					   addr_port_format(&place.local,
							    place.local_port, text)));
	free(place.why_not);
}

/* Why a connection may fail. */
static json_t *explain_warnings(const struct question *q, const struct service *s,
				const struct frontend *f)
{
	const struct preconditions preconditions = {
		.root = "",
		.node_info = q->in->node_info,
		.to = &q->target.addr,
		.list_chains = q->in->list_chains,
	};
	struct warnings w = {
		.list = json_array(),
		.family = addr_family(&q->target.addr),
	};

	for (enum client_class client = 0; client < CLIENT_N; client++)
		if (may_be(q, client))
			w.clients |= 1u << client;
	warn_of_place(q, s, f, w.list);
	warn_of_port(q, s, w.list);
	warn_of_local_addresses(q, s, f, w.list);
	if (!q->in->is_offline)
		preconditions_check(&preconditions, add_warning, &w);
	return w.list;
}

/* Of the client's only possible class, or of the first one. */
static enum client_class class_of(const struct question *q)
{
	enum client_class client = 0;

	while (client + 1 < CLIENT_N && !may_be(q, client))
		client++;
	return client;
}

/* The endpoint that the client has by affinity: its text, or null; NULL: not known. */
static json_t *explain_bound(const struct question *q, const struct service *s,
			     const struct frontend *f)
{
	const struct sink_question question = {s, f, class_of(q), &q->in->node_info->env};
	const struct dataplane *dp = q->in->dataplane;
	char text[ADDR_PORT_TEXT_LEN];
	struct endpoint e;
	bool is_known = false;

	for (size_t i = 0; s->affinity_sec && q->has_from && i < dp->n_sinks; i++) {
		struct sink *sink = dp->sinks[i];
		int found;

		if (!sink->ops->view || !sink->ops->view->bound)
			continue;
		found = sink->ops->view->bound(sink, &question, &q->from, &e);
		if (found < 0)
			return NULL;
		if (found > 0)
			return json_string(addr_port_format(&e.addr, e.port, text));
		is_known = true;
	}
	return is_known ? json_null() : NULL;
}

static json_t *explain_counts(const struct question *q, const struct service *s,
			      const struct frontend *f)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	(void)inspect_counts_read(q->in, &s, 1, false); /* then they are null */
	buf_add_char(&text, '{');
	inspect_write_counts(q->in, s, f, false, &text);
	buf_add_char(&text, '}');
	return json_loads(text.data, 0, NULL);
}

static void explain_match(const struct question *q, const struct service *s,
			  const struct frontend *f, json_t *result)
{
	struct frontend decided = *f;
	json_t *bound;

	decided.addr = q->target.addr; /* one of the node's, where it is everywhere */
	(void)json_object_update_new(
		result,
		json_pack("{s:o, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "service",
			  inspect_service_key(s), "kind", frontend_kind_name(f->kind),
			  "affinitySeconds", s->affinity_sec, "sources",
			  explain_sources(q, s, &decided), "allowedSources",
			  explain_allowed(s, f), "endpoints", explain_endpoints(q, s),
			  "waiting", explain_conflicts(q, s), "counts",
			  explain_counts(q, s, f), "warnings",
			  explain_warnings(q, s, f)));
	bound = explain_bound(q, s, &decided);
	if (bound)
		(void)json_object_set_new(result, "bound", bound);
}

json_t *inspect_explain_target(const struct question *q)
{
	const struct frontend *f;
	const struct service *s =
		state_find_frontend(q->in->state, &q->target.addr, q->target.proto,
				    q->target.port, &f);
	json_t *result =
		json_pack("{s:o, s:i, s:s}", "address", inspect_addr(&q->target.addr),
			  "port", (int)q->target.port, "protocol",
			  proto_name(q->target.proto));

	if (s)
		explain_match(q, s, f, result);
	else
		inspect_explain_unmatched(q, result);
	return result;
}

json_t *inspect_explain(const struct inspect *in, const struct control_request *request,
			char **ret_error)
{
	struct question q = {.in = in, .has_from = *request->from};
	struct wide_target wide;

	if (q.has_from && addr_parse(request->from, &q.from) != 0) {
		*ret_error = xasprintf("\"%s\" is not an address", request->from);
		return NULL;
	}
	if (target_parse(request->frontend, &q.target) == 0)
		return inspect_explain_target(&q);
	if (target_parse_wide(request->frontend, &wide) == 0)
		return inspect_explain_wide(&q, &wide);
	*ret_error = xasprintf("\"%s\" is not " TARGET_FORMS, request->frontend);
	return NULL;
}
