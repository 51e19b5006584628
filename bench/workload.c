#include "bench/workload.h"

#include <arpa/inet.h>

#define SERVICES_BASE  0x0a400000u /* 10.64.0.0 */
#define ENDPOINTS_BASE 0x0a800000u /* 10.128.0.0 */
#define CHANGED_BASE   0x0ae00000u /* 10.224.0.0 */

static struct addr addr_of(uint32_t host_order)
{
	uint32_t bytes = htonl(host_order);

	return addr_from_bytes(FAMILY_IPV4, &bytes);
}

struct addr workload_cluster_ip(uint32_t service)
{
	return addr_of(SERVICES_BASE + 1 + service);
}

struct addr workload_endpoint(uint32_t service, uint32_t endpoint, uint32_t n_endpoints,
			      uint32_t version)
{
	if (endpoint == 0 && version > 0)
		return addr_of(CHANGED_BASE + (version & 0xfffff));
	return addr_of(ENDPOINTS_BASE + 1 + service * n_endpoints + endpoint);
}

static void add_uid(struct buf *out, uint32_t kind, uint32_t number)
{
	buf_printf(out, "%08x-5d1f-4c3a-9e55-%012x", kind * 0x1357u + 7, number);
}

static void add_metadata(struct buf *out, uint32_t kind, uint32_t service,
			 const char *suffix)
{
	buf_printf(
		out,
		"\"metadata\":{\"name\":\"svc-%u%s\",\"namespace\":\"ns-%u\",\"uid\":\"",
		service, suffix, service % 50);
	add_uid(out, kind, service);
	buf_printf(out,
		   "\",\"resourceVersion\":\"%u\","
		   "\"creationTimestamp\":\"2024-05-01T10:%02u:%02uZ\"",
		   1000 + service, service / 60 % 60, service % 60);
}

void workload_add_node(struct buf *out)
{
	buf_add_string(out,
		       "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":"
		       "\"" WORKLOAD_NODE_NAME
		       "\",\"labels\":{\"topology.kubernetes.io/zone\":\"za\","
		       "\"kubernetes.io/hostname\":\"" WORKLOAD_NODE_NAME
		       "\"}},\"spec\":{},"
		       "\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":"
		       "\"192.168.0.2\"}]}}");
}

void workload_add_service(struct buf *out, uint32_t service)
{
	struct addr ip = workload_cluster_ip(service);
	char text[ADDR_TEXT_LEN];

	buf_add_string(out, "{\"apiVersion\":\"v1\",\"kind\":\"Service\",");
	add_metadata(out, 1, service, "");
	buf_printf(out,
		   ",\"labels\":{\"app\":\"app-%u\",\"tier\":\"backend\"}},"
		   "\"spec\":{\"clusterIP\":\"%s\",\"clusterIPs\":[\"%s\"],"
		   "\"internalTrafficPolicy\":\"Cluster\",\"ipFamilies\":[\"IPv4\"],"
		   "\"ipFamilyPolicy\":\"SingleStack\",\"ports\":[{\"name\":\"http\","
		   "\"port\":%u,\"protocol\":\"TCP\",\"targetPort\":%u}],"
		   "\"selector\":{\"app\":\"app-%u\"},\"sessionAffinity\":\"None\","
		   "\"type\":\"ClusterIP\"},\"status\":{\"loadBalancer\":{}}}",
		   service, addr_format(&ip, text), text, WORKLOAD_PORT,
		   WORKLOAD_TARGET_PORT, service);
}

static void add_endpoint(struct buf *out, uint32_t service, uint32_t endpoint,
			 const struct addr *ip)
{
	char text[ADDR_TEXT_LEN];

	buf_printf(
		out,
		"{\"addresses\":[\"%s\"],\"conditions\":{\"ready\":true,\"serving\":true,"
		"\"terminating\":false},\"nodeName\":\"node-%u\",\"targetRef\":"
		"{\"kind\":\"Pod\",\"name\":\"svc-%u-%u\",\"namespace\":\"ns-%u\","
		"\"uid\":\"",
		addr_format(ip, text), (service + endpoint) % 100, service, endpoint,
		service % 50);
	add_uid(out, 3 + endpoint, service);
	buf_printf(out, "\"},\"zone\":\"z%c\"}", "abc"[(service + endpoint) % 3]);
}

void workload_add_slice(struct buf *out, uint32_t service, uint32_t n_endpoints,
			uint32_t version)
{
	buf_add_string(out, "{\"apiVersion\":\"discovery.k8s.io/v1\","
			    "\"kind\":\"EndpointSlice\",\"addressType\":\"IPv4\",");
	add_metadata(out, 2, service, "-x7k2p");
	buf_printf(out,
		   ",\"labels\":{\"kubernetes.io/service-name\":\"svc-%u\","
		   "\"endpointslice.kubernetes.io/managed-by\":"
		   "\"endpointslice-controller.k8s.io\"}},\"endpoints\":[",
		   service);
	for (uint32_t i = 0; i < n_endpoints; i++) {
		struct addr ip = workload_endpoint(service, i, n_endpoints, version);

		if (i > 0)
			buf_add_char(out, ',');
		add_endpoint(out, service, i, &ip);
	}
	buf_printf(out,
		   "],\"ports\":[{\"name\":\"http\",\"port\":%u,\"protocol\":\"TCP\"}]}",
		   WORKLOAD_TARGET_PORT);
}

void workload_add_list(struct buf *out, uint32_t first, uint32_t end,
		       uint32_t n_endpoints)
{
	buf_add_string(out, "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n");
	if (first == 0)
		workload_add_node(out);
	for (uint32_t i = first; i < end; i++) {
		if (i > 0 && i == first)
			buf_add_char(out, '\n');
		else
			buf_add_string(out, ",\n");
		workload_add_service(out, i);
		buf_add_string(out, ",\n");
		workload_add_slice(out, i, n_endpoints, 0);
	}
	buf_add_string(out, "\n]}\n");
}
