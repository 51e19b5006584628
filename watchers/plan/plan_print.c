/*
 * JSON and YAML print one tree; the text format has its own file.
 */
#include "watchers/plan/plan_print.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "watchers/plan/options_print.h"
#include "watchers/plan/plan_text.h"
#include "watchers/plan/yaml_print.h"

/* Input may hold any bytes, but JSON only UTF-8. */
static json_t *format_text(const char *text)
{
	json_t *string = json_string(text);

	return string ? string : json_string("(not UTF-8)");
}

static json_t *format_node(const struct plan_print_input *in)
{
	return json_pack("{s:o, s:o}", "name", format_text(in->node_name), "zone",
			 format_text(in->zone));
}

static json_t *format_address(const struct frontend *f)
{
	char text[ADDR_TEXT_LEN];

	if (frontend_is_everywhere(f))
		return json_string("*");
	return json_string(addr_format(&f->addr, text));
}

static json_t *format_endpoints(const struct service *s, enum pool pool)
{
	size_t n;
	_cleanup_(freep) struct endpoint_text *texts = plan_text_pool(s, pool, &n);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(texts[i].text));
	return list;
}

static json_t *format_decision(const struct service *s, const struct decision *d)
{
	return json_pack("{s:s, s:b, s:o}", "action", action_name(d->action),
			 "masquerade", d->masquerade, "endpoints",
			 d->action == ACTION_BALANCE ? format_endpoints(s, d->pool)
						     : json_array());
}

static json_t *format_allowed(const struct service *s, const struct frontend *f)
{
	const struct cidr *allowed = service_allowed(s);
	json_t *list = json_array();
	char text[CIDR_TEXT_LEN];

	for (uint32_t i = 0; f->is_limited && i < s->n_allowed; i++)
		json_array_append_new(list, json_string(cidr_format(&allowed[i], text)));
	return list;
}

static json_t *format_frontend(const struct service *s, const struct frontend *f)
{
	json_t *from = json_object();
	json_t *o = json_pack("{s:s, s:o, s:i}", "kind", frontend_kind_name(f->kind),
			      "address", format_address(f), "port", f->port);

	if (f->kind == FRONTEND_LOAD_BALANCER)
		json_object_set_new(o, "allowedSources", format_allowed(s, f));
	for (enum client_class client = 0; client < CLIENT_N; client++)
		json_object_set_new(from, client_class_name(client),
				    format_decision(s, &f->from[client]));
	json_object_set_new(o, "from", from);
	return o;
}

static void add_frontend(json_t *list, const struct service *s, const struct frontend *f,
			 const struct environment *env)
{
	size_t n =
		env && frontend_is_everywhere(f) ? env->n_node_addresses[s->family] : 0;
	struct frontend at = *f;

	if (n == 0)
		json_array_append_new(list, format_frontend(s, f));
	for (size_t i = 0; i < n; i++) {
		at.addr = env->node_addresses[s->family][i];
		json_array_append_new(list, format_frontend(s, &at));
	}
}

json_t *plan_print_service(const struct service *s, const struct environment *env)
{
	json_t *frontends = json_array(), *options = options_print_json(s), *object;

	for (uint32_t i = 0; i < s->n_frontends; i++)
		add_frontend(frontends, s, &service_frontends(s)[i], env);
	object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:i, s:I, s:o}", "namespace",
			   service_namespace(s), "name", service_name(s), "portName",
			   service_port_name(s), "protocol", proto_name(s->proto),
			   "family", family_name(s->family), "affinitySeconds",
			   (json_int_t)s->affinity_sec, "healthCheckNodePort",
			   s->health_check_port, "localReadyEndpoints",
			   (json_int_t)s->local_ready, "frontends", frontends);
	if (options)
		json_object_set_new(object, "options", options);
	return object;
}

static json_t *format_services(const struct state *state, const struct environment *env)
{
	size_t n;
	_cleanup_(freep) const struct service **sorted = state_sorted(state, &n);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, plan_print_service(sorted[i], env));
	return list;
}

static json_t *format_claimant(const struct service *s)
{
	return json_pack("{s:s, s:s, s:s}", "namespace", service_namespace(s), "name",
			 service_name(s), "portName", service_port_name(s));
}

static json_t *format_conflicts(const struct state *state)
{
	size_t n;
	_cleanup_(freep) struct state_conflict *conflicts = state_conflicts(state, &n);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct state_conflict *c = &conflicts[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:o, s:i, s:s, s:o, s:o}", "kind",
						frontend_kind_name(c->frontend.kind),
						"address", format_address(&c->frontend),
						"port", c->frontend.port, "protocol",
						proto_name(c->waiting->proto), "holder",
						format_claimant(c->holder), "waiting",
						format_claimant(c->waiting)));
	}
	return list;
}

static json_t *format_rejected(const struct rejection *rejected, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct rejection *r = &rejected[i];

		json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}",
						      "source", format_text(r->source),
						      "kind", format_text(r->kind),
						      "namespace", format_text(r->ns),
						      "name", format_text(r->name),
						      "field", format_text(r->field),
						      "reason", format_text(r->reason)));
	}
	return list;
}

static json_t *format_plan(const struct plan_print_input *in)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "apiVersion", "sluice/v1",
			 "kind", "Plan", "node", format_node(in), "services",
			 format_services(in->state, in->env), "conflicts",
			 format_conflicts(in->state), "rejected",
			 format_rejected(in->rejected, in->n_rejected));
}

static int add_bytes(const char *bytes, size_t len, void *data)
{
	buf_add(data, bytes, len);
	return 0;
}

static void print_json(const struct plan_print_input *in, struct buf *out)
{
	json_auto_t *plan = format_plan(in);

	(void)json_dump_callback(plan, add_bytes, out, JSON_INDENT(2));
	buf_add_char(out, '\n');
}

static void print_yaml(const struct plan_print_input *in, struct buf *out)
{
	json_auto_t *plan = format_plan(in);

	yaml_print(plan, out);
}

static const struct {
	const char *name;
	void (*print)(const struct plan_print_input *in, struct buf *out);
} formats[] = {
	{"json", print_json},
	{"yaml", print_yaml},
	{"text", plan_text_print},
};

int plan_print(const struct plan_print_input *in, const char *format, struct buf *out)
{
	for (size_t i = 0; i < N_ELEMENTS(formats); i++)
		if (!strcmp(format, formats[i].name)) {
			formats[i].print(in, out);
			return 0;
		}
	return -EINVAL;
}
