#include "tests/kernel/random_cluster.h"

#include <jansson.h>
#include <stdio.h>

#include "core/cleanup.h"
#include "tests/test.h"
#include "watchers/cluster.h"
#include "watchers/decode/decode.h"

#define N_SERVICES 10
#define N_SLICES   3 /* of a Service in one family */
#define TEXT_LEN   64

uint32_t random_below(struct random_cluster *r, uint32_t n)
{
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 7;
	r->seed ^= r->seed << 17;
	return (uint32_t)(r->seed >> 33) % n;
}

static bool chance(struct random_cluster *r, uint32_t percent)
{
	return random_below(r, 100) < percent;
}

static const char *pick(struct random_cluster *r, const char *const *items, uint32_t n)
{
	return items[random_below(r, n)];
}

static void refuse(void *data, const struct rejection *j)
{
	(void)data;
	fail_msg("a generated object was rejected: %s %s/%s %s: %s", j->kind, j->ns,
		 j->name, j->field, j->reason);
}

static void put(struct random_cluster *r, json_t *takes)
{
	const struct reject reject = {.call = refuse};
	struct decoded d;

	assert_int_equal(decode_object(takes, "random", &reject, &d), 0);
	for (size_t i = 0; i < d.n; i++)
		(void)cluster_put(r->cluster, d.objects[i]);
	json_decref(takes);
}

static json_t *address(const char *format_4, const char *format_6, bool is_6,
		       uint32_t number)
{
	char text[TEXT_LEN];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(text, sizeof(text), is_6 ? format_6 : format_4, number);
#pragma GCC diagnostic pop
	return json_string(text);
}

static void put_node(struct random_cluster *r)
{
	static const char *const zones[] = {"za", "zb", ""};

	put(r, json_pack("{s:s, s:s, s:{s:s, s:{s:s}}, s:{s:[{s:s,s:s}, {s:s,s:s}]}}",
			 "apiVersion", "v1", "kind", "Node", "metadata", "name",
			 RANDOM_NODE_NAME, "labels", "topology.kubernetes.io/zone",
			 pick(r, zones, N_ELEMENTS(zones)), "status", "addresses", "type",
			 "InternalIP", "address", "192.168.0.2", "type", "InternalIP",
			 "address", "fd00:192:168::2"));
}

/* Some are ports of external addresses, too, which may be the node's. */
static int random_node_port(struct random_cluster *r)
{
	if (chance(r, 20))
		return (int)(80 + random_below(r, 3));
	return (int)(30000 + random_below(r, 20));
}

/* Every second Service has the ports of the one before it, for more conflicts. */
static json_t *random_ports(struct random_cluster *r, bool has_node_ports)
{
	static const char *const protos[] = {"TCP", "UDP", "SCTP"};
	json_t *ports = json_array();
	uint32_t n = 1 + random_below(r, 3);

	for (uint32_t i = 0; i < n; i++) {
		char name[16];
		json_t *p;

		(void)snprintf(name, sizeof(name), "p%u", i);
		p = json_pack("{s:s, s:s, s:i}", "name", name, "protocol", protos[i],
			      "port", (int)(80 + random_below(r, 3)));
		if (has_node_ports)
			json_object_set_new(p, "nodePort",
					    json_integer(random_node_port(r)));
		json_array_append_new(ports, p);
	}
	return ports;
}

static json_t *random_addresses(struct random_cluster *r, const char *format_4,
				const char *format_6, uint32_t pool)
{
	json_t *list = json_array();

	for (uint32_t n = random_below(r, 3); n; n--)
		json_array_append_new(list, address(format_4, format_6, chance(r, 50),
						    1 + random_below(r, pool)));
	return list;
}

static json_t *random_ranges(struct random_cluster *r)
{
	static const char *const ranges[] = {
		"203.0.113.0/25",  "203.0.113.64/26", "2001:db8:113::/64",
		"192.168.0.0/24",  "10.180.0.0/16",   "fd00:192:168::/64",
		"203.0.113.77/32", "fd00:10::/32",
	};
	json_t *list = json_array();

	for (uint32_t n = chance(r, 60) ? 0 : 1 + random_below(r, 3); n; n--)
		json_array_append_new(list,
				      json_string(pick(r, ranges, N_ELEMENTS(ranges))));
	if (chance(r, 5))
		json_array_append_new(list, json_string("0.0.0.0/0"));
	return list;
}

static json_t *random_ingress(struct random_cluster *r)
{
	json_t *list = json_array();

	for (uint32_t n = random_below(r, 3); n; n--) {
		json_t *item = json_object();

		json_object_set_new(item, "ip",
				    address("1.2.3.%u", "2001:db8:1::%x", chance(r, 50),
					    1 + random_below(r, 6)));
		if (chance(r, 30))
			json_object_set_new(item, "ipMode",
					    json_string(chance(r, 50) ? "Proxy" : "VIP"));
		json_array_append_new(list, item);
	}
	return list;
}

/* Single stack of either family, or dual stack in either order. */
static void set_families(struct random_cluster *r, json_t *spec, uint32_t number)
{
	json_t *ips = json_array(), *families = json_array();
	bool first_is_6 = chance(r, 40);

	for (uint32_t i = 0; i < (chance(r, 60) ? 2u : 1u); i++) {
		bool is_6 = first_is_6 != (i == 1);

		json_array_append_new(ips, address("172.30.0.%u", "fd00:172:30::%x", is_6,
						   10 + number));
		json_array_append_new(families, json_string(is_6 ? "IPv6" : "IPv4"));
		if (i == 1)
			break;
	}
	json_object_set_new(spec, "clusterIPs", ips);
	json_object_set_new(spec, "ipFamilies", families);
}

static const char *policy(struct random_cluster *r)
{
	return chance(r, 40) ? "Local" : "Cluster";
}

static json_t *random_labels(struct random_cluster *r)
{
	json_t *labels = json_object();

	if (chance(r, 4))
		json_object_set_new(labels, "service.kubernetes.io/service-proxy-name",
				    json_string("other"));
	if (chance(r, 4))
		json_object_set_new(labels, "service.kubernetes.io/headless",
				    json_string(""));
	return labels;
}

static void put_service(struct random_cluster *r, uint32_t number)
{
	static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer",
					    "LoadBalancer", "ExternalName"};
	uint32_t type = random_below(r, chance(r, 95) ? 4 : 5);
	json_t *spec = json_object();
	char name[16];

	(void)snprintf(name, sizeof(name), "s%u", number);
	json_object_set_new(spec, "type", json_string(types[type]));
	set_families(r, spec, number);
	json_object_set_new(spec, "ports",
			    random_ports(r, type == 1 || (type >= 2 && chance(r, 70))));
	json_object_set_new(spec, "internalTrafficPolicy", json_string(policy(r)));
	json_object_set_new(spec, "externalTrafficPolicy", json_string(policy(r)));
	json_object_set_new(spec, "healthCheckNodePort", json_integer(31000 + number));
	json_object_set_new(spec, "externalIPs",
			    random_addresses(r, "192.168.99.%u", "fd00:99::%x", 5));
	json_object_set_new(spec, "loadBalancerSourceRanges", random_ranges(r));
	if (chance(r, 25))
		json_object_update_new(spec,
				       json_pack("{s:s, s:{s:{s:i}}}", "sessionAffinity",
						 "ClientIP", "sessionAffinityConfig",
						 "clientIP", "timeoutSeconds",
						 chance(r, 50) ? 60 : 10800));
	put(r, json_pack("{s:s, s:s, s:{s:s, s:s, s:o}, s:o, s:{s:{s:o}}}", "apiVersion",
			 "v1", "kind", "Service", "metadata", "namespace", "test", "name",
			 name, "labels", random_labels(r), "spec", spec, "status",
			 "loadBalancer", "ingress",
			 type == 2 || type == 3 ? random_ingress(r) : json_array()));
}

static json_t *random_endpoint(struct random_cluster *r, bool is_6,
			       uint32_t hints_percent)
{
	static const char *const zones[] = {"za", "zb", "zc"};
	static const char *const nodes[] = {RANDOM_NODE_NAME, "node-b", "node-c"};
	bool terminating = chance(r, 25), ready = !terminating && chance(r, 75);
	bool serving = ready || chance(r, 60);
	const char *node = pick(r, nodes, N_ELEMENTS(nodes));
	/* an address belongs to one node */
	json_t *e = json_pack("{s:[o], s:{s:b, s:b, s:b}, s:s}", "addresses",
			      address(node == nodes[0] ? "10.180.0.%u" : "10.180.2.%u",
				      node == nodes[0] ? "fd00:10:180::%x"
						       : "fd00:10:180:2::%x",
				      is_6, 1 + random_below(r, 9)),
			      "conditions", "ready", ready, "serving", serving,
			      "terminating", terminating, "nodeName", node);

	if (chance(r, hints_percent))
		json_object_set_new(e, "hints",
				    json_pack("{s:[{s:s}]}", "forZones", "name",
					      pick(r, zones, N_ELEMENTS(zones))));
	return e;
}

static void put_slice(struct random_cluster *r, uint32_t number, uint32_t index)
{
	static const char *const protos[] = {"TCP", "UDP", "SCTP"};
	uint32_t hints_percent = chance(r, 30) ? 100 : 0;
	json_t *ports = json_array(), *endpoints = json_array();
	bool is_6 = index % 2;
	char name[24], service[16];

	(void)snprintf(name, sizeof(name), "s%u-%u", number, index);
	(void)snprintf(service, sizeof(service), "s%u", number);
	for (uint32_t i = 0; i < 3; i++) {
		char port_name[16];

		(void)snprintf(port_name, sizeof(port_name), "p%u", i);
		if (chance(r, 92))
			json_array_append_new(
				ports, json_pack("{s:s, s:s, s:i}", "name", port_name,
						 "protocol", protos[i], "port",
						 (int)(8080 + random_below(r, 2))));
	}
	for (uint32_t n = random_below(r, 5); n; n--)
		json_array_append_new(endpoints, random_endpoint(r, is_6, hints_percent));
	put(r, json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}}, s:s, s:o, s:o}", "apiVersion",
			 "discovery.k8s.io/v1", "kind", "EndpointSlice", "metadata",
			 "namespace", "test", "name", name, "labels",
			 "kubernetes.io/service-name", service, "addressType",
			 is_6 ? "IPv6" : "IPv4", "ports", ports, "endpoints", endpoints));
}

static void del_slice(struct random_cluster *r, uint32_t number, uint32_t index)
{
	char name[24];

	(void)snprintf(name, sizeof(name), "s%u-%u", number, index);
	(void)cluster_del(r->cluster, OBJECT_SLICE, "test", name);
}

static void del_service(struct random_cluster *r, uint32_t number)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "s%u", number);
	(void)cluster_del(r->cluster, OBJECT_SERVICE, "test", name);
}

void random_cluster_fill(struct random_cluster *r)
{
	put_node(r);
	put(r, json_pack("{s:s, s:s, s:{s:s}, s:{s:[s,s]}}", "apiVersion",
			 "networking.k8s.io/v1", "kind", "ServiceCIDR", "metadata",
			 "name", "kubernetes", "spec", "cidrs", "172.30.0.0/16",
			 "fd00:172:30::/112"));
	for (uint32_t number = 0; number < N_SERVICES; number++) {
		if (chance(r, 75))
			put_service(r, number);
		else
			del_service(r, number);
		for (uint32_t i = 0; i < 2 * N_SLICES; i++)
			if (chance(r, i < 2 ? 80 : 25))
				put_slice(r, number, i);
			else
				del_slice(r, number, i);
	}
}

void random_cluster_change(struct random_cluster *r)
{
	for (uint32_t n = 1 + random_below(r, 4); n; n--) {
		uint32_t number = random_below(r, N_SERVICES);

		switch (random_below(r, 5)) {
		case 0:
			put_service(r, number);
			break;
		case 1:
			del_service(r, number);
			break;
		case 2:
			del_slice(r, number, random_below(r, 2 * N_SLICES));
			break;
		default:
			put_slice(r, number, random_below(r, 2 * N_SLICES));
			break;
		}
	}
}
