/*
 *	default/web:http TCP IPv4
 *	  ClusterIP 10.96.0.10:80
 *	    pod             balance 10.244.1.4:8080 10.244.2.7:8080
 *	    node, external  balance, masquerade 10.244.1.4:8080 10.244.2.7:8080
 *
 * Clients with the same decision share a line.
 */
#include "watchers/plan/plan_text.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/plan/options_print.h"

static void print_place(const struct frontend *f, uint8_t proto, struct buf *out)
{
	char text[ADDR_PORT_TEXT_LEN];

	buf_printf(out, "%s %s", frontend_kind_name(f->kind),
		   frontend_format_place(f, text));
	if (proto)
		buf_printf(out, " %s", proto_name(proto));
}

static bool same_decision(const struct decision *a, const struct decision *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* "pod", "node, external", "anyone": all from this class on that share its decision. */
static void class_names(const struct frontend *f, enum client_class first, char *ret,
			size_t len)
{
	unsigned n = 0;

	*ret = '\0';
	for (enum client_class s = first; s < CLIENT_N; s++) {
		if (!same_decision(&f->from[s], &f->from[first]))
			continue;
		if (n++ > 0)
			strncat(ret, ", ", len - strlen(ret) - 1);
		strncat(ret, client_class_name(s), len - strlen(ret) - 1);
	}
	if (n == CLIENT_N)
		strcpy(ret, "anyone");
}

static bool is_printed(const struct frontend *f, enum client_class client)
{
	for (enum client_class s = 0; s < client; s++)
		if (same_decision(&f->from[s], &f->from[client]))
			return true;
	return false;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(((const struct endpoint_text *)a)->text,
		      ((const struct endpoint_text *)b)->text);
}

struct endpoint_text *plan_text_pool(const struct service *s, enum pool pool,
				     size_t *ret_n)
{
	const struct endpoint *endpoints = service_endpoints(s);
	struct endpoint_text *texts = xcalloc(s->n_pool[pool] + 1, sizeof(*texts));
	size_t n = 0;

	for (uint32_t i = 0; i < s->n_endpoints; i++)
		if (endpoints[i].flags >> pool & 1)
			(void)addr_port_format(&endpoints[i].addr, endpoints[i].port,
					       texts[n++].text);
	qsort(texts, n, sizeof(*texts), compare_texts);
	*ret_n = n;
	return texts;
}

static void print_endpoints(const struct service *s, enum pool pool, struct buf *out)
{
	size_t n;
	_cleanup_(freep) struct endpoint_text *texts = plan_text_pool(s, pool, &n);

	for (size_t i = 0; i < n; i++)
		buf_printf(out, " %s", texts[i].text);
}

static void print_decisions(const struct service *s, const struct frontend *f,
			    struct buf *out)
{
	for (enum client_class client = 0; client < CLIENT_N; client++) {
		const struct decision *d = &f->from[client];
		char names[32];

		if (is_printed(f, client))
			continue;
		class_names(f, client, names, sizeof(names));
		buf_printf(out, "    %-15s %s%s", names, action_name(d->action),
			   d->masquerade ? ", masquerade" : "");
		if (d->action == ACTION_BALANCE)
			print_endpoints(s, d->pool, out);
		buf_add_char(out, '\n');
	}
}

static void print_allowed(const struct service *s, struct buf *out)
{
	const struct cidr *allowed = service_allowed(s);
	char text[CIDR_TEXT_LEN];

	buf_add_string(out, " only from");
	for (uint32_t i = 0; i < s->n_allowed; i++)
		buf_printf(out, " %s", cidr_format(&allowed[i], text));
}

static void print_service(const struct service *s, struct buf *out)
{
	const char *port_name = service_port_name(s);

	buf_printf(out, "\n%s/%s%s%s %s %s", service_namespace(s), service_name(s),
		   *port_name ? ":" : "", port_name, proto_name(s->proto),
		   family_name(s->family));
	if (s->affinity_sec > 0)
		buf_printf(out, ", affinity %u s", s->affinity_sec);
	if (s->health_check_port > 0)
		buf_printf(out, ", health check on %u with %u ready here",
			   s->health_check_port, s->local_ready);
	options_print_text(s, out);
	buf_add_char(out, '\n');
	for (uint32_t i = 0; i < s->n_frontends; i++) {
		const struct frontend *f = &service_frontends(s)[i];

		buf_add_string(out, "  ");
		print_place(f, 0, out);
		if (f->is_limited)
			print_allowed(s, out);
		buf_add_char(out, '\n');
		print_decisions(s, f, out);
	}
}

static void print_conflicts(const struct state *state, struct buf *out)
{
	size_t n;
	_cleanup_(freep) struct state_conflict *conflicts = state_conflicts(state, &n);
	char holder[512], waiting[512];

	if (n > 0)
		buf_add_string(out, "\nclaimed twice:\n");
	for (size_t i = 0; i < n; i++) {
		const struct state_conflict *c = &conflicts[i];

		buf_add_string(out, "  ");
		print_place(&c->frontend, c->waiting->proto, out);
		buf_printf(out, ": %s has it, %s waits\n",
			   service_label(c->holder, holder, sizeof(holder)),
			   service_label(c->waiting, waiting, sizeof(waiting)));
	}
}

static void print_rejected(const struct rejection *r, struct buf *out)
{
	buf_add_string(out, "  ");
	if (*r->source)
		buf_printf(out, "%s: ", r->source);
	if (*r->kind || *r->name)
		buf_printf(out, "%s%s%s%s%s: ", r->kind, *r->kind ? " " : "", r->ns,
			   *r->ns && *r->name ? "/" : "", r->name);
	if (*r->field)
		buf_printf(out, "%s: ", r->field);
	buf_printf(out, "%s\n", r->reason);
}

void plan_text_print(const struct plan_print_input *in, struct buf *out)
{
	size_t n;
	_cleanup_(freep) const struct service **sorted = state_sorted(in->state, &n);

	buf_printf(out, "node %s%s%s\n", in->node_name, *in->zone ? ", zone " : "",
		   in->zone);
	for (size_t i = 0; i < n; i++)
		print_service(sorted[i], out);
	print_conflicts(in->state, out);
	if (in->n_rejected > 0)
		buf_add_string(out, "\nignored:\n");
	for (size_t i = 0; i < in->n_rejected; i++)
		print_rejected(&in->rejected[i], out);
}
