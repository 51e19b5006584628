#include "tests/kernel/manifest.h"

#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "tests/kernel/world.h"
#include "tests/test.h"

#define MAX_PORTS 16

struct port {
	char name[16];
	const char *proto;
	unsigned number, target, node_port;
};

/* "web 80>8080/TCP@3001" */
static size_t parse_port(const char *text, struct port *ret)
{
	static const char *const both[] = {"TCP", "UDP"};
	const char *slash = strchr(text, '/'), *at = strchr(text, '@');
	struct port p = {.proto = NULL};
	size_t n = 0;

	if (sscanf(text, " %15s %u>%u", p.name, &p.number, &p.target) != 3)
		fail_msg("a port is NAME PORT>TARGET, not '%s'", text);
	if (at)
		(void)sscanf(at, "@%u", &p.node_port);
	for (size_t i = 0; i < 2; i++) {
		if (slash && strncmp(slash + 1, both[i], 3) != 0)
			continue;
		ret[n] = p;
		ret[n].proto = both[i];
		if (!slash && i == 1) /* names are unique in a Service */
			(void)snprintf(ret[n].name, sizeof(ret[n].name), "%.12s-u",
				       p.name);
		n++;
	}
	if (slash && !strncmp(slash + 1, "SCTP", 4)) {
		p.proto = "SCTP";
		ret[n++] = p;
	}
	return n;
}

static size_t parse_ports(const char *text, struct port *ret)
{
	char copy[512], *rest = copy, *item;
	size_t n = 0;

	(void)snprintf(copy, sizeof(copy), "%s", text);
	while ((item = strsep(&rest, ";")))
		n += parse_port(item, ret + n);
	assert_in_range(n, 1, MAX_PORTS);
	return n;
}

/* Both families of every name, as items of a YAML flow list. */
static void add_addresses(struct buf *out, const char *wanted, const char *format)
{
	char copy[512], *rest = copy, *item, text[ADDR_TEXT_LEN];

	(void)snprintf(copy, sizeof(copy), "%s", wanted);
	while ((item = strsep(&rest, " "))) {
		for (int f = 0; f < FAMILY_N; f++) {
			struct addr a = world_addr(item, (enum family)f);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			buf_printf(out, format, addr_format(&a, text));
#pragma GCC diagnostic pop
		}
	}
}

static void add_ports(struct buf *out, const struct port *ports, size_t n)
{
	buf_add_string(out, "  ports:\n");
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "  - { name: %s, protocol: %s, port: %u", ports[i].name,
			   ports[i].proto, ports[i].number);
		if (ports[i].node_port)
			buf_printf(out, ", nodePort: %u", ports[i].node_port);
		buf_add_string(out, " }\n");
	}
}

static bool has_policy(const struct manifest_service *s, const char *policy)
{
	return s->policy && strstr(s->policy, policy);
}

static void add_spec(struct buf *out, const struct manifest_service *s)
{
	buf_printf(out, "  type: %s\n", s->type ? s->type : "ClusterIP");
	buf_add_string(out, "  ipFamilies: [IPv4, IPv6]\n  clusterIPs: [");
	add_addresses(out, s->ip, "'%s', ");
	buf_add_string(out, "]\n");
	buf_printf(out, "  internalTrafficPolicy: %s\n",
		   has_policy(s, "iL") ? "Local" : "Cluster");
	buf_printf(out, "  externalTrafficPolicy: %s\n",
		   has_policy(s, "eL") ? "Local" : "Cluster");
	if (s->affinity_sec)
		buf_printf(out,
			   "  sessionAffinity: ClientIP\n  sessionAffinityConfig: "
			   "{ clientIP: { timeoutSeconds: %u } }\n",
			   s->affinity_sec);
	if (s->external) {
		buf_add_string(out, "  externalIPs: [");
		add_addresses(out, s->external, "'%s', ");
		buf_add_string(out, "]\n");
	}
	if (s->ranges)
		buf_printf(out, "  loadBalancerSourceRanges: [%s]\n", s->ranges);
}

static void add_status(struct buf *out, const struct manifest_service *s)
{
	_cleanup_(buf_fini) struct buf format = BUF_INIT;

	if (!s->vips)
		return;
	buf_add_string(&format, "    - { ip: '%s'");
	if (s->ip_mode)
		buf_printf(&format, ", ipMode: %s", s->ip_mode);
	buf_add_string(&format, " }\n");
	buf_add_string(out, "status:\n  loadBalancer:\n    ingress:\n");
	add_addresses(out, s->vips, buf_string(&format));
}

static void add_endpoint(struct buf *out, const char *item, enum family family)
{
	char name[32], text[ADDR_TEXT_LEN];
	size_t len = strlen(item);
	struct addr a;
	char state;

	assert_in_range(len, 2, sizeof(name));
	(void)snprintf(name, sizeof(name), "%.*s", (int)len - 1, item);
	state = item[len - 1];
	a = world_addr(name, family);
	buf_printf(out,
		   "- { addresses: ['%s'], nodeName: %s, conditions: "
		   "{ ready: %s, serving: %s, terminating: %s } }\n",
		   addr_format(&a, text),
		   strncmp(name, "far", 3) != 0 ? WORLD_NODE_NAME : "node-b",
		   state == 'R' ? "true" : "false",
		   strchr("RNT", state) ? "true" : "false",
		   strchr("TD", state) ? "true" : "false");
}

static void add_slice(struct buf *out, const struct manifest_service *s,
		      const struct port *ports, size_t n_ports, enum family family)
{
	char copy[4096], *rest = copy, *item;

	buf_printf(
		out,
		"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		"metadata: { namespace: test, name: %s-%s, "
		"labels: { kubernetes.io/service-name: %s } }\naddressType: %s\nports:\n",
		s->name, family == FAMILY_IPV4 ? "4" : "6", s->name, family_name(family));
	for (size_t i = 0; i < n_ports; i++)
		buf_printf(out, "- { name: %s, protocol: %s, port: %u }\n", ports[i].name,
			   ports[i].proto, ports[i].target);
	buf_add_string(out, "endpoints:\n");
	(void)snprintf(copy, sizeof(copy), "%s", s->endpoints ? s->endpoints : "");
	while ((item = strsep(&rest, " ")))
		if (*item)
			add_endpoint(out, item, family);
}

void manifest_add_service(struct buf *out, const struct manifest_service *s)
{
	struct port ports[MAX_PORTS];
	size_t n = parse_ports(s->ports, ports);

	buf_printf(out,
		   "---\napiVersion: v1\nkind: Service\n"
		   "metadata: { namespace: test, name: %s, annotations: {%s} }\nspec:\n",
		   s->name, s->annotations ? s->annotations : "");
	add_spec(out, s);
	add_ports(out, ports, n);
	add_status(out, s);
	if (s->no_slices)
		return;
	for (int f = 0; f < FAMILY_N; f++)
		add_slice(out, s, ports, n, (enum family)f);
}

void manifest_add_node(struct buf *out)
{
	buf_add_string(out, "---\napiVersion: v1\nkind: Node\n"
			    "metadata: { name: " WORLD_NODE_NAME " }\n"
			    "status:\n  addresses:\n");
	add_addresses(out, "node", "  - { type: InternalIP, address: '%s' }\n");
	buf_add_string(out, "---\napiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\n"
			    "metadata: { name: kubernetes }\n"
			    "spec: { cidrs: [172.30.0.0/16, 'fd00:172:30::/112'] }\n");
}
