/*
 * The decisions about a new connection, by its origin.  Addresses, ports and
 * expectations are those of kube-proxy's own packet flow tests.
 */
#include "tests/test.h"

#include "core/cleanup.h"
#include "tests/unit/plan_case.h"

static const struct plan_case cluster_ip_cases[] = {
	{"B1", "svc1:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1) / ok(0.1)+m\n"
	       "svc2:dns-sctp/SCTP ready=1 | ClusterIP 172.30.0.42:53"
	       " ok(0.1:53 2.1:53) / ok(0.1:53 2.1:53)+m\n"
	       "svc2:dns-tcp ready=1 | ClusterIP 172.30.0.42:53"
	       " ok(0.1:5353 2.1:5353) / ok(0.1:5353 2.1:5353)+m\n"
	       "svc2:dns-udp/UDP ready=1 | ClusterIP 172.30.0.42:53"
	       " ok(0.1:53 2.1:53) / ok(0.1:53 2.1:53)+m\n"
	       "svc2:p443 ready=1 | ClusterIP 172.30.0.42:443"
	       " ok(0.1:8443 2.1:8443) / ok(0.1:8443 2.1:8443)+m\n"
	       "svc2:p80 ready=1 | ClusterIP 172.30.0.42:80"
	       " ok(0.1 2.1) / ok(0.1 2.1)+m"},
	{"B1-no-endpoints",
	 "svc3:p80 | ClusterIP 172.30.0.43:80 REJ | ExternalIP 192.168.99.11:80 REJ"
	 " | LoadBalancer 1.2.3.4:80 REJ | NodePort *:3001 REJ"},
	{"B9-bad-ips", "svc1:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1) / ok(0.1)+m"
		       " | ExternalIP 192.168.99.11:80 ok(0.1)+m"
		       " | LoadBalancer 1.2.3.4:80 from[203.0.113.0/25] ok(0.1)+m"
		       " | NodePort *:3001 ok(0.1)+m"},
	{"B9-affinity", "svc1:p80 affinity=10800 ready=1 | ClusterIP 172.30.0.41:80"
			" ok(0.1) / ok(0.1)+m\n"
			"svc2:p80 affinity=60 ready=1 | ClusterIP 172.30.0.42:80"
			" ok(0.2) / ok(0.2)+m"},
};

static const struct plan_case load_balancer_cases[] = {
	/* a range has the node's address: requests from the balancer's own are the node's */
	{"B2", "svc1:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1) / ok(0.1)+m"
	       " | LoadBalancer 1.2.3.4:80 from[1.2.3.4/32 5.6.7.8/32 192.168.0.0/24"
	       " 203.0.113.0/25] ok(0.1)+m"
	       " | LoadBalancer 5.6.7.8:80 from[1.2.3.4/32 5.6.7.8/32 192.168.0.0/24"
	       " 203.0.113.0/25] ok(0.1)+m"
	       " | NodePort *:3001 ok(0.1)+m"},
	{"B2-not-this-node",
	 "svc1:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1) / ok(0.1)+m"
	 " | LoadBalancer 1.2.3.4:80 from[203.0.113.0/25] ok(0.1)+m"
	 " | NodePort *:3001 ok(0.1)+m"},
	{"B2-proxy-mode",
	 "svc1:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1) / ok(0.1)+m"
	 " | LoadBalancer 5.6.7.8:80 ok(0.1)+m | NodePort *:3001 ok(0.1)+m"},
};

/* Pods of IPv6 are external clients here: the detector is a network of IPv4. */
static const struct plan_case node_port_cases[] = {
	{"B3", "svc1:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1) / ok(0.1)+m"
	       " | NodePort *:3001 ok(0.1)+m\n"
	       "svc1:p80 IPv6 ready=1 | ClusterIP [fd00:172:30::41]:80"
	       " ok([fd00:10:180::1]) | NodePort *:3001 ok([fd00:10:180::1])+m"},
};

static const struct plan_case external_policy_cases[] = {
	{"B4-local",
	 "svc1:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1 2.1) / ok(0.1 2.1)+m"
	 " | ExternalIP 192.168.99.11:80 ok(0.1 2.1) / ok(0.1 2.1)+m / ok(2.1)"
	 " | LoadBalancer 1.2.3.4:80 ok(0.1 2.1) / ok(0.1 2.1)+m / ok(2.1)"
	 " | NodePort *:3001 ok(0.1 2.1) / ok(0.1 2.1)+m / ok(2.1)"},
	{"B4-cluster",
	 "svc1:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1 2.1) / ok(0.1 2.1)+m"
	 " | ExternalIP 192.168.99.11:80 ok(0.1 2.1)+m"
	 " | LoadBalancer 1.2.3.4:80 ok(0.1 2.1)+m | NodePort *:3001 ok(0.1 2.1)+m"},
	{"B9-external-ips",
	 "svc1:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1 1.1) / ok(0.1 1.1)+m"
	 " | ExternalIP 192.168.99.11:80 ok(0.1 1.1) / ok(0.1 1.1)+m / ok(0.1)"},
	{"B9-no-external-ips",
	 "svc1:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1 1.1) / ok(0.1 1.1)+m"},
};

/* 0.N is here, 1.N elsewhere. */
static const struct plan_case policy_matrix[] = {
	{"B5", "svc1:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1 1.1) / ok(0.1 1.1)+m"
	       " | LoadBalancer 1.2.3.1:80 ok(0.1 1.1)+m"
	       " | NodePort *:3001 ok(0.1 1.1)+m\n"
	       "svc2:p80 health=31002 ready=1 | ClusterIP 172.30.0.42:80"
	       " ok(0.2 1.2) / ok(0.2 1.2)+m"
	       " | LoadBalancer 1.2.3.2:80 ok(0.2 1.2) / ok(0.2 1.2)+m / ok(0.2)"
	       " | NodePort *:3002 ok(0.2 1.2) / ok(0.2 1.2)+m / ok(0.2)\n"
	       "svc3:p80 ready=1 | ClusterIP 172.30.0.43:80 ok(0.3) / ok(0.3)+m"
	       " | LoadBalancer 1.2.3.3:80 ok(0.3 1.3)+m"
	       " | NodePort *:3003 ok(0.3 1.3)+m"},
	{"B5-no-detector",
	 "svc1:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1 1.1)"
	 " | LoadBalancer 1.2.3.1:80 ok(0.1 1.1)+m"
	 " | NodePort *:3001 ok(0.1 1.1)+m\n"
	 "svc2:p80 health=31002 ready=1 | ClusterIP 172.30.0.42:80 ok(0.2 1.2)"
	 " | LoadBalancer 1.2.3.2:80 ok(0.2) / ok(0.2 1.2)+m / ok(0.2)"
	 " | NodePort *:3002 ok(0.2) / ok(0.2 1.2)+m / ok(0.2)\n"
	 "svc3:p80 ready=1 | ClusterIP 172.30.0.43:80 ok(0.3)"
	 " | LoadBalancer 1.2.3.3:80 ok(0.3 1.3)+m"
	 " | NodePort *:3003 ok(0.3 1.3)+m"},
	{"B5-masquerade-all",
	 "svc1:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1 1.1)+m"
	 " | LoadBalancer 1.2.3.1:80 ok(0.1 1.1)+m"
	 " | NodePort *:3001 ok(0.1 1.1)+m\n"
	 "svc2:p80 health=31002 ready=1 | ClusterIP 172.30.0.42:80 ok(0.2 1.2)+m"
	 " | LoadBalancer 1.2.3.2:80 ok(0.2 1.2) / ok(0.2 1.2)+m / ok(0.2)"
	 " | NodePort *:3002 ok(0.2 1.2) / ok(0.2 1.2)+m / ok(0.2)\n"
	 "svc3:p80 ready=1 | ClusterIP 172.30.0.43:80 ok(0.3)+m"
	 " | LoadBalancer 1.2.3.3:80 ok(0.3 1.3)+m"
	 " | NodePort *:3003 ok(0.3 1.3)+m"},
	{"B5-no-detector-masquerade-all",
	 "svc1:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1 1.1)+m"
	 " | LoadBalancer 1.2.3.1:80 ok(0.1 1.1)+m"
	 " | NodePort *:3001 ok(0.1 1.1)+m\n"
	 "svc2:p80 health=31002 ready=1 | ClusterIP 172.30.0.42:80 ok(0.2 1.2)+m"
	 " | LoadBalancer 1.2.3.2:80 ok(0.2) / ok(0.2 1.2)+m / ok(0.2)"
	 " | NodePort *:3002 ok(0.2) / ok(0.2 1.2)+m / ok(0.2)\n"
	 "svc3:p80 ready=1 | ClusterIP 172.30.0.43:80 ok(0.3)+m"
	 " | LoadBalancer 1.2.3.3:80 ok(0.3 1.3)+m"
	 " | NodePort *:3003 ok(0.3 1.3)+m"},
};

#define SVC1 "ClusterIP 172.30.0.41:80 "

static const struct plan_case internal_policy_cases[] = {
	{"B6-cluster", "svc1:p80 ready=1 | " SVC1 "ok(0.1 1.1 2.1) / ok(0.1 1.1 2.1)+m"},
	{"B6-two-here", "svc1:p80 ready=2 | " SVC1 "ok(0.1 0.2) / ok(0.1 0.2)+m"},
	{"B6-none-here", "svc1:p80 | " SVC1 "DROP"},
	{"B6-none", "svc1:p80 | " SVC1 "REJ"},
};

#define LB " | LoadBalancer 1.2.3.4:80 "

/* While the path still serves terminating endpoints, the health check says 0. */
static const struct plan_case terminating_cases[] = {
	{"B7-ready",
	 "svc1:p80 health=31000 ready=2 | " SVC1 "ok(0.1 0.2 0.5) / ok(0.1 0.2 0.5)+m" LB
	 "ok(0.1 0.2 0.5) / ok(0.1 0.2 0.5)+m / ok(0.1 0.2)"},
	{"B7-none-ready-here", "svc1:p80 health=31000 | " SVC1 "ok(0.5) / ok(0.5)+m" LB
			       "ok(0.5) / ok(0.5)+m / ok(0.2 0.3)"},
	{"B7-none-here", "svc1:p80 health=31000 | " SVC1 "ok(0.5) / ok(0.5)+m" LB
			 "ok(0.5) / ok(0.5)+m / DROP"},
	{"B7-none", "svc1:p80 health=31000 | " SVC1 "REJ" LB "REJ"},
	{"B8-ready",
	 "svc1:p80 ready=1 | " SVC1 "ok(0.1 0.5) / ok(0.1 0.5)+m" LB "ok(0.1 0.5)+m"},
	{"B8-terminating",
	 "svc1:p80 | " SVC1 "ok(0.2 0.3 0.5) / ok(0.2 0.3 0.5)+m" LB "ok(0.2 0.3 0.5)+m"},
	{"B8-terminating-far", "svc1:p80 | " SVC1 "ok(0.5) / ok(0.5)+m" LB "ok(0.5)+m"},
	{"B8-none", "svc1:p80 | " SVC1 "REJ" LB "REJ"},
};

static const struct plan_case claim_cases[] = {
	{"B9-same-address-twice", "svc1:p80 ready=1 | " SVC1 "ok(0.1) / ok(0.1)+m"
				  " | LoadBalancer 1.2.3.4:80 from[203.0.113.0/25]"
				  " ok(0.1)+m"},
	{"B9-two-services",
	 "young:p80 ready=1 | ClusterIP 172.30.0.41:80 ok(0.1) / ok(0.1)+m\n"
	 "zold:p80 ready=1 | ClusterIP 172.30.0.42:80 ok(0.2) / ok(0.2)+m"
	 " | ExternalIP 192.168.99.11:80 ok(0.2)+m\n"
	 "conflict ExternalIP 192.168.99.11:80: zold has it, young waits"},
};

#define TEST_CASES(name, cases)                                                          \
	static void name(void **state)                                                   \
	{                                                                                \
		(void)state;                                                             \
		for (size_t i = 0; i < N_ELEMENTS(cases); i++)                           \
			plan_case_check(&(cases)[i]);                                    \
	}

TEST_CASES(test_cluster_ips, cluster_ip_cases)
TEST_CASES(test_load_balancers, load_balancer_cases)
TEST_CASES(test_node_ports, node_port_cases)
TEST_CASES(test_external_policy, external_policy_cases)
TEST_CASES(test_policies_against_sources, policy_matrix)
TEST_CASES(test_internal_policy, internal_policy_cases)
TEST_CASES(test_terminating_endpoints, terminating_cases)
TEST_CASES(test_claims, claim_cases)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cluster_ips),
		cmocka_unit_test(test_load_balancers),
		cmocka_unit_test(test_node_ports),
		cmocka_unit_test(test_external_policy),
		cmocka_unit_test(test_policies_against_sources),
		cmocka_unit_test(test_internal_policy),
		cmocka_unit_test(test_terminating_endpoints),
		cmocka_unit_test(test_claims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
