/*
 * Decoding of Kubernetes objects, and the messages for refused parts.
 */
#include "tests/test.h"

#include <string.h>

#include "core/cleanup.h"
#include "tests/unit/object_text.h"
#include "watchers/decode/decode.h"

struct decode_case {
	const char *manifest, *objects, *rejected;
};

static void check(const struct decode_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct buf objects = BUF_INIT, rejected = BUF_INIT;

		object_text_decode(cases[i].manifest, &objects, &rejected);
		if (strcmp(buf_string(&objects), cases[i].objects) != 0 ||
		    strcmp(buf_string(&rejected), cases[i].rejected) != 0)
			print_error("%s\n", cases[i].manifest);
		assert_string_equal(buf_string(&objects), cases[i].objects);
		assert_string_equal(buf_string(&rejected), cases[i].rejected);
		buf_fini(&objects);
		buf_fini(&rejected);
	}
}

static void services_have_the_defaults_of_the_api(void **state)
{
	static const struct decode_case cases[] = {
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}"),
		 "Service default/web ClusterIP IPv4=10.96.0.1 port=/80/TCP/0\n", ""},
		{YAML_SERVICE("spec: {clusterIP: None}"),
		 "Service default/web ClusterIP headless\n", ""},
		{YAML_SERVICE("spec: {clusterIP: ''}"),
		 "Service default/web ClusterIP headless\n", ""},
		{YAML_SERVICE(""), "Service default/web ClusterIP headless\n", ""},
		{YAML_SERVICE("spec: {type: ExternalName, externalName: x}"),
		 "Service default/web ExternalName headless\n", ""},
		{YAML_SERVICE(
			 "spec: {type: NodePort, clusterIP: 10.96.0.1, ports: [{name: "
			 "dns, port: 53, protocol: UDP, nodePort: 30053, targetPort: "
			 "dns}, {name: dns, port: 53, nodePort: 30053}]}"),
		 "Service default/web NodePort IPv4=10.96.0.1 port=dns/53/UDP/30053 "
		 "port=dns/53/TCP/30053\n",
		 ""},
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.1, sessionAffinity: ClientIP}"),
		 "Service default/web ClusterIP affinity=10800 IPv4=10.96.0.1\n", ""},
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.1, sessionAffinity: ClientIP, "
			      "sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}}"),
		 "Service default/web ClusterIP affinity=60 IPv4=10.96.0.1\n", ""},
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.1, internalTrafficPolicy: "
			      "Local, externalTrafficPolicy: Local, type: LoadBalancer, "
			      "healthCheckNodePort: 30000}"),
		 "Service default/web LoadBalancer internal-local external-local "
		 "health=30000 IPv4=10.96.0.1\n",
		 ""},
		{YAML "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: "
		      "'', labels: {service.kubernetes.io/service-proxy-name: ''}}}",
		 "Service default/web ClusterIP headless hidden\n", ""},
		{YAML "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: "
		      "x, labels: {service.kubernetes.io/headless: ''}}}",
		 "Service x/web ClusterIP headless hidden\n", ""},
	};

	(void)state;
	check(cases, N_ELEMENTS(cases));
}

static void cluster_ips_are_sorted_by_family(void **state)
{
	static const struct decode_case cases[] = {
		/* no ipFamilies: an old API server, only clusterIP counts */
		{YAML_SERVICE("spec: {clusterIP: 'fd00::1'}"),
		 "Service default/web ClusterIP IPv6=fd00::1\n", ""},
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, "
			      "'fd00::1']}"),
		 "Service default/web ClusterIP IPv4=10.96.0.1\n", ""},
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, "
			      "'fd00::1'], ipFamilies: [IPv4, IPv6]}"),
		 "Service default/web ClusterIP IPv4=10.96.0.1 IPv6=fd00::1\n", ""},
		{YAML_SERVICE("spec: {clusterIP: 'fd00::1', clusterIPs: ['fd00::1', "
			      "10.96.0.1], ipFamilies: [IPv6, IPv4]}"),
		 "Service default/web ClusterIP IPv4=10.96.0.1 IPv6=fd00::1\n", ""},
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], "
			      "ipFamilies: [IPv4, IPv6]}"),
		 "Service default/web ClusterIP IPv4=10.96.0.1\n", ""},
		/* the API server fills in the one from the other */
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.1, ipFamilies: [IPv4]}"),
		 "Service default/web ClusterIP IPv4=10.96.0.1\n", ""},
		{YAML_SERVICE("spec: {clusterIPs: [10.96.0.1], ipFamilies: [IPv4]}"),
		 "Service default/web ClusterIP IPv4=10.96.0.1\n", ""},
		{YAML_SERVICE("spec: {clusterIPs: [None], ipFamilies: [IPv4]}"),
		 "Service default/web ClusterIP headless\n", ""},
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.1, clusterIPs: ['fd00::1', "
			      "10.96.0.1], ipFamilies: [IPv4, IPv6]}"),
		 "Service default/web ClusterIP\n",
		 "Service default/web: spec.clusterIPs[0]: is not an IPv4 address, as "
		 "spec.ipFamilies says\n"
		 "Service default/web: spec.clusterIPs[1]: is not an IPv6 address, as "
		 "spec.ipFamilies says\n"},
		{YAML_SERVICE("spec: {clusterIP: 172.030.0.041}"),
		 "Service default/web ClusterIP IPv4=172.30.0.41\n", ""},
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.256}"),
		 "Service default/web ClusterIP\n",
		 "Service default/web: spec.clusterIP: \"10.96.0.256\" is not an IP "
		 "address\n"},
		{YAML_SERVICE("spec: {clusterIP: 0.0.0.0}"),
		 "Service default/web ClusterIP\n",
		 "Service default/web: spec.clusterIP: \"0.0.0.0\" is the unspecified "
		 "address\n"},
	};

	(void)state;
	check(cases, N_ELEMENTS(cases));
}

static void addresses_of_services_are_parsed_leniently(void **state)
{
	static const struct decode_case cases[] = {
		{YAML_SERVICE("spec: {clusterIP: None, externalIPs: [192.168.099.011, "
			      "'', ' ', '2001:db8::0001', 1.2.3, ' 1.2.3.4 ', 1.2.3.4]}"),
		 "Service default/web ClusterIP headless external=192.168.99.11 "
		 "external=2001:db8::1 external=1.2.3.4\n",
		 "Service default/web: spec.externalIPs[4]: \"1.2.3\" is not an IP "
		 "address\n"},
		{YAML_SERVICE(
			 "spec: {clusterIP: None, loadBalancerSourceRanges: [10.1.2.3/8, "
			 "' 203.0.113.000/25', '', 'fd00::/8', 1.2.3.4, 1.2.3.4/33]}"),
		 "Service default/web ClusterIP headless range=10.0.0.0/8 "
		 "range=203.0.113.0/25 range=fd00::/8\n",
		 "Service default/web: spec.loadBalancerSourceRanges[4]: \"1.2.3.4\" is "
		 "not a CIDR\n"
		 "Service default/web: spec.loadBalancerSourceRanges[5]: \"1.2.3.4/33\" "
		 "is not a CIDR\n"},
		{YAML_SERVICE("status: {loadBalancer: {ingress: [{hostname: lb}, {ip: "
			      "1.2.3.4}, {ip: 5.6.7.8, ipMode: Proxy}, {ip: 9.10.11.12, "
			      "ipMode: VIP}, {ip: x}, {ip: 9.9.9.9, ipMode: vip}]}}"),
		 "Service default/web ClusterIP headless ingress=1.2.3.4 "
		 "ingress=5.6.7.8(proxy) ingress=9.10.11.12 ingress=9.9.9.9(proxy)\n",
		 "Service default/web: status.loadBalancer.ingress[4].ip: \"x\" is not "
		 "an IP address\n"
		 "Service default/web: status.loadBalancer.ingress[5].ipMode: \"vip\" is "
		 "not VIP or Proxy, so the address is not served\n"},
	};

	(void)state;
	check(cases, N_ELEMENTS(cases));
}

static void one_invalid_field_costs_only_itself(void **state)
{
	static const struct decode_case cases[] = {
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.1, type: LoadBalancer, "
			      "externalTrafficPolicy: Local}"),
		 "Service default/web LoadBalancer external-local IPv4=10.96.0.1\n",
		 "Service default/web: spec.healthCheckNodePort: is missing: load "
		 "balancers cannot ask whether this node has endpoints\n"},
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.1, type: NodePort, "
			      "externalTrafficPolicy: Local}"),
		 "Service default/web NodePort external-local IPv4=10.96.0.1\n", ""},
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.1, type: 5, sessionAffinity: "
			      "Cookie, externalTrafficPolicy: local, ports: 7, "
			      "externalIPs: {}, healthCheckNodePort: 70000}"),
		 "Service default/web ClusterIP IPv4=10.96.0.1\n",
		 "Service default/web: spec.externalIPs: must be a list\n"
		 "Service default/web: spec.type: must be a string\n"
		 "Service default/web: spec.externalTrafficPolicy: \"local\" is unknown\n"
		 "Service default/web: spec.healthCheckNodePort: 70000 is not in "
		 "0..65535\n"
		 "Service default/web: spec.sessionAffinity: \"Cookie\" is "
		 "unknown\n"
		 "Service default/web: spec.ports: must be a list\n"},
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.1, type: LoadBalancer, "
			      "externalTrafficPolicy: Local}"),
		 "Service default/web LoadBalancer external-local IPv4=10.96.0.1\n",
		 "Service default/web: spec.healthCheckNodePort: is missing: load "
		 "balancers cannot ask whether this node has endpoints\n"},
		{YAML_SERVICE("spec: {clusterIP: 10.96.0.1, type: NodePort, "
			      "externalTrafficPolicy: Local}"),
		 "Service default/web NodePort external-local IPv4=10.96.0.1\n", ""},
		{YAML_SERVICE(
			 "spec: {clusterIP: None, sessionAffinity: ClientIP, "
			 "sessionAffinityConfig: {clientIP: {timeoutSeconds: 86401}}}"),
		 "Service default/web ClusterIP headless affinity=10800\n",
		 "Service default/web: "
		 "spec.sessionAffinityConfig.clientIP.timeoutSeconds: 86401 is not in "
		 "1..86400\n"},
		{YAML_SERVICE("spec: {clusterIP: None, ports: [{port: 0}, {port: 65536}, "
			      "{port: '80'}, {}, 5, {port: 80, protocol: ICMP}, {port: "
			      "81, name: 'a b'}, {port: 82, nodePort: -1}, {port: 83}, "
			      "{port: 80.5}]}"),
		 "Service default/web ClusterIP headless port=/82/TCP/0\n",
		 "Service default/web: spec.ports[0].port: 0 is not in 1..65535\n"
		 "Service default/web: spec.ports[1].port: 65536 is not in 1..65535\n"
		 "Service default/web: spec.ports[2].port: must be a whole number\n"
		 "Service default/web: spec.ports[3].port: is missing\n"
		 "Service default/web: spec.ports[4]: must be an object\n"
		 "Service default/web: spec.ports[5].protocol: \"ICMP\" is not TCP, UDP "
		 "or SCTP\n"
		 "Service default/web: spec.ports[6].name: \"a b\" is not a valid port "
		 "name\n"
		 "Service default/web: spec.ports[7].nodePort: -1 is not in 0..65535\n"
		 "Service default/web: spec.ports[8]: an earlier port has its name and "
		 "protocol\n"
		 "Service default/web: spec.ports[9].port: must be a whole number\n"},
		{YAML_SERVICE("spec: []"), "Service default/web ClusterIP headless\n",
		 "Service default/web: spec: must be an object\n"},
		{YAML_SERVICE("spec: {type: "
			      "\"a\\nb\\u00e401234567890123456789012345678901234567890123"
			      "45678901234567890123456789012345678901234567890\"}"),
		 "Service default/web ClusterIP headless\n",
		 "Service default/web: spec.type: "
		 "\"a?b\xc3\xa4"
		 "012345678901234567890123456789012345678901234567890123456789012345678.."
		 ".\" is not a type of a Service\n"},
		{YAML_SERVICE("spec: {type: \"a\\0b\"}"),
		 "Service default/web ClusterIP headless\n",
		 "Service default/web: spec.type: has a NUL byte in it\n"},
	};

	(void)state;
	check(cases, N_ELEMENTS(cases));
}

static void slices_are_read_as_kube_proxy_reads_them(void **state)
{
	static const struct decode_case cases[] = {
		{YAML_SLICE("", "ports: [{name: '', port: 80}, {name: dns, port: 53, "
				"protocol: UDP}], endpoints: [{addresses: [10.0.0.1, "
				"10.0.0.2], nodeName: node-a}, {addresses: [010.0.0.3], "
				"conditions: {ready: false}}]"),
		 "EndpointSlice default/web-1 of web IPv4 port=/80/TCP port=dns/53/UDP "
		 "10.0.0.1RS@node-a 10.0.0.3S\n",
		 ""},
		{YAML_SLICE("", "endpoints: [{addresses: [10.0.0.1], conditions: {ready: "
				"null, serving: false, terminating: true}}, {addresses: "
				"[10.0.0.2], conditions: {ready: false, serving: true, "
				"terminating: true}}]"),
		 "EndpointSlice default/web-1 of web IPv4 10.0.0.1RT 10.0.0.2ST\n", ""},
		{YAML_SLICE("", "endpoints: [{addresses: [10.0.0.1], hints: {forZones: "
				"[{name: za}, {name: zb}], forNodes: [{name: node-a}]}}, "
				"{addresses: [10.0.0.2], hints: {forZones: []}}]"),
		 "EndpointSlice default/web-1 of web IPv4 10.0.0.1RS+za+zb%node-a "
		 "10.0.0.2RS\n",
		 ""},
		{YAML_SLICE("", "ports: [{port: 80}, {name: a}, {name: b, port: 0}, "
				"{name: c, port: 1, protocol: X}]"),
		 "EndpointSlice default/web-1 of web IPv4\n",
		 "EndpointSlice default/web-1: ports[0].name: is missing, so the port is "
		 "ignored; for a Service port without a name, write name: \"\"\n"
		 "EndpointSlice default/web-1: ports[1].port: is missing, so the port is "
		 "ignored\n"
		 "EndpointSlice default/web-1: ports[2].port: 0 is not in 1..65535\n"
		 "EndpointSlice default/web-1: ports[3].protocol: \"X\" is not TCP, UDP "
		 "or SCTP\n"},
		{YAML_SLICE("", "endpoints: [{}, {addresses: []}, {addresses: "
				"['fd00::1']}, {addresses: [x]}, 5, {addresses: "
				"[10.0.0.9], conditions: {ready: 'yes'}, nodeName: 7}]"),
		 "EndpointSlice default/web-1 of web IPv4 10.0.0.9RS\n",
		 "EndpointSlice default/web-1: endpoints[0].addresses: has no address\n"
		 "EndpointSlice default/web-1: endpoints[1].addresses: has no address\n"
		 "EndpointSlice default/web-1: endpoints[2].addresses[0]: is not an IPv4 "
		 "address, as addressType says\n"
		 "EndpointSlice default/web-1: endpoints[3].addresses[0]: \"x\" is not "
		 "an IP "
		 "address\n"
		 "EndpointSlice default/web-1: endpoints[4].addresses: has no address\n"
		 "EndpointSlice default/web-1: endpoints[5].conditions.ready: must be "
		 "true or false\n"
		 "EndpointSlice default/web-1: endpoints[5].nodeName: must be a "
		 "string\n"},
		{YAML_SLICE(", annotations: "
			    "{endpoints.kubernetes.io/last-change-trigger-time: "
			    "'2026-08-01T10:20:30.123456789Z'}",
			    ""),
		 "EndpointSlice default/web-1 of web IPv4 trigger=1785579630123456\n",
		 ""},
		{YAML_SLICE(", annotations: "
			    "{endpoints.kubernetes.io/last-change-trigger-time: soon}",
			    ""),
		 "EndpointSlice default/web-1 of web IPv4\n", ""},
		{YAML "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: "
		      "{name: web-1}, addressType: IPv4}",
		 "",
		 "EndpointSlice default/web-1: "
		 "metadata.labels[\"kubernetes.io/service-name\"]: is missing: it names "
		 "the Service\n"},
		{YAML "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: "
		      "{name: web-1, labels: {kubernetes.io/service-name: web, "
		      "service.kubernetes.io/headless: ''}}, addressType: IPv6}",
		 "EndpointSlice default/web-1 of web IPv6 hidden\n", ""},
		{YAML "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: "
		      "{name: a, labels: {kubernetes.io/service-name: web}}, "
		      "addressType: FQDN}",
		 "", ""},
		{YAML "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: "
		      "{name: a, labels: {kubernetes.io/service-name: web}}, "
		      "addressType: ipv4}",
		 "",
		 "EndpointSlice default/a: addressType: \"ipv4\" is not a type of "
		 "address\n"},
		{YAML "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: "
		      "{name: a, labels: {kubernetes.io/service-name: web}}}",
		 "", "EndpointSlice default/a: addressType: is missing\n"},
	};

	(void)state;
	check(cases, N_ELEMENTS(cases));
}

#define ENDPOINTS(meta, subsets)                                                         \
	YAML "{apiVersion: v1, kind: Endpoints, metadata: {name: web" meta               \
	     "}, subsets: " subsets "}"

static void endpoints_are_mirrored_by_subset_and_family(void **state)
{
	static const struct decode_case cases[] = {
		{ENDPOINTS("", "[{addresses: [{ip: 10.0.0.1, nodeName: node-a}, {ip: "
			       "'fd00::1'}], notReadyAddresses: [{ip: 10.0.0.2}], ports: "
			       "[{port: 80}, {name: x, port: 53, protocol: UDP}]}]"),
		 "EndpointSlice default/web:IPv4:0 of web IPv4 mirror port=/80/TCP "
		 "port=x/53/UDP 10.0.0.1RS@node-a 10.0.0.2S\n"
		 "EndpointSlice default/web:IPv6:0 of web IPv6 mirror port=/80/TCP "
		 "port=x/53/UDP fd00::1RS\n",
		 ""},
		{ENDPOINTS("", "[{addresses: [{ip: 10.0.0.1}], ports: [{port: 80}]}, "
			       "{addresses: [{ip: 10.0.0.2}], ports: [{port: 81}]}]"),
		 "EndpointSlice default/web:IPv4:0 of web IPv4 mirror port=/80/TCP "
		 "10.0.0.1RS\n"
		 "EndpointSlice default/web:IPv4:1 of web IPv4 mirror port=/81/TCP "
		 "10.0.0.2RS\n",
		 ""},
		{ENDPOINTS("", "[]"), "", ""},
		{ENDPOINTS("", "[{addresses: [{}, {ip: x}, {ip: 10.0.0.3}]}]"),
		 "EndpointSlice default/web:IPv4:0 of web IPv4 mirror 10.0.0.3RS\n",
		 "Endpoints default/web: subsets[0].addresses[0].ip: is missing\n"
		 "Endpoints default/web: subsets[0].addresses[1].ip: \"x\" is not an IP "
		 "address\n"},
		{ENDPOINTS(", labels: {endpointslice.kubernetes.io/skip-mirror: 'true'}",
			   "[{addresses: [{ip: 10.0.0.1}]}]"),
		 "", ""},
		{ENDPOINTS(", labels: {endpointslice.kubernetes.io/skip-mirror: 'false'}",
			   "[{addresses: [{ip: 10.0.0.1}]}]"),
		 "EndpointSlice default/web:IPv4:0 of web IPv4 mirror 10.0.0.1RS\n", ""},
		{ENDPOINTS(", annotations: {control-plane.alpha.kubernetes.io/leader: "
			   "'{}'}",
			   "[{addresses: [{ip: 10.0.0.1}]}]"),
		 "", ""},
		{ENDPOINTS(", labels: {service.kubernetes.io/headless: ''}",
			   "[{addresses: [{ip: 10.0.0.1}]}]"),
		 "EndpointSlice default/web:IPv4:0 of web IPv4 hidden mirror "
		 "10.0.0.1RS\n",
		 ""},
	};

	(void)state;
	check(cases, N_ELEMENTS(cases));
}

static void nodes_and_service_cidrs_are_read(void **state)
{
	static const struct decode_case cases[] = {
		{YAML "{apiVersion: v1, kind: Node, metadata: {name: n1, namespace: x, "
		      "labels: {topology.kubernetes.io/zone: za, kubernetes.io/hostname: "
		      "h}}, spec: {podCIDR: 10.1.0.0/24, podCIDRs: [10.244.1.0/24, "
		      "'fd00:1::/64']}, status: {addresses: [{type: ExternalIP, address: "
		      "5.5.5.5}, {type: InternalIP, address: 192.168.0.2}, {type: "
		      "InternalDNS, address: x}, {type: InternalIP, address: "
		      "'2001:db8::2'}, {type: Hostname, address: n1.example}]}}",
		 "Node n1 zone=za hostname=n1.example 192.168.0.2 2001:db8::2 5.5.5.5 "
		 "pods=10.244.1.0/24 pods=fd00:1::/64\n",
		 ""},
		{YAML
		 "{apiVersion: v1, kind: Node, metadata: {name: n1, deletionTimestamp: "
		 "'2026-08-01T00:00:00Z'}, spec: {podCIDR: 10.1.0.0/24, taints: [{key: "
		 "a}, {key: ToBeDeletedByClusterAutoscaler}]}}",
		 "Node n1 zone= hostname= deleting to-be-deleted pods=10.1.0.0/24\n", ""},
		{YAML "{apiVersion: v1, kind: Node, metadata: {name: n1, "
		      "deletionTimestamp: null}, status: {addresses: [{type: InternalIP, "
		      "address: x}, {type: 5}]}}",
		 "Node n1 zone= hostname=\n",
		 "Node n1: status.addresses[0].address: \"x\" is not an IP address\n"
		 "Node n1: status.addresses[1].type: must be a string\n"},
		{YAML
		 "{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: {name: "
		 "kubernetes}, spec: {cidrs: [10.96.0.0/12, 'fd00:96::/112', x]}}",
		 "ServiceCIDR kubernetes 10.96.0.0/12 fd00:96::/112\n",
		 "ServiceCIDR kubernetes: spec.cidrs[2]: \"x\" is not a CIDR\n"},
	};

	(void)state;
	check(cases, N_ELEMENTS(cases));
}

static void objects_that_cannot_be_named_are_refused(void **state)
{
	static const struct decode_case cases[] = {
		{YAML "{apiVersion: v1, kind: Service}", "",
		 "Service default/: metadata.name: is missing\n"},
		{YAML "{apiVersion: v1, kind: Service, metadata: 5}", "",
		 "Service : metadata: must be an object\n"
		 "Service default/: metadata.name: is missing\n"},
		{YAML "{apiVersion: v1, kind: Service, metadata: {name: 5}}", "",
		 "Service default/: metadata.name: must be a string\n"},
		{YAML "{apiVersion: v1, kind: Service, metadata: {name: a/b}}", "",
		 "Service default/: metadata.name: \"a/b\" is not a valid name\n"},
		{YAML "{apiVersion: v1, kind: Service, metadata: {name: ..}}", "",
		 "Service default/: metadata.name: \"..\" is not a valid name\n"},
		{YAML "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: "
		      "\"x\\ny\"}}",
		 "", "Service : metadata.namespace: \"x?y\" is not a valid name\n"},
		{YAML "{apiVersion: v1, metadata: {name: a}}", "",
		 " : is not a Kubernetes object: it has no kind\n"},
		{YAML "{kind: Service, metadata: {name: a}}", "",
		 " : is not a Kubernetes object: it has no apiVersion\n"},
		{"hello", "", " : is not a Kubernetes object: it has no kind\n"},
		{"- a", "", " : is not a Kubernetes object: it has no kind\n"},
		/* an unknown annotation belongs to another program */
		{YAML "{apiVersion: v1, kind: ConfigMap}", "", ""},
		{YAML "{apiVersion: serving.knative.dev/v1, kind: Service}", "", ""},
	};

	(void)state;
	check(cases, N_ELEMENTS(cases));
}

static void items_of_a_list_are_decoded(void **state)
{
	static const struct decode_case cases[] = {
		{YAML "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: "
		      "Service, metadata: {name: a}}, 5, {apiVersion: v1, kind: List, "
		      "items: [{apiVersion: v1, kind: Node, metadata: {name: b}}, {}]}]}",
		 "Service default/a ClusterIP headless\nNode b zone= hostname=\n",
		 "item 2:  : is not a Kubernetes object: it has no kind\n"
		 "item 2:  : is not a Kubernetes object: it has no kind\n"},
		{YAML "{apiVersion: discovery.k8s.io/v1, kind: EndpointSliceList, items: "
		      "[{metadata: {name: a, labels: {kubernetes.io/service-name: s}}, "
		      "addressType: IPv4}]}",
		 "EndpointSlice default/a of s IPv4\n", ""},
		{YAML "{apiVersion: v1, kind: ServiceList, items: null}", "", ""},
		{YAML "{apiVersion: v1, kind: ServiceList, items: 5}", "",
		 "ServiceList : items: must be a list\n"},
		{YAML "{apiVersion: v1, kind: ConfigMapList, items: [{}]}", "", ""},
	};

	(void)state;
	check(cases, N_ELEMENTS(cases));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(services_have_the_defaults_of_the_api),
		cmocka_unit_test(cluster_ips_are_sorted_by_family),
		cmocka_unit_test(addresses_of_services_are_parsed_leniently),
		cmocka_unit_test(one_invalid_field_costs_only_itself),
		cmocka_unit_test(slices_are_read_as_kube_proxy_reads_them),
		cmocka_unit_test(endpoints_are_mirrored_by_subset_and_family),
		cmocka_unit_test(nodes_and_service_cidrs_are_read),
		cmocka_unit_test(objects_that_cannot_be_named_are_refused),
		cmocka_unit_test(items_of_a_list_are_decoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
