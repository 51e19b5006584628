/*
 * A row of `get services` or `get endpoints`, written as text: of many services a tree
 * of JSON values would cost the loop more than all else.
 */
#include <inttypes.h>

#include "core/buf_json.h"
#include "core/cleanup.h"
#include "proxy/control/inspect_parts.h"
#include "watchers/cluster.h"

static const struct object_service *object_of(const struct inspect *in,
					      const struct service *s)
{
	return cluster_service(in->cluster, service_namespace(s), service_name(s));
}

/* The traffic policy of a frontend; the service only has the resulting decision. */
static const char *policy_of(const struct object_service *object,
			     const struct frontend *f)
{
	bool is_local =
		object && (f->kind == FRONTEND_CLUSTER_IP ? object->internal_local
							  : object->external_local);

	return is_local ? "Local" : "Cluster";
}

/* The source whom the frontend is made for. */
static const struct decision *main_decision(const struct frontend *f)
{
	return &f->from[f->kind == FRONTEND_CLUSTER_IP ? CLIENT_NODE : CLIENT_EXTERNAL];
}

/* One word for what happens to connections. */
static const char *state_of(const struct decision *d)
{
	static const char *const words[] = {
		[ACTION_BALANCE] = "served",
		[ACTION_REJECT] = "refused",
		[ACTION_DROP] = "dropped",
	};

	return words[d->action];
}

/* The name of a member; items of an array have none. */
static const char *key_of(bool is_brief, const char *key)
{
	return is_brief ? NULL : key;
}

static void write_service(const struct service *s, bool is_brief, struct buf *out)
{
	buf_json_open(out, NULL, is_brief ? '[' : '{');
	buf_json_string(out, key_of(is_brief, "namespace"), service_namespace(s));
	buf_json_string(out, key_of(is_brief, "name"), service_name(s));
	buf_json_string(out, key_of(is_brief, "portName"), service_port_name(s));
	buf_json_string(out, key_of(is_brief, "protocol"), proto_name(s->proto));
	buf_json_string(out, key_of(is_brief, "family"),
			family_name((enum family)s->family));
}

static void write_place(const char *address, uint16_t port, bool is_brief,
			struct buf *out)
{
	buf_json_string(out, key_of(is_brief, "address"), address);
	buf_json_number(out, key_of(is_brief, "port"), port);
}

/* The creation of the Service in Unix time; null: not known. */
static void write_created(const struct object_service *object, bool is_brief,
			  struct buf *out)
{
	buf_json_count(out, key_of(is_brief, "created"), object && object->created_sec,
		       object ? (uint64_t)object->created_sec : 0);
}

/* The members that the plain table has no column for. */
static void write_details(const struct service *s, const struct inspect_frontend *row,
			  struct buf *out)
{
	char label[512];

	buf_json_string(out, "action", action_name(main_decision(row->frontend)->action));
	buf_json_number(out, "affinitySeconds", s->affinity_sec);
	buf_json_number(out, "healthCheckNodePort", s->health_check_port);
	if (row->holder)
		buf_json_string(out, "heldBy",
				service_label(row->holder, label, sizeof(label)));
}

void inspect_write_frontend(const struct inspect *in, const struct service *s,
			    const struct inspect_frontend *row, struct buf *out)
{
	const struct object_service *object = object_of(in, s);
	const struct frontend *f = row->frontend;
	const struct decision *decision = main_decision(f);
	bool is_brief = row->is_brief;
	char text[ADDR_TEXT_LEN];

	write_service(s, is_brief, out);
	buf_json_string(out, key_of(is_brief, "type"),
			row->type ? row->type : frontend_kind_name(f->kind));
	write_place(frontend_is_everywhere(f) ? "*" : addr_format(&f->addr, text),
		    f->port, is_brief, out);
	buf_json_string(out, key_of(is_brief, "policy"), policy_of(object, f));
	buf_json_string(out, key_of(is_brief, "state"),
			row->state ? row->state : state_of(decision));
	buf_json_number(out, key_of(is_brief, "endpoints"),
			decision->action == ACTION_BALANCE ? s->n_pool[decision->pool]
							   : 0);
	write_created(object, is_brief, out);
	if (!is_brief)
		write_details(s, row, out);
	/* counts are of frontends that are held */
	inspect_write_counts(row->holder ? NULL : in, s, f, is_brief, out);
}

static void write_pools(const struct plan_endpoint_reason *reason, struct buf *out)
{
	buf_json_word(out, "inClusterPool", reason->in_cluster_pool ? "true" : "false");
	buf_json_word(out, "inLocalPool", reason->in_local_pool ? "true" : "false");
}

void inspect_write_endpoint(const struct inspect *in, const struct service *s,
			    const struct plan_endpoint_reason *reason, bool is_brief,
			    struct buf *out)
{
	_cleanup_(freep) char *why = reason->down ? inspect_reason(reason) : NULL;
	char text[ADDR_TEXT_LEN];

	write_service(s, is_brief, out);
	write_place(addr_format(&reason->addr, text), reason->port, is_brief, out);
	buf_json_string(out, key_of(is_brief, "node"), reason->node);
	if (!is_brief)
		write_pools(reason, out);
	buf_json_string(out, key_of(is_brief, "reason"), why ? why : reason->reason);
	if (!is_brief)
		write_created(object_of(in, s), false, out);
	inspect_write_endpoint_count(in, s, reason, is_brief, out);
}
