/*
 * The reverse of watchers/decode.  Decoded texts hold letters, digits, '-', '_' and
 * '.' only; the path of a health check alone needs escapes.
 */
#include "watchers/saved/object_json.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/mem.h"
#include "watchers/object_pack.h"

/* A list's separator: call it before each item, with the item's number. */
static void add_comma(struct buf *out, size_t i)
{
	if (i > 0)
		buf_add_char(out, ',');
}

static void add_addr(struct buf *out, const struct addr *addr)
{
	char text[ADDR_TEXT_LEN];

	buf_add_char(out, '"');
	buf_add_string(out, addr_format(addr, text));
	buf_add_char(out, '"');
}

/* A member with a list of addresses; nothing without any. */
static void add_addrs(struct buf *out, const char *key, const struct addr *addrs,
		      size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i == 0)
			buf_printf(out, ",\"%s\":[", key);
		add_comma(out, i);
		add_addr(out, &addrs[i]);
	}
	if (n > 0)
		buf_add_char(out, ']');
}

static void add_cidrs(struct buf *out, const char *key, const struct cidr *cidrs,
		      size_t n)
{
	char text[CIDR_TEXT_LEN];

	buf_printf(out, "\"%s\":[", key);
	for (size_t i = 0; i < n; i++) {
		add_comma(out, i);
		buf_printf(out, "\"%s\"", cidr_format(&cidrs[i], text));
	}
	buf_add_char(out, ']');
}

static void add_text(struct buf *out, const char *key, const char *text)
{
	if (*text)
		buf_printf(out, ",\"%s\":\"%s\"", key, text);
}

static void add_protocol(struct buf *out, uint8_t proto)
{
	if (proto != IPPROTO_TCP)
		add_text(out, "protocol", proto_name(proto));
}

/* Leaves the object "metadata" open. */
static void open_object(struct buf *out, const char *api_version, const struct object *o)
{
	char created[CLOCK_TEXT_LEN];

	buf_printf(out,
		   "{\"apiVersion\":\"%s\",\"kind\":\"%s\",\"metadata\":{\"name\":\"%s\"",
		   api_version, object_kind_name((enum object_kind)o->kind), o->name);
	add_text(out, "namespace", o->ns);
	if (o->created_sec)
		add_text(out, "creationTimestamp",
			 clock_format(o->created_sec * 1000000, created));
}

#define LABEL_HASHES "labelHashes"

struct annotations {
	struct buf *out;
	size_t n;
};

static void add_annotation(struct annotations *a, const char *key)
{
	buf_printf(a->out, "%s\"sluice.io/%s\":", a->n++ ? "," : ",\"annotations\":{",
		   key);
}

static void add_duration(struct annotations *a, const char *key, uint32_t ms)
{
	if (!ms)
		return;
	add_annotation(a, key);
	buf_printf(a->out, "\"%" PRIu32 "ms\"", ms);
}

static void add_count(struct annotations *a, const char *key, uint8_t n)
{
	if (!n)
		return;
	add_annotation(a, key);
	buf_printf(a->out, "\"%u\"", n);
}

static void add_removal(struct annotations *a, const struct service_options *options)
{
	if (options->on_endpoint_removed == ENDPOINT_REMOVAL_KEEP)
		return;
	add_annotation(a, "on-endpoint-removed");
	if (options->on_endpoint_removed == ENDPOINT_REMOVAL_RESET)
		buf_add_string(a->out, "\"reset\"");
	else
		buf_printf(a->out, "\"drain=%" PRIu32 "ms\"", options->drain_ms);
}

static void add_health_check(struct annotations *a, const struct object_service *s)
{
	if (s->options.health_check == HEALTH_CHECK_NONE)
		return;
	add_annotation(a, "health-check");
	buf_add_string(a->out, s->options.health_check == HEALTH_CHECK_TCP ? "\"tcp\""
									   : "\"http:");
	if (s->options.health_check == HEALTH_CHECK_TCP)
		return;
	for (const char *c = s->health_path; *c; c++) {
		if (*c == '"' || *c == '\\')
			buf_add_char(a->out, '\\');
		buf_add_char(a->out, *c);
	}
	buf_add_char(a->out, '"');
}

static void add_options(struct buf *out, const struct object_service *s)
{
	const struct service_options *options = &s->options;
	struct annotations a = {.out = out};

	add_removal(&a, options);
	if (options->proxy_protocol) {
		add_annotation(&a, "proxy-protocol");
		buf_printf(out, "\"v%u\"", options->proxy_protocol);
	}
	add_duration(&a, "hold", options->hold_ms);
	add_duration(&a, "connect-timeout", options->connect_timeout_ms);
	add_duration(&a, "set-aside", options->set_aside_ms);
	add_health_check(&a, s);
	add_duration(&a, "health-check-interval", options->health_interval_ms);
	add_duration(&a, "health-check-timeout", options->health_timeout_ms);
	add_count(&a, "health-check-rise", options->health_rise);
	add_count(&a, "health-check-fall", options->health_fall);
	if (a.n)
		buf_add_char(out, '}');
}

/* One without a cluster IP that can be used is served as little as a headless one. */
static void add_cluster_ips(struct buf *out, const struct object_service *s)
{
	struct addr ips[FAMILY_N];
	size_t n = 0;

	for (enum family f = 0; f < FAMILY_N && !s->is_headless; f++)
		if (s->has_family[f])
			ips[n++] = s->cluster_ip[f];
	if (n == FAMILY_N) {
		add_addrs(out, "clusterIPs", ips, n);
		buf_add_string(out, ",\"ipFamilies\":[\"IPv4\",\"IPv6\"]");
		return;
	}
	buf_add_string(out, ",\"clusterIP\":");
	if (n == 0)
		buf_add_string(out, "\"None\"");
	else
		add_addr(out, &ips[0]);
}

static void add_ports(struct buf *out, const struct object_service *s)
{
	buf_add_string(out, ",\"ports\":[");
	for (uint32_t i = 0; i < s->n_ports; i++) {
		const struct object_service_port *port = &s->ports[i];

		add_comma(out, i);
		buf_printf(out, "{\"port\":%u", port->port);
		add_protocol(out, port->proto);
		add_text(out, "name", port->name);
		if (port->node_port)
			buf_printf(out, ",\"nodePort\":%u", port->node_port);
		buf_add_char(out, '}');
	}
	buf_add_char(out, ']');
}

static void add_ingress(struct buf *out, const struct object_service *s)
{
	if (s->n_ingress == 0)
		return;
	buf_add_string(out, ",\"status\":{\"loadBalancer\":{\"ingress\":[");
	for (uint32_t i = 0; i < s->n_ingress; i++) {
		add_comma(out, i);
		buf_add_string(out, "{\"ip\":");
		add_addr(out, &s->ingress[i].addr);
		if (s->ingress[i].is_proxy_mode)
			add_text(out, "ipMode", "Proxy");
		buf_add_char(out, '}');
	}
	buf_add_string(out, "]}}");
}

static void add_spec(struct buf *out, const struct object_service *s)
{
	static const char *const types[] = {
		[SERVICE_CLUSTER_IP] = "ClusterIP",
		[SERVICE_NODE_PORT] = "NodePort",
		[SERVICE_LOAD_BALANCER] = "LoadBalancer",
		[SERVICE_EXTERNAL_NAME] = "ExternalName",
	};

	buf_printf(out, "},\"spec\":{\"type\":\"%s\"", types[s->type]);
	add_cluster_ips(out, s);
	add_ports(out, s);
	add_addrs(out, "externalIPs", s->external_ips, s->n_external_ips);
	if (s->internal_local)
		add_text(out, "internalTrafficPolicy", "Local");
	if (s->external_local)
		add_text(out, "externalTrafficPolicy", "Local");
	if (s->health_check_node_port)
		buf_printf(out, ",\"healthCheckNodePort\":%u", s->health_check_node_port);
	if (s->has_affinity)
		buf_printf(out,
			   ",\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":"
			   "{\"clientIP\":{\"timeoutSeconds\":%" PRIu32 "}}",
			   s->affinity_sec);
	if (s->n_source_ranges) {
		buf_add_char(out, ',');
		add_cidrs(out, "loadBalancerSourceRanges", s->source_ranges,
			  s->n_source_ranges);
	}
	buf_add_char(out, '}');
}

static void add_label_hashes(struct buf *out, const struct object_service *s)
{
	for (uint32_t i = 0; i < s->n_labels; i++)
		buf_printf(out, "%s\"%016" PRIx64 "\"",
			   i ? "," : ",\"" LABEL_HASHES "\":[", s->labels[i]);
	if (s->n_labels)
		buf_add_char(out, ']');
}

static void add_service(struct buf *out, const struct object *o)
{
	const struct object_service *s = object_as_service(o);

	open_object(out, "v1", o);
	add_options(out, s);
	add_label_hashes(out, s);
	add_spec(out, s);
	add_ingress(out, s);
}

/* hints.forZones or hints.forNodes, a NUL-separated list. */
static void add_hints(struct buf *out, const char *key, const char *names, size_t *n)
{
	if (!*names)
		return;
	buf_printf(out, "%s\"%s\":[", (*n)++ ? "," : ",\"hints\":{", key);
	for (size_t i = 0; *names; i++, names += strlen(names) + 1) {
		add_comma(out, i);
		buf_printf(out, "{\"name\":\"%s\"}", names);
	}
	buf_add_char(out, ']');
}

static void add_endpoint(struct buf *out, const struct object_endpoint *e)
{
	const uint8_t good = OBJECT_ENDPOINT_READY | OBJECT_ENDPOINT_SERVING;
	size_t n_hints = 0;

	buf_add_string(out, "{\"addresses\":[");
	add_addr(out, &e->addr);
	buf_add_char(out, ']');
	if (e->flags != good)
		buf_printf(out,
			   ",\"conditions\":{\"ready\":%s,\"serving\":%s,"
			   "\"terminating\":%s}",
			   e->flags & OBJECT_ENDPOINT_READY ? "true" : "false",
			   e->flags & OBJECT_ENDPOINT_SERVING ? "true" : "false",
			   e->flags & OBJECT_ENDPOINT_TERMINATING ? "true" : "false");
	add_text(out, "nodeName", e->node);
	add_hints(out, "forZones", e->zones, &n_hints);
	add_hints(out, "forNodes", e->nodes, &n_hints);
	buf_add_string(out, n_hints ? "}}" : "}");
}

static void add_slice(struct buf *out, const struct object *o)
{
	const struct object_slice *s = object_as_slice(o);
	char trigger[CLOCK_TEXT_LEN];

	open_object(out, "discovery.k8s.io/v1", o);
	buf_printf(out, ",\"labels\":{\"kubernetes.io/service-name\":\"%s\"}",
		   s->service);
	if (s->trigger_us)
		buf_printf(out,
			   ",\"annotations\":{\"endpoints.kubernetes.io/"
			   "last-change-trigger-time\":\"%s\"}",
			   clock_format(s->trigger_us, trigger));
	buf_printf(out, "},\"addressType\":\"%s\",\"ports\":[",
		   family_name((enum family)s->family));
	for (uint32_t i = 0; i < s->n_ports; i++) {
		add_comma(out, i);
		buf_printf(out, "{\"name\":\"%s\",\"port\":%u", s->ports[i].name,
			   s->ports[i].port);
		add_protocol(out, s->ports[i].proto);
		buf_add_char(out, '}');
	}
	buf_add_string(out, "],\"endpoints\":[");
	for (uint32_t i = 0; i < s->n_endpoints; i++) {
		add_comma(out, i);
		add_endpoint(out, &s->endpoints[i]);
	}
	buf_add_char(out, ']');
}

static void add_labels(struct buf *out, const struct object_node *n)
{
	if (!*n->zone && !*n->hostname)
		return;
	buf_add_string(out, ",\"labels\":{");
	if (*n->hostname)
		buf_printf(out, "\"kubernetes.io/hostname\":\"%s\"%s", n->hostname,
			   *n->zone ? "," : "");
	if (*n->zone)
		buf_printf(out, "\"topology.kubernetes.io/zone\":\"%s\"", n->zone);
	buf_add_char(out, '}');
}

/* All addresses as InternalIP keep their order. */
static void add_node(struct buf *out, const struct object *o)
{
	const struct object_node *n = object_as_node(o);

	open_object(out, "v1", o);
	add_labels(out, n);
	if (n->is_deleting)
		add_text(out, "deletionTimestamp", "1970-01-01T00:00:00Z");
	buf_add_string(out, "},\"spec\":{");
	add_cidrs(out, "podCIDRs", n->pod_cidrs, n->n_pod_cidrs);
	if (n->is_to_be_deleted)
		buf_add_string(out, ",\"taints\":[{\"key\":"
				    "\"ToBeDeletedByClusterAutoscaler\"}]");
	buf_add_string(out, "},\"status\":{\"addresses\":[");
	for (uint32_t i = 0; i < n->n_addresses; i++) {
		add_comma(out, i);
		buf_add_string(out, "{\"type\":\"InternalIP\",\"address\":");
		add_addr(out, &n->addresses[i]);
		buf_add_char(out, '}');
	}
	buf_add_string(out, "]}");
}

static void add_service_cidr(struct buf *out, const struct object *o)
{
	const struct object_service_cidr *s = object_as_service_cidr(o);

	open_object(out, "networking.k8s.io/v1", o);
	buf_add_string(out, "},\"spec\":{");
	add_cidrs(out, "cidrs", s->cidrs, s->n_cidrs);
	buf_add_char(out, '}');
}

static bool is_left_out(const struct object *o)
{
	if (o->kind == OBJECT_SERVICE)
		return object_as_service(o)->is_hidden;
	if (o->kind == OBJECT_SLICE)
		return object_as_slice(o)->is_hidden || object_as_slice(o)->is_mirror;
	return false;
}

bool object_json_add(struct buf *out, const struct object *o)
{
	static void (*const adders[OBJECT_KIND_N])(struct buf *,
						   const struct object *) = {
		[OBJECT_SERVICE] = add_service,
		[OBJECT_SLICE] = add_slice,
		[OBJECT_NODE] = add_node,
		[OBJECT_SERVICE_CIDR] = add_service_cidr,
	};

	if (!adders[o->kind] || is_left_out(o))
		return false;
	adders[o->kind](out, o);
	buf_add_string(out, "}\n");
	return true;
}

/* Sixteen hexadecimal digits. */
static bool read_hash(const json_t *json, uint64_t *ret)
{
	const char *text = json_string_value(json);

	if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
		return false;
	*ret = strtoull(text, NULL, 16);
	return true;
}

struct object *object_json_read_labels(const json_t *json, struct object *takes)
{
	const json_t *list =
		json_object_get(json_object_get(json, "metadata"), LABEL_HASHES);
	_cleanup_(freep) uint64_t *hashes = NULL;
	struct object_service service;
	struct object *ret;

	if (takes->kind != OBJECT_SERVICE || !json_array_size(list))
		return takes;
	service = *object_as_service(takes);
	hashes = xcalloc(json_array_size(list), sizeof(*hashes));
	service.labels = hashes;
	service.n_labels = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (!read_hash(json_array_get(list, i), &hashes[i])) {
			object_unref(takes);
			return NULL;
		}
		service.n_labels++;
	}
	ret = object_pack(&service.base);
	object_unref(takes);
	return ret;
}
