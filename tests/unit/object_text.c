#include "tests/unit/object_text.h"

#include "tests/test.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "watchers/decode/decode.h"
#include "watchers/decode/document.h"

static const char *addr_text(const struct addr *a)
{
	static char text[ADDR_TEXT_LEN];

	return addr_format(a, text);
}

static const char *cidr_text(const struct cidr *c)
{
	static char text[CIDR_TEXT_LEN];

	return cidr_format(c, text);
}

static void add_flag(struct buf *out, bool is_set, const char *word)
{
	if (is_set)
		buf_printf(out, " %s", word);
}

static void add_service(struct buf *out, const struct object_service *s)
{
	static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer",
					    "ExternalName"};

	buf_printf(out, " %s", types[s->type]);
	add_flag(out, s->is_headless, "headless");
	add_flag(out, s->is_hidden, "hidden");
	add_flag(out, s->internal_local, "internal-local");
	add_flag(out, s->external_local, "external-local");
	if (s->has_affinity)
		buf_printf(out, " affinity=%u", s->affinity_sec);
	if (s->health_check_node_port)
		buf_printf(out, " health=%u", s->health_check_node_port);
	for (enum family f = 0; f < FAMILY_N; f++) {
		if (s->has_family[f])
			buf_printf(out, " %s=%s", family_name(f),
				   addr_text(&s->cluster_ip[f]));
	}
	for (size_t i = 0; i < s->n_ports; i++)
		buf_printf(out, " port=%s/%u/%s/%u", s->ports[i].name, s->ports[i].port,
			   proto_name(s->ports[i].proto), s->ports[i].node_port);
	for (size_t i = 0; i < s->n_external_ips; i++)
		buf_printf(out, " external=%s", addr_text(&s->external_ips[i]));
	for (size_t i = 0; i < s->n_ingress; i++)
		buf_printf(out, " ingress=%s%s", addr_text(&s->ingress[i].addr),
			   s->ingress[i].is_proxy_mode ? "(proxy)" : "");
	for (size_t i = 0; i < s->n_source_ranges; i++)
		buf_printf(out, " range=%s", cidr_text(&s->source_ranges[i]));
}

static void add_list(struct buf *out, const char *what, const char *list)
{
	for (; *list; list += strlen(list) + 1)
		buf_printf(out, "%s%s", what, list);
}

static void add_slice(struct buf *out, const struct object_slice *s)
{
	buf_printf(out, " of %s %s", s->service, family_name(s->family));
	add_flag(out, s->is_hidden, "hidden");
	add_flag(out, s->is_mirror, "mirror");
	if (s->trigger_us)
		buf_printf(out, " trigger=%" PRId64, s->trigger_us);
	for (size_t i = 0; i < s->n_ports; i++)
		buf_printf(out, " port=%s/%u/%s", s->ports[i].name, s->ports[i].port,
			   proto_name(s->ports[i].proto));
	for (size_t i = 0; i < s->n_endpoints; i++) {
		const struct object_endpoint *e = &s->endpoints[i];

		buf_printf(out, " %s%s%s%s%s%s", addr_text(&e->addr),
			   e->flags & OBJECT_ENDPOINT_READY ? "R" : "",
			   e->flags & OBJECT_ENDPOINT_SERVING ? "S" : "",
			   e->flags & OBJECT_ENDPOINT_TERMINATING ? "T" : "",
			   *e->node ? "@" : "", e->node);
		add_list(out, "+", object_slice_hints(s, (uint32_t)i)->zones);
		add_list(out, "%", object_slice_hints(s, (uint32_t)i)->nodes);
	}
}

static void add_node(struct buf *out, const struct object_node *n)
{
	buf_printf(out, " zone=%s hostname=%s", n->zone, n->hostname);
	add_flag(out, n->is_deleting, "deleting");
	add_flag(out, n->is_to_be_deleted, "to-be-deleted");
	for (size_t i = 0; i < n->n_addresses; i++)
		buf_printf(out, " %s", addr_text(&n->addresses[i]));
	for (size_t i = 0; i < n->n_pod_cidrs; i++)
		buf_printf(out, " pods=%s", cidr_text(&n->pod_cidrs[i]));
}

void object_text_add(struct buf *out, const struct object *o)
{
	buf_printf(out, "%s %s%s%s", object_kind_name(o->kind), o->ns, *o->ns ? "/" : "",
		   o->name);
	switch ((enum object_kind)o->kind) {
	case OBJECT_SERVICE:
		add_service(out, object_as_service(o));
		break;
	case OBJECT_SLICE:
		add_slice(out, object_as_slice(o));
		break;
	case OBJECT_NODE:
		add_node(out, object_as_node(o));
		break;
	case OBJECT_SERVICE_CIDR:
		for (size_t i = 0; i < object_as_service_cidr(o)->n_cidrs; i++)
			buf_printf(out, " %s",
				   cidr_text(&object_as_service_cidr(o)->cidrs[i]));
		break;
	case OBJECT_POD:
		buf_printf(out, " node=%s cgroup=%s socket-lb=%d%s",
			   object_as_pod(o)->node, object_as_pod(o)->cgroup_uid,
			   object_as_pod(o)->socket_lb,
			   object_as_pod(o)->is_finished ? " finished" : "");
		break;
	case OBJECT_NAMESPACE:
		buf_printf(out, " socket-lb=%d", object_as_namespace(o)->socket_lb);
		break;
	case OBJECT_KIND_N:
		break;
	}
	buf_add_char(out, '\n');
}

void object_text_note(void *data, const struct rejection *r)
{
	buf_printf(data, "%s%s%s %s%s%s: %s%s%s\n", r->source, *r->source ? ": " : "",
		   r->kind, r->ns, *r->ns ? "/" : "", r->name, r->field,
		   *r->field ? ": " : "", r->reason);
}

static void take_text(void *data, struct object *takes)
{
	object_text_add(data, takes);
	object_unref(takes);
}

static void take_first(void *data, struct object *takes)
{
	struct object **first = data;

	if (*first)
		object_unref(takes);
	else
		*first = takes;
}

struct decoding {
	struct reject reject;
	decode_fn fn;
	void *data;
};

static void decode_document(void *data, const struct document *doc)
{
	const struct decoding *d = data;

	(void)decode_any(doc->json, "", &d->reject, d->fn, d->data);
}

static void decode(const char *manifest, const struct decoding *d)
{
	_cleanup_(freep) char *error = NULL;

	if (document_parse(manifest, strlen(manifest), decode_document, (void *)d,
			   &error))
		fail_msg("%s: %s", manifest, error);
}

void object_text_decode(const char *manifest, struct buf *objects, struct buf *rejected)
{
	decode(manifest,
	       &(struct decoding){.reject = {.call = object_text_note, .data = rejected},
				  .fn = take_text,
				  .data = objects});
}

void object_text_decode_manifest(const char *manifest, struct buf *objects,
				 struct buf *rejected)
{
	decode(manifest, &(struct decoding){.reject = {.call = object_text_note,
						       .data = rejected,
						       .is_manifest = true},
					    .fn = take_text,
					    .data = objects});
}

struct object *object_text_first(const char *manifest)
{
	struct object *first = NULL;

	decode(manifest, &(struct decoding){.fn = take_first, .data = &first});
	return first;
}
