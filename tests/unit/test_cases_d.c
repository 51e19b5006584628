/*
 * The Services that the proxy uses, and the fields that it reads.
 */
#include "tests/test.h"

#include "core/cleanup.h"
#include "tests/unit/plan_case.h"

static const struct plan_case no_service_cases[] = {
	{"D01-nothing", ""},
	{"D02-headless", ""},
	{"D03-external-name", ""},
	{"D04-labels", "ours:p80 | ClusterIP 172.30.0.43:80 REJ"},
};

static const struct plan_case port_cases[] = {
	{"D05-two-udp", "svc1:p1/UDP | ClusterIP 172.30.0.41:1234 REJ\n"
			"svc1:p2/UDP | ClusterIP 172.30.0.41:1235 REJ"},
	{"D06-node-ports",
	 "svc1:p1/UDP | ClusterIP 172.30.0.41:345 REJ | NodePort *:30345 REJ\n"
	 "svc1:p2 | ClusterIP 172.30.0.41:344 REJ | NodePort *:30343 REJ"},
	{"D07-load-balancer", "svc1/UDP | ClusterIP 172.30.0.41:8675 REJ"
			      " | LoadBalancer 10.1.2.4:8675 REJ"
			      " | NodePort *:30061 REJ"},
	{"D08-health-check", "svc1:p1 health=345 | ClusterIP 172.30.0.41:8677 REJ"
			     " | LoadBalancer 10.1.2.3:8677 REJ"
			     " | NodePort *:30063 REJ"},
	{"D09-no-health-check",
	 "lb-cluster:p80 | ClusterIP 172.30.0.41:80 REJ | LoadBalancer 10.1.2.3:80 REJ\n"
	 "np-local:p80 | ClusterIP 172.30.0.42:80 REJ | NodePort *:3001 REJ"},
};

static const struct plan_case family_cases[] = {
	{"D10-other-family", "no-families:p80 | ClusterIP 172.30.0.42:80 REJ\n"
			     "v6-only:p80 IPv6 | ClusterIP [fd00:172:30::41]:80 REJ"},
	{"D11-mixed-families",
	 "svc1:p80 | ClusterIP 172.30.0.41:80 REJ | ExternalIP 192.168.99.11:80 REJ"
	 " | LoadBalancer 1.2.3.4:80 from[203.0.113.0/24] REJ\n"
	 "svc1:p80 IPv6 | ClusterIP [fd00:172:30::41]:80 REJ"
	 " | ExternalIP [2001:db8:99::11]:80 REJ"
	 " | LoadBalancer [2001:db8:1::4]:80 from[2001:db8:113::/48] REJ"},
	{"D12-range-of-all",
	 "svc1:p80 | ClusterIP 172.30.0.41:80 REJ | LoadBalancer 1.2.3.4:80 REJ\n"
	 "svc1:p80 IPv6 | ClusterIP [fd00:172:30::41]:80 REJ"
	 " | LoadBalancer [2001:db8:1::4]:80 from[2001:db8:113::/48] REJ"},
	{"D13-range-of-other-family",
	 "svc1:p80 | ClusterIP 172.30.0.41:80 REJ | LoadBalancer 1.2.3.4:80 REJ"},
};

static void check_all(const struct plan_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		plan_case_check(&cases[i]);
}

static void headless_and_foreign_services_are_not_planned(void **state)
{
	(void)state;
	check_all(no_service_cases, N_ELEMENTS(no_service_cases));
}

static void ports_are_planned_as_the_type_says(void **state)
{
	(void)state;
	check_all(port_cases, N_ELEMENTS(port_cases));
}

static void each_family_has_its_own_frontends_and_endpoints(void **state)
{
	(void)state;
	check_all(family_cases, N_ELEMENTS(family_cases));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headless_and_foreign_services_are_not_planned),
		cmocka_unit_test(ports_are_planned_as_the_type_says),
		cmocka_unit_test(each_family_has_its_own_frontends_and_endpoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
