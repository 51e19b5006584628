/*
 * Which connections were opened while nothing translated them: to a frontend
 * of ours, not answered, and answered only by the frontend itself.
 */
#include "tests/test.h"

#include <netinet/in.h>

#include "core/cleanup.h"
#include "rules/conntrack/flow_frontends.h"
#include "tests/short_flow.h"
#include "tests/short_service.h"

static const struct {
	uint8_t proto;
	bool is_opening;
	const char *dst, *reply_src;
	bool is_lost;
} cases[] = {
	{IPPROTO_TCP, true, "10.96.0.10:80", "10.96.0.10:80", true},
	{IPPROTO_TCP, true, "192.168.0.2:30080", "192.168.0.2:30080", true},
	/* a node port everywhere */
	{IPPROTO_TCP, true, "192.168.0.4:30081", "192.168.0.4:30081", true},
	{IPPROTO_TCP, true, "192.168.0.5:30081", "192.168.0.5:30081", false},
	{IPPROTO_TCP, true, "192.168.0.4:30082", "192.168.0.4:30082", false},
	{IPPROTO_TCP, true, "[fd00::a]:80", "[fd00::a]:80", true},
	{IPPROTO_SCTP, true, "10.96.0.11:80", "10.96.0.11:80", true},
	/* answered, or found halfway */
	{IPPROTO_TCP, false, "10.96.0.10:80", "10.96.0.10:80", false},
	/* translated, to an endpoint or whatever */
	{IPPROTO_TCP, true, "10.96.0.10:80", "10.0.0.5:80", false},
	{IPPROTO_TCP, true, "10.96.0.10:80", "10.96.0.10:81", false},
	/* none of our frontends */
	{IPPROTO_TCP, true, "10.96.0.10:81", "10.96.0.10:81", false},
	{IPPROTO_TCP, true, "10.96.0.12:80", "10.96.0.12:80", false},
	{IPPROTO_TCP, true, "192.168.0.2:80", "192.168.0.2:80", false},
	{IPPROTO_TCP, true, "10.96.0.11:80", "10.96.0.11:80", false},
	{IPPROTO_SCTP, true, "10.96.0.10:80", "10.96.0.10:80", false},
	/* the business of flow_match */
	{IPPROTO_UDP, true, "10.96.0.10:53", "10.96.0.10:53", false},
};

static void a_flow_is_lost_when_its_first_packet_was_not_translated(void **state)
{
	_cleanup_(short_service_unrefp) struct service *web =
		short_service("web", IPPROTO_TCP,
			      "10.96.0.10:80 192.168.0.2:30080 0.0.0.0:30081",
			      "10.0.0.5:80");
	_cleanup_(short_service_unrefp) struct service *six =
		short_service("web", IPPROTO_TCP, "[fd00::a]:80", "[2001:db8::5]:80");
	_cleanup_(short_service_unrefp) struct service *sctp =
		short_service("sctp", IPPROTO_SCTP, "10.96.0.11:80", "10.0.0.5:80");
	_cleanup_(short_service_unrefp) struct service *udp =
		short_service("udp", IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53");
	const struct change changes[] = {{.new = web},
					 {.new = six},
					 {.new = sctp},
					 {.new = udp}};
	struct addr nodes[2];
	const struct environment env = {
		.node_addresses = {nodes},
		.n_node_addresses = {N_ELEMENTS(nodes)},
	};
	const struct changeset cs = {
		.full = true,
		.env = &env,
		.changes = changes,
		.n = N_ELEMENTS(changes),
	};
	struct flow_frontends frontends = {0};

	(void)state;
	assert_int_equal(addr_parse("192.168.0.3", &nodes[0]), 0);
	assert_int_equal(addr_parse("192.168.0.4", &nodes[1]), 0);
	flow_frontends_set(&frontends, &cs);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct flow flow = short_flow(cases[i].proto, "192.168.7.7:4000",
					      cases[i].dst, cases[i].reply_src);

		flow.is_opening = cases[i].is_opening;
		if (flow_frontends_is_lost(&frontends, &flow) != cases[i].is_lost)
			fail_msg("case %zu: flow to %s answered by %s", i, cases[i].dst,
				 cases[i].reply_src);
	}
	flow_frontends_fini(&frontends);
}

static void without_services_no_flow_belongs_to_us(void **state)
{
	const struct environment env = {0};
	const struct changeset cs = {.full = true, .env = &env};
	struct flow_frontends frontends = {0};
	struct flow flow = short_flow(IPPROTO_TCP, "192.168.7.7:4000", "10.96.0.10:80",
				      "10.96.0.10:80");

	(void)state;
	flow_frontends_set(&frontends, &cs);
	flow.is_opening = true;
	assert_false(flow_frontends_is_lost(&frontends, &flow));
	flow_frontends_fini(&frontends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flow_is_lost_when_its_first_packet_was_not_translated),
		cmocka_unit_test(without_services_no_flow_belongs_to_us),
	};

	return cmocka_run_group_tests_name("flow frontends", tests, NULL, NULL);
}
