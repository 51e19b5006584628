/*
 * v1 Service.  The only decisions are those of the API server: which cluster IP
 * belongs to which family, and the defaults.
 */
#include "watchers/decode/decode_parts.h"

#include <string.h>

#include "core/cleanup.h"
#include "watchers/labels.h"

#define DEFAULT_AFFINITY_SEC 10800

static const char *const type_names[] = {
	[SERVICE_CLUSTER_IP] = "ClusterIP",
	[SERVICE_NODE_PORT] = "NodePort",
	[SERVICE_LOAD_BALANCER] = "LoadBalancer",
	[SERVICE_EXTERNAL_NAME] = "ExternalName",
};

static uint8_t decode_type(const struct json_reader *spec)
{
	struct json_reader member = json_reader_member(spec, "type");
	const char *text = json_reader_text(&member);

	if (!text || !*text)
		return SERVICE_CLUSTER_IP;
	for (uint8_t type = 0; type < N_ELEMENTS(type_names); type++) {
		if (strcmp(text, type_names[type]) == 0)
			return type;
	}
	json_reader_reject_text(&member, "%s is not a type of a Service", text);
	return SERVICE_CLUSTER_IP;
}

/* The address at r for this family, unless one is there already. */
static void take_cluster_ip(struct object_service *svc, const struct json_reader *r,
			    enum family family)
{
	struct addr addr;

	if (svc->has_family[family] || !decode_address(r, &addr))
		return;
	if (addr_family(&addr) != family) {
		json_reader_reject(r, "is not an %s address, as spec.ipFamilies says",
				   family_name(family));
		return;
	}
	svc->has_family[family] = true;
	svc->cluster_ip[family] = addr;
}

/* ipFamilies[i] is the family of clusterIPs[i]; a lone clusterIP is the first of them. */
static void decode_families(const struct json_reader *families,
			    const struct json_reader *ips,
			    const struct json_reader *lone_ip, struct object_service *svc)
{
	size_t n = json_reader_n(families, FAMILY_N),
	       n_ips = json_reader_n(ips, FAMILY_N);

	for (size_t i = 0; i < n; i++) {
		struct json_reader item = json_reader_item(families, i);
		struct json_reader ip = json_reader_item(ips, i);
		const char *text = json_reader_text(&item);
		enum family family;

		if (!text)
			continue;
		if (!family_parse(text, &family))
			json_reader_reject_text(&item, "%s is not an IP family", text);
		else if (i < n_ips)
			take_cluster_ip(svc, &ip, family);
		else if (i == 0)
			take_cluster_ip(svc, lone_ip, family);
	}
}

static bool has_other_address(const struct object_service *svc)
{
	return svc->n_external_ips > 0 || svc->n_ingress > 0 ||
	       svc->type == SERVICE_NODE_PORT || svc->type == SERVICE_LOAD_BALANCER;
}

static void report_no_cluster_ip(const struct json_reader *r, bool is_served)
{
	json_reader_reject(r,
			   "is missing, and without an API server nothing allocates one: "
			   "%s (None makes a headless Service)",
			   is_served
				   ? "only the other addresses and node ports are served"
				   : "this Service is not served");
}

/*
 * An API server would have allocated a cluster IP.  In a manifest, the other
 * addresses and the node ports of such a Service are served all the same, in its
 * ipFamilies; without those, in IPv4 and the families of its addresses.
 */
static void decode_without_cluster_ip(const struct json_reader *lone_ip,
				      const struct json_reader *families,
				      struct object_service *svc)
{
	bool is_served = json_reader_is_manifest(lone_ip) && has_other_address(svc);
	size_t n = json_array_size(families->json);

	svc->is_headless = !is_served;
	if (json_reader_is_manifest(lone_ip) && svc->type != SERVICE_EXTERNAL_NAME &&
	    !svc->is_hidden)
		report_no_cluster_ip(lone_ip, is_served);
	if (!is_served)
		return;
	svc->has_family[FAMILY_IPV4] = n == 0;
	for (uint32_t i = 0; n == 0 && i < svc->n_external_ips; i++)
		svc->has_family[addr_family(&svc->external_ips[i])] = true;
	for (uint32_t i = 0; n == 0 && i < svc->n_ingress; i++)
		svc->has_family[addr_family(&svc->ingress[i].addr)] = true;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(families->json, i));
		enum family family;

		if (text && family_parse(text, &family))
			svc->has_family[family] = true;
	}
	for (enum family f = 0; f < FAMILY_N; f++)
		svc->cluster_ip[f] = addr_unspecified(f);
}

/*
 * A Service that an old API server wrote has no ipFamilies: its clusterIP counts
 * for the family of that address.
 */
static void decode_cluster_ips(const struct json_reader *spec, struct object_service *svc)
{
	struct json_reader families = json_reader_array(spec, "ipFamilies");
	struct json_reader ips = json_reader_array(spec, "clusterIPs");
	struct json_reader lone_ip = json_reader_member(spec, "clusterIP");
	const char *text;
	struct addr addr;

	if (!lone_ip.json && json_array_size(ips.json) > 0)
		lone_ip = json_reader_item(&ips, 0);
	text = json_reader_text(&lone_ip);
	svc->is_headless = text && strcmp(text, "None") == 0;
	if (!text || !*text) {
		decode_without_cluster_ip(&lone_ip, &families, svc);
		return;
	}
	if (svc->is_headless)
		return;
	if (json_array_size(families.json) > 0)
		decode_families(&families, &ips, &lone_ip, svc);
	else if (decode_address(&lone_ip, &addr))
		take_cluster_ip(svc, &lone_ip, addr_family(&addr));
}

static bool decode_port(const struct json_reader *r, struct object_service_port *ret)
{
	struct json_reader port = json_reader_member(r, "port");
	int64_t number;

	if (!json_is_object(r->json)) {
		json_reader_reject(r, "must be an object");
		return false;
	}
	if (!port.json) {
		json_reader_reject(&port, "is missing");
		return false;
	}
	if (!json_reader_number(&port, 1, UINT16_MAX, &number) ||
	    !decode_port_name(r, &ret->name))
		return false;
	ret->proto = decode_protocol(r);
	if (ret->proto == 0)
		return false;
	ret->port = (uint16_t)number;
	ret->node_port =
		(uint16_t)json_reader_get_number(r, "nodePort", 0, UINT16_MAX, 0);
	return true;
}

static void decode_ports(const struct json_reader *spec, struct scratch *scratch,
			 struct object_service *svc)
{
	struct json_reader array = json_reader_array(spec, "ports");
	size_t n = json_reader_n(&array, DECODE_MAX_PORTS);
	struct object_service_port *list = scratch_take(scratch, n, sizeof(*list));

	for (size_t i = 0; i < n; i++) {
		struct json_reader item = json_reader_item(&array, i);
		struct object_service_port *port = &list[svc->n_ports];
		size_t same = 0;

		if (!decode_port(&item, port))
			continue;
		while (list[same].proto != port->proto ||
		       strcmp(list[same].name, port->name) != 0)
			same++;
		if (same < svc->n_ports)
			json_reader_reject(&item,
					   "an earlier port has its name and protocol");
		else
			svc->n_ports++;
	}
	svc->ports = list;
}

static void decode_affinity(const struct json_reader *spec, struct object_service *svc)
{
	struct json_reader config = json_reader_object(spec, "sessionAffinityConfig");
	struct json_reader client_ip = json_reader_object(&config, "clientIP");

	svc->has_affinity = decode_is_second(spec, "sessionAffinity", "None", "ClientIP");
	svc->affinity_sec = DEFAULT_AFFINITY_SEC;
	if (svc->has_affinity)
		svc->affinity_sec =
			(uint32_t)json_reader_get_number(&client_ip, "timeoutSeconds", 1,
							 DECODE_MAX_AFFINITY_SEC,
							 DEFAULT_AFFINITY_SEC);
}

/* As in kube-proxy, only VIP and no mode at all mean that the node serves the address. */
static bool is_vip(const struct json_reader *ingress)
{
	struct json_reader member = json_reader_member(ingress, "ipMode");
	const char *text = json_reader_text(&member);

	if (text && strcmp(text, "VIP") != 0 && strcmp(text, "Proxy") != 0)
		json_reader_reject_text(
			&member, "%s is not VIP or Proxy, so the address is not served",
			text);
	return !text || strcmp(text, "VIP") == 0;
}

static void decode_ingress(const struct json_reader *root, struct scratch *scratch,
			   struct object_service *svc)
{
	struct json_reader status = json_reader_object(root, "status");
	struct json_reader balancer = json_reader_object(&status, "loadBalancer");
	struct json_reader array = json_reader_array(&balancer, "ingress");
	size_t n = json_reader_n(&array, DECODE_MAX_ADDRESSES);
	struct object_ingress *list = scratch_take(scratch, n, sizeof(*list));

	for (size_t i = 0; i < n; i++) {
		struct json_reader item = json_reader_item(&array, i);
		struct json_reader ip = json_reader_member(&item, "ip");
		struct object_ingress *ingress = &list[svc->n_ingress];
		size_t same = 0;

		if (!*json_reader_get_text(&item, "ip") ||
		    !decode_address(&ip, &ingress->addr))
			continue;
		ingress->is_proxy_mode = !is_vip(&item);
		while (!addr_equal(&list[same].addr, &ingress->addr) ||
		       list[same].is_proxy_mode != ingress->is_proxy_mode)
			same++;
		if (same == svc->n_ingress)
			svc->n_ingress++;
	}
	svc->ingress = list;
}

static void decode_spec(const struct json_reader *spec, struct scratch *scratch,
			struct object_service *svc)
{
	struct json_reader external_ips = json_reader_array(spec, "externalIPs");
	struct json_reader ranges = json_reader_array(spec, "loadBalancerSourceRanges");

	svc->type = decode_type(spec);
	svc->internal_local =
		decode_is_second(spec, "internalTrafficPolicy", "Cluster", "Local");
	svc->external_local =
		decode_is_second(spec, "externalTrafficPolicy", "Cluster", "Local");
	svc->health_check_node_port =
		(uint16_t)json_reader_get_number(spec, "healthCheckNodePort", 0,
						 UINT16_MAX, 0);
	svc->external_ips =
		decode_addresses(&external_ips, scratch, &svc->n_external_ips);
	decode_cluster_ips(spec, svc);
	decode_affinity(spec, svc);
	decode_ports(spec, scratch, svc);
	svc->source_ranges = decode_cidrs(&ranges, scratch, &svc->n_source_ranges);
}

/* Values that are not strings are left out: an API server refuses them. */
static void decode_labels(const struct json_reader *metadata, struct scratch *scratch,
			  struct object_service *svc)
{
	struct json_reader labels = json_reader_object(metadata, "labels");
	uint64_t *hashes =
		scratch_take(scratch, json_object_size(labels.json), sizeof(*hashes));
	const char *key;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)labels.json, key,
			    value) if (json_is_string(value)) hashes[svc->n_labels++] =
		label_hash(key, strlen(key), json_string_value(value),
			   json_string_length(value));
	svc->labels = hashes;
}

/* An API server refuses such a Service. */
static void check_ports(const struct json_reader *spec, const struct object_service *svc)
{
	struct json_reader ports = json_reader_member(spec, "ports");

	if (json_reader_is_manifest(spec) && json_array_size(ports.json) == 0 &&
	    !svc->is_hidden && !svc->is_headless && svc->type != SERVICE_EXTERNAL_NAME)
		json_reader_reject(&ports, "is empty, so this Service is not served");
}

/* The API server always allocates one; in a manifest it may be missing. */
static void check_health_port(const struct json_reader *spec,
			      const struct object_service *svc)
{
	struct json_reader port = json_reader_member(spec, "healthCheckNodePort");

	if (svc->type == SERVICE_LOAD_BALANCER && svc->external_local &&
	    !svc->is_hidden && !svc->is_headless && svc->health_check_node_port == 0)
		json_reader_reject(&port, "is missing: load balancers cannot ask whether "
					  "this node has endpoints");
}

void decode_service(const struct json_reader *root, struct scratch *scratch,
		    struct decoded *ret)
{
	struct json_reader metadata = json_reader_object(root, "metadata");
	struct json_reader spec;
	struct object_service svc;
	struct object_options options;

	memset(&options, 0, sizeof(options)); /* padding too: it is compared */
	memset(&svc, 0, sizeof(svc));
	svc.base.kind = OBJECT_SERVICE;
	if (!decode_metadata(&metadata, true, &svc.base))
		return;
	svc.created_sec = decode_creation_time(&metadata);
	svc.is_hidden = decode_is_hidden(&metadata);
	decode_options(&metadata, &options);
	decode_labels(&metadata, scratch, &svc);
	spec = json_reader_object(root, "spec");
	decode_ingress(root, scratch, &svc);
	decode_spec(&spec, scratch, &svc);
	check_ports(&spec, &svc);
	check_health_port(&spec, &svc);
	decode_check_options(&metadata, &svc, &options);
	svc.options = &options;
	svc.n_options = decode_are_defaults(&options) ? 0 : 1;
	decode_add(ret, &svc.base);
}
