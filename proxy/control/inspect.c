#include "proxy/control/inspect.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/engine/dataplane.h"
#include "proxy/engine/engine.h"
#include "proxy/engine/journal.h"
#include "proxy/engine/sink_set.h"
#include "proxy/engine/status.h"
#include "proxy/engine/sync.h"
#include "proxy/host/node_info.h"
#include "proxy/control/inspect_parts.h"
#include "watchers/cluster.h"

json_t *inspect_addr(const struct addr *addr)
{
	char text[ADDR_TEXT_LEN];

	return json_string(addr_format(addr, text));
}

json_t *inspect_service_key(const struct service *s)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "namespace", service_namespace(s),
			 "name", service_name(s), "portName", service_port_name(s),
			 "protocol", proto_name(s->proto), "family",
			 family_name(s->family));
}

struct plan_endpoint_reason *inspect_endpoints_of(const struct inspect *in,
						  const struct service *s, size_t *ret_n)
{
	const struct object_service *object =
		cluster_service(in->cluster, service_namespace(s), service_name(s));
	_cleanup_(freep) const struct object_slice **slices = NULL;
	size_t n_slices;

	*ret_n = 0;
	if (!object)
		return NULL;
	slices = cluster_slices(in->cluster, service_namespace(s), service_name(s),
				&n_slices);
	return plan_explain(object, slices, n_slices, cluster_node(in->cluster),
			    &in->node_info->options, service_port_name(s), s->proto,
			    s->family, ret_n);
}

struct inspect_place inspect_place(const struct inspect *in, const struct service *s,
				   const struct frontend *f)
{
	const struct sink_set *set =
		in->status ? sync_sinks(in->status->engine->sync) : NULL;
	struct inspect_place place = {0};

	for (size_t i = 0; set && i < in->dataplane->n_sinks; i++) {
		const struct sink *sink = in->dataplane->sinks[i];
		const char *why = refused_why(&set->states[i].refused, s);
		struct sink_place of_sink = {0};

		if (sink->ops->view && sink->ops->view->place)
			sink->ops->view->place(sink, s, f, &of_sink);
		if (!why)
			why = of_sink.why_not;
		if (why && sink->is_vital && !place.why_not)
			place.why_not = xasprintf("%s: %s", sink->ops->name,
						  *why ? why : "refused, see the log");
		if (of_sink.local_port) {
			place.local = of_sink.local;
			place.local_port = of_sink.local_port;
		}
	}
	return place;
}

char *inspect_reason(const struct plan_endpoint_reason *reason)
{
	if (reason->down)
		return xasprintf("%s: %s", reason->reason, reason->down);
	return xstrdup(reason->reason);
}

struct control_answer *inspect_answer(void *data, const struct control_request *request,
				      char **ret_error)
{
	const struct inspect *in = data;
	json_t *json = NULL;

	if (request->verb != CONTROL_STATUS && request->verb != CONTROL_EVENTS)
		*ret_error = in->unready(in->data);
	if (*ret_error)
		return NULL;
	switch (request->verb) {
	case CONTROL_SERVICES:
	case CONTROL_ENDPOINTS:
	case CONTROL_PLAN:
		return inspect_rows(in, request, ret_error);
	case CONTROL_EXPLAIN:
		json = inspect_explain(in, request, ret_error);
		break;
	case CONTROL_DIFF:
		return inspect_diff(in, ret_error);
	case CONTROL_STATUS:
		json = status_json(in->status);
		break;
	case CONTROL_EVENTS:
		json = journal_json(in->journal, request->ns, request->name,
				    strtoull(request->since, NULL, 10));
		break;
	case CONTROL_TOP:
		return inspect_top(in, request, ret_error);
	case CONTROL_CONFIG:
		json = in->config(in->data);
		break;
	case CONTROL_VERB_N:
		break;
	}
	return json ? control_answer_json(json) : NULL;
}
