/*
 * `get services` and `get endpoints`, and the plan: the decisions of the daemon, with the
 * kernel's counters beside it.  The services are held by reference while the
 * rows go out, a few at a time: the state may change meanwhile.  A frontend at all node
 * addresses is one row, with the address "*" as in `plan`.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf_json.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/engine/census.h"
#include "proxy/host/node_info.h"
#include "proxy/control/inspect_parts.h"
#include "watchers/cluster.h"
#include "watchers/labels.h"
#include "watchers/plan/plan_print.h"

/* The approximate size of a piece, and the number of counters read for it. */
#define PIECE_LEN      32768
#define PIECE_COUNTERS 512

static const struct object_service *object_of(const struct inspect *in,
					      const struct service *s)
{
	return cluster_service(in->cluster, service_namespace(s), service_name(s));
}

struct rows { /* an answer */
	struct control_answer answer;
	const struct inspect *in;
	bool with_endpoints, with_current, is_brief;
	struct service **services;	/* a reference each, in no order */
	size_t n, next, counted_to;	/* those before it have fresh counts */
	struct state_conflict *waiting; /* with references; rows of services only */
	size_t n_waiting, next_waiting;
	struct census *census; /* of the services; NULL: not known */
	void (*add)(struct rows *r, size_t i, struct buf *out); /* of a service */
	bool has_started, has_rows;
};

/* The comma before the first row of a piece. */
static void start_row(struct rows *r, struct buf *out)
{
	if (r->has_rows && out->len == 0)
		buf_add_char(out, ',');
	r->has_rows = true;
}

static void end_row(const struct rows *r, struct buf *out)
{
	buf_add_char(out, r->is_brief ? ']' : '}');
}

/* The row of a local port: like that of the frontend, at another place. */
static void add_local(struct rows *r, const struct service *s,
		      const struct frontend *like, const struct inspect_place *place,
		      struct buf *out)
{
	struct frontend at = *like;

	at.addr = place->local;
	at.port = place->local_port;
	start_row(r, out);
	inspect_write_frontend(r->in, s,
			       &(struct inspect_frontend){.frontend = &at,
							  .type = "Local",
							  .is_brief = r->is_brief},
			       out);
	end_row(r, out);
}

static void add_frontend(struct rows *r, size_t index, uint32_t i, struct buf *out)
{
	const struct service *s = r->services[index];
	const struct frontend *f = &service_frontends(s)[i];
	struct inspect_place place = inspect_place(r->in, s, f);

	start_row(r, out);
	inspect_write_frontend(r->in, s,
			       &(struct inspect_frontend){
				       .frontend = f,
				       .state = place.why_not ? "unserved" : NULL,
				       .is_brief = r->is_brief,
			       },
			       out);
	if (r->with_current)
		inspect_write_flows(r->census, index, false, i, out);
	if (place.why_not && !r->is_brief)
		buf_json_string(out, "why", place.why_not);
	end_row(r, out);
	if (i == 0 && place.local_port)
		add_local(r, s, f, &place, out);
	free(place.why_not);
}

static void add_service(struct rows *r, size_t index, struct buf *out)
{
	for (uint32_t i = 0; i < r->services[index]->n_frontends; i++)
		add_frontend(r, index, i, out);
}

/* A frontend that another service holds. */
static void add_waiting(struct rows *r, const struct state_conflict *c, struct buf *out)
{
	start_row(r, out);
	inspect_write_frontend(r->in, c->waiting,
			       &(struct inspect_frontend){
				       .frontend = &c->frontend,
				       .state = "waiting",
				       .holder = c->holder,
				       .is_brief = r->is_brief,
			       },
			       out);
	end_row(r, out);
}

/* Its index; n_endpoints: it has none, because it is not used. */
static uint32_t find_endpoint(const struct service *s,
			      const struct plan_endpoint_reason *reason)
{
	const struct endpoint *endpoints = service_endpoints(s);
	uint32_t i = 0;

	while (i < s->n_endpoints && (endpoints[i].port != reason->port ||
				      !addr_equal(&endpoints[i].addr, &reason->addr)))
		i++;
	return i;
}

static void add_endpoint_flows(const struct rows *r, size_t i,
			       const struct plan_endpoint_reason *reason, struct buf *out)
{
	const struct service *s = r->services[i];
	uint32_t index = find_endpoint(s, reason);

	inspect_write_flows(index < s->n_endpoints ? r->census : NULL, i, true, index,
			    out);
}

static void add_endpoints(struct rows *r, size_t i, struct buf *out)
{
	const struct service *s = r->services[i];
	size_t n;
	_cleanup_(freep) struct plan_endpoint_reason *reasons =
		inspect_endpoints_of(r->in, s, &n);

	for (size_t e = 0; e < n; e++) {
		start_row(r, out);
		inspect_write_endpoint(r->in, s, &reasons[e], r->is_brief, out);
		if (r->with_current)
			add_endpoint_flows(r, i, &reasons[e], out);
		end_row(r, out);
	}
}

static void add_plan(struct rows *r, size_t i, struct buf *out)
{
	json_auto_t *row = plan_print_service(r->services[i], NULL);
	_cleanup_(freep) char *text = json_dumps(row, JSON_COMPACT);

	start_row(r, out);
	buf_json_word(out, NULL, text ? text : "null");
}

/* Reads the counts of the next services, of at least one. */
static void read_counts(struct rows *r)
{
	size_t first = r->counted_to, n_counters = 0;

	while (r->counted_to < r->n && n_counters < PIECE_COUNTERS) {
		const struct service *s = r->services[r->counted_to++];

		n_counters += s->n_frontends *
			      (1 + (r->with_endpoints ? (size_t)s->n_endpoints : 0));
	}
	if (!inspect_counts_read(r->in,
				 (const struct service *const *)r->services + first,
				 r->counted_to - first, r->with_endpoints))
		r->counted_to = r->n; /* the failure is logged once */
}

static bool rows_is_waiting(struct control_answer *answer)
{
	struct rows *r = container_of(answer, struct rows, answer);
	int more = r->census && !r->has_started ? census_step(r->census) : 0;

	if (more < 0) {
		census_log_failure(r->census, more);
		census_free(r->census);
		r->census = NULL;
	}
	return more > 0;
}

/* References are dropped on the way: at the end they would be many. */
static void add_next(struct rows *r, struct buf *out)
{
	r->add(r, r->next, out);
	service_unref(r->services[r->next++]);
}

static bool rows_write(struct control_answer *answer, struct buf *out)
{
	struct rows *r = container_of(answer, struct rows, answer);

	if (!r->has_started)
		buf_add_char(out, '[');
	r->has_started = true;
	while (r->next_waiting < r->n_waiting && out->len < PIECE_LEN)
		add_waiting(r, &r->waiting[r->next_waiting++], out);
	if (r->next_waiting < r->n_waiting)
		return true;
	if (r->next == r->counted_to && r->next < r->n)
		read_counts(r);
	while (r->next < r->counted_to && out->len < PIECE_LEN)
		add_next(r, out);
	if (r->next < r->n)
		return true;
	buf_add_char(out, ']');
	return false;
}

/* The reference is ours, so the service may be changed. */
static void unref(const struct service *s)
{
	service_unref((struct service *)(uintptr_t)s);
}

static void rows_free(struct control_answer *answer)
{
	struct rows *r = container_of(answer, struct rows, answer);

	for (size_t i = r->next; i < r->n; i++)
		service_unref(r->services[i]);
	free(r->services);
	for (size_t i = 0; i < r->n_waiting; i++) {
		unref(r->waiting[i].holder);
		unref(r->waiting[i].waiting);
	}
	free(r->waiting);
	census_free(r->census);
	free(r);
}

struct filter { /* of a request */
	const struct inspect *in;
	const char *ns, *name; /* "": all */
	struct label_selector labels;
};

static bool is_wanted(const struct filter *filter, const struct service *s)
{
	const struct object_service *object;

	if (*filter->ns && strcmp(filter->ns, service_namespace(s)) != 0)
		return false;
	if (*filter->name && strcmp(filter->name, service_name(s)) != 0)
		return false;
	if (!filter->labels.n_terms)
		return true;
	object = object_of(filter->in, s);
	return object &&
	       label_selector_matches(&filter->labels, object->labels, object->n_labels);
}

/* Claims change rarely, and are few. */
static void take_waiting(struct rows *r, const struct filter *filter)
{
	size_t n;

	r->waiting = state_conflicts(r->in->state, &n);
	for (size_t i = 0; i < n; i++) {
		struct state_conflict *c = &r->waiting[i];

		if (!is_wanted(filter, c->waiting))
			continue;
		(void)service_ref(c->waiting);
		(void)service_ref(c->holder);
		r->waiting[r->n_waiting++] = *c;
	}
}

static void take_services(struct rows *r, const struct filter *filter)
{
	const struct service *s;

	r->services =
		xcalloc(state_n_services(r->in->state) + 1, sizeof(struct service *));
	for (size_t i = 0; (s = state_next(r->in->state, &i));)
		if (is_wanted(filter, s))
			r->services[r->n++] = service_ref(s);
}

/* References are taken, so the array is needed during this call only. */
static void start_census(struct rows *r)
{
	_cleanup_(freep) struct change *changes = xcalloc(r->n + 1, sizeof(*changes));
	const struct changeset of = {
		.env = &r->in->node_info->env,
		.changes = changes,
		.n = r->n,
	};

	for (size_t i = 0; i < r->n; i++)
		changes[i].new = r->services[i];
	r->census = census_new(r->in->dataplane, &of);
}

static struct rows *rows_new(const struct inspect *in,
			     const struct control_request *request, char **ret_error)
{
	static const struct control_answer_ops ops = {
		.is_waiting = rows_is_waiting,
		.write = rows_write,
		.free = rows_free,
	};
	struct filter filter = {.in = in, .ns = request->ns, .name = request->name};
	struct rows *r;

	if (label_selector_parse(request->selector, &filter.labels) != 0) {
		*ret_error = xasprintf("\"%s\" is not a selector of labels",
				       request->selector);
		return NULL;
	}
	r = xcalloc(1, sizeof(*r));
	r->answer.ops = &ops;
	r->in = in;
	r->with_endpoints = request->verb == CONTROL_ENDPOINTS;
	r->add = request->verb == CONTROL_PLAN ? add_plan
		 : r->with_endpoints	       ? add_endpoints
					       : add_service;
	if (request->verb == CONTROL_SERVICES)
		take_waiting(r, &filter);
	take_services(r, &filter);
	if (request->verb == CONTROL_PLAN)
		r->counted_to = r->n; /* it has no counts */
	r->with_current = *request->current;
	r->is_brief = *request->brief && !r->with_current;
	if (r->with_current)
		start_census(r);
	return r;
}

struct control_answer *inspect_rows(const struct inspect *in,
				    const struct control_request *request,
				    char **ret_error)
{
	struct rows *r = rows_new(in, request, ret_error);

	return r ? &r->answer : NULL;
}
