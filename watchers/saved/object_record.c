/*
 * A record is the kind, then the fields in the order of the functions here.  A change
 * of the fields needs another SAVED_VERSION.
 */
#include "watchers/saved/object_record.h"

#include <netinet/in.h>
#include <string.h>

#include "core/cleanup.h"
#include "watchers/decode/decode_valid.h"
#include "watchers/object_pack.h"
#include "watchers/saved/record.h"

/* Times are within ten thousand years of 1970. */
#define TIME_MAX_SEC (INT64_C(10000) * 366 * 86400)
#define TIME_MAX_US  (TIME_MAX_SEC * 1000000)

#define DURATION_MAX UINT32_MAX /* decode_are_options() knows the limits */

#define LIST(record, from, items, max, is_set, fields)                                   \
	record_list(record, (from)->items, &(from)->n_##items, sizeof(*(from)->items),   \
		    max, is_set, fields)

static void base_fields(struct record *r, struct object *o, bool is_namespaced)
{
	o->ns = record_plain(r, o->ns, DECODE_MAX_LABEL);
	record_require(r,
		       is_namespaced ? decode_is_name(o->ns, DECODE_MAX_LABEL) : !*o->ns);
	o->name = record_plain(r, o->name, DECODE_MAX_NAME);
	record_require(r, decode_is_name(o->name, DECODE_MAX_NAME));
}

static uint16_t port_number(struct record *r, uint16_t port, uint16_t min)
{
	return (uint16_t)record_number(r, port, min, UINT16_MAX);
}

static uint8_t protocol(struct record *r, uint8_t proto)
{
	proto = (uint8_t)record_number(r, proto, 0, UINT8_MAX);
	record_require(r, proto_name(proto));
	return proto;
}

static void service_port_fields(struct record *r, void *item)
{
	struct object_service_port *port = item;

	port->name = record_plain(r, port->name, DECODE_MAX_LABEL);
	port->port = port_number(r, port->port, 1);
	port->node_port = port_number(r, port->node_port, 0);
	port->proto = protocol(r, port->proto);
}

static void addr_fields(struct record *r, void *item)
{
	record_addr(r, item);
}

static void cidr_fields(struct record *r, void *item)
{
	record_cidr(r, item);
}

static void ingress_fields(struct record *r, void *item)
{
	struct object_ingress *ingress = item;

	record_addr(r, &ingress->addr);
	ingress->is_proxy_mode = record_bool(r, ingress->is_proxy_mode);
}

static void label_fields(struct record *r, void *item)
{
	uint64_t *hash = item;

	*hash = record_number(r, *hash, 0, UINT64_MAX);
}

static void option_fields(struct record *r, void *item)
{
	struct object_options *options = item;
	struct service_options *o = &options->service;
	struct service_times *t = &options->times;
	uint8_t *const numbers[] = {&o->on_endpoint_removed, &o->proxy_protocol,
				    &o->health_check, &o->health_rise, &o->health_fall};
	uint32_t *const durations[] = {&t->drain_ms,	       &t->hold_ms,
				       &t->connect_timeout_ms, &t->set_aside_ms,
				       &t->health_interval_ms, &t->health_timeout_ms};

	for (size_t i = 0; i < N_ELEMENTS(numbers); i++)
		*numbers[i] = (uint8_t)record_number(r, *numbers[i], 0, UINT8_MAX);
	for (size_t i = 0; i < N_ELEMENTS(durations); i++)
		*durations[i] =
			(uint32_t)record_number(r, *durations[i], 0, DURATION_MAX);
	options->health_path = record_text(r, options->health_path, DECODE_MAX_PATH);
	record_require(r, decode_are_options(options) && !decode_are_defaults(options));
}

static void cluster_ip_fields(struct record *r, struct object_service *s)
{
	s->is_headless = record_bool(r, s->is_headless);
	for (enum family f = 0; f < FAMILY_N; f++) {
		s->has_family[f] = record_bool(r, s->has_family[f]);
		if (!s->has_family[f])
			continue;
		record_any_addr(r, &s->cluster_ip[f]);
		record_require(r, addr_family(&s->cluster_ip[f]) == f && !s->is_headless);
	}
}

static bool has_equal_ports(const struct object_service *s)
{
	for (uint32_t i = 1; i < s->n_ports; i++)
		for (uint32_t j = 0; j < i; j++)
			if (s->ports[i].proto == s->ports[j].proto &&
			    strcmp(s->ports[i].name, s->ports[j].name) == 0)
				return true;
	return false;
}

static void service_fields(struct record *r, struct object *o)
{
	struct object_service *s = (struct object_service *)(void *)o;

	base_fields(r, o, true);
	s->created_sec =
		(int64_t)record_number(r, (uint64_t)(s->created_sec + TIME_MAX_SEC), 0,
				       2 * TIME_MAX_SEC) -
		TIME_MAX_SEC;
	s->type = (uint8_t)record_number(r, s->type, 0, SERVICE_EXTERNAL_NAME);
	cluster_ip_fields(r, s);
	s->internal_local = record_bool(r, s->internal_local);
	s->external_local = record_bool(r, s->external_local);
	s->has_affinity = record_bool(r, s->has_affinity);
	s->affinity_sec =
		(uint32_t)record_number(r, s->affinity_sec, 1, DECODE_MAX_AFFINITY_SEC);
	s->health_check_node_port = port_number(r, s->health_check_node_port, 0);
	s->ports = LIST(r, s, ports, DECODE_MAX_PORTS, false, service_port_fields);
	record_require(r, !has_equal_ports(s));
	s->external_ips =
		LIST(r, s, external_ips, DECODE_MAX_ADDRESSES, true, addr_fields);
	s->ingress = LIST(r, s, ingress, DECODE_MAX_ADDRESSES, true, ingress_fields);
	s->source_ranges =
		LIST(r, s, source_ranges, DECODE_MAX_ADDRESSES, true, cidr_fields);
	s->labels = LIST(r, s, labels, UINT32_MAX, false, label_fields);
	s->options = LIST(r, s, options, 1, false, option_fields);
}

static void slice_port_fields(struct record *r, void *item)
{
	struct object_slice_port *port = item;

	port->name = record_plain(r, port->name, DECODE_MAX_LABEL);
	port->port = port_number(r, port->port, 1);
	port->proto = protocol(r, port->proto);
}

static void endpoint_fields(struct record *r, void *item)
{
	const uint8_t all = OBJECT_ENDPOINT_READY | OBJECT_ENDPOINT_SERVING |
			    OBJECT_ENDPOINT_TERMINATING;
	struct object_endpoint *e = item;

	record_addr(r, &e->addr);
	e->flags = (uint8_t)record_number(r, e->flags, 0, all);
	e->node = record_plain(r, e->node, DECODE_MAX_NAME);
}

static void hints_fields(struct record *r, void *item)
{
	struct object_hints *hints = item;

	hints->zones = record_names(r, hints->zones, DECODE_MAX_HINTS);
	hints->nodes = record_names(r, hints->nodes, DECODE_MAX_HINTS);
}

static bool are_of_family(const struct object_slice *s)
{
	for (uint32_t i = 0; i < s->n_endpoints; i++)
		if ((uint8_t)addr_family(&s->endpoints[i].addr) != s->family)
			return false;
	return true;
}

static void slice_fields(struct record *r, struct object *o)
{
	struct object_slice *s = (struct object_slice *)(void *)o;

	base_fields(r, o, true);
	s->service = record_plain(r, s->service, DECODE_MAX_NAME);
	record_require(r, *s->service);
	s->family = (uint8_t)record_number(r, s->family, 0, FAMILY_N - 1);
	s->trigger_us =
		(int64_t)record_number(r, (uint64_t)s->trigger_us, 0, TIME_MAX_US);
	s->ports = LIST(r, s, ports, DECODE_MAX_PORTS, false, slice_port_fields);
	s->endpoints =
		LIST(r, s, endpoints, DECODE_MAX_ENDPOINTS, false, endpoint_fields);
	record_require(r, are_of_family(s));
	s->hints = LIST(r, s, hints, DECODE_MAX_ENDPOINTS, false, hints_fields);
	record_require(r, s->n_hints == 0 || s->n_hints == s->n_endpoints);
}

static void node_fields(struct record *r, struct object *o)
{
	struct object_node *n = (struct object_node *)(void *)o;

	base_fields(r, o, false);
	n->zone = record_plain(r, n->zone, DECODE_MAX_LABEL);
	n->hostname = record_plain(r, n->hostname, DECODE_MAX_NAME);
	n->is_deleting = record_bool(r, n->is_deleting);
	n->is_to_be_deleted = record_bool(r, n->is_to_be_deleted);
	n->addresses = LIST(r, n, addresses, DECODE_MAX_ADDRESSES, false, addr_fields);
	n->pod_cidrs = LIST(r, n, pod_cidrs, DECODE_MAX_ADDRESSES, true, cidr_fields);
}

static void service_cidr_fields(struct record *r, struct object *o)
{
	struct object_service_cidr *s = (struct object_service_cidr *)(void *)o;

	base_fields(r, o, false);
	s->cidrs = LIST(r, s, cidrs, DECODE_MAX_ADDRESSES, true, cidr_fields);
}

static const struct {
	void (*fields)(struct record *r, struct object *o);
	size_t head_len;
} kinds[OBJECT_KIND_N] = {
	[OBJECT_SERVICE] = {service_fields, sizeof(struct object_service)},
	[OBJECT_SLICE] = {slice_fields, sizeof(struct object_slice)},
	[OBJECT_NODE] = {node_fields, sizeof(struct object_node)},
	[OBJECT_SERVICE_CIDR] = {service_cidr_fields, sizeof(struct object_service_cidr)},
};

/* Room for the head of any of them. */
union head {
	struct object base;
	struct object_service service;
	struct object_slice slice;
	struct object_node node;
	struct object_service_cidr service_cidr;
};

static bool is_left_out(const struct object *o)
{
	if (o->kind == OBJECT_SERVICE)
		return object_as_service(o)->is_hidden;
	if (o->kind == OBJECT_SLICE)
		return object_as_slice(o)->is_hidden || object_as_slice(o)->is_mirror;
	return !kinds[o->kind].fields;
}

/* Without the reference count and the mark, which other threads may change meanwhile. */
static void copy_head(union head *head, const struct object *o)
{
	const size_t base_len = sizeof(*o);

	head->base = (struct object){
		.ns = o->ns,
		.name = o->name,
		.kind = o->kind,
	};
	memcpy((char *)head + base_len, (const char *)o + base_len,
	       kinds[o->kind].head_len - base_len);
}

bool object_record_add(struct buf *out, const struct object *o)
{
	struct record r;
	union head head;

	if (is_left_out(o))
		return false;
	copy_head(&head, o);
	record_init_writer(&r, out);
	(void)record_number(&r, o->kind, 0, OBJECT_KIND_N - 1);
	kinds[o->kind].fields(&r, &head.base);
	record_fini(&r);
	return true;
}

struct object *object_record_read(const void *bytes, size_t len)
{
	struct object *o = NULL;
	struct record r;
	union head head;

	memset(&head, 0, sizeof(head)); /* padding too: it is compared */
	record_init_reader(&r, bytes, len);
	head.base.kind = (uint8_t)record_number(&r, 0, 0, OBJECT_KIND_N - 1);
	if (!r.is_bad && kinds[head.base.kind].fields) {
		kinds[head.base.kind].fields(&r, &head.base);
		record_require(&r, r.at == r.end);
		o = r.is_bad ? NULL : object_pack(&head.base);
	}
	record_fini(&r);
	return o;
}
