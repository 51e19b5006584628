/*
 * Which UDP flows a change set makes stale: kube-proxy's cases, and those that
 * come from services that go, come and take over each other's addresses.
 */
#include "tests/test.h"

#include <netinet/in.h>

#include "core/cleanup.h"
#include "rules/conntrack/flow_match.h"
#include "tests/short_flow.h"
#include "tests/short_service.h"

#define DNS_FRONTENDS "10.96.0.10:53 192.168.0.2:30053 1.2.3.4:53 5.6.7.8:53"
#define DNS_ENDPOINTS "10.0.0.5:53 10.0.0.6:53"

static bool is_stale(struct flow_match *m, uint8_t proto, const char *dst,
		     const char *reply_src)
{
	struct flow flow = short_flow(proto, "192.168.7.7:4000", dst, reply_src);

	return flow_match_is_stale(m, &flow);
}

/* From a frontend to a client. */
static bool is_late_answer(struct flow_match *m, const char *src, const char *reply_dst)
{
	struct flow flow =
		short_flow(IPPROTO_UDP, src, "192.168.7.7:4000", "192.168.7.7:4000");

	assert_int_equal(addr_port_parse(reply_dst, &flow.reply.dst,
					 &flow.reply.dst_port),
			 0);
	return flow_match_is_stale(m, &flow);
}

static bool begin(struct flow_match *m, bool full, const struct change *changes, size_t n)
{
	return flow_match_begin(m, &(struct changeset){.full = full,
						       .changes = changes,
						       .n = n});
}

static bool begin_change(struct flow_match *m, const struct service *old,
			 const struct service *new)
{
	return begin(m, false, &(struct change){old, new}, 1);
}

/* Told and done. */
static void tell(struct flow_match *m, const struct service *old,
		 const struct service *new)
{
	(void)begin_change(m, old, new);
	flow_match_end(m, true);
}

static const struct {
	uint8_t proto;
	const char *dst, *reply_src;
	bool is_stale;
} flow_cases[] = {
	{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53", false},
	{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.6:53", false},
	{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.9:53", true},   /* no endpoint any more */
	{IPPROTO_UDP, "10.96.0.10:53", "10.96.0.10:53", true}, /* never translated */
	{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:5353", true}, /* its port changed */
	{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.7:53", true}, /* there, but not serving */
	{IPPROTO_UDP, "1.2.3.4:53", "10.0.0.5:53", false},
	{IPPROTO_UDP, "1.2.3.4:53", "10.0.0.9:53", true},
	{IPPROTO_UDP, "5.6.7.8:53", "10.0.0.6:53", false},
	{IPPROTO_UDP, "5.6.7.8:53", "5.6.7.8:53", true},
	{IPPROTO_UDP, "192.168.0.2:30053", "10.0.0.5:53", false},
	{IPPROTO_UDP, "192.168.0.2:30053", "10.0.0.9:53", true},
	{IPPROTO_TCP, "10.96.0.10:53", "10.0.0.9:53", false},
	{IPPROTO_SCTP, "10.96.0.10:53", "10.0.0.9:53", false},
	/* none of our frontends */
	{IPPROTO_UDP, "10.96.0.10:54", "10.0.0.9:53", false},
	{IPPROTO_UDP, "10.96.0.11:53", "10.0.0.9:53", false},
	{IPPROTO_UDP, "192.168.0.2:53", "10.0.0.9:53", false},
};

static void a_flow_is_stale_when_no_serving_endpoint_answers_it(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *dns =
		short_service("dns", IPPROTO_UDP, DNS_FRONTENDS,
			      DNS_ENDPOINTS " 10.0.0.7:53!");

	(void)state;
	for (int full = 0; full < 2; full++) {
		assert_true(begin(m, full, &(struct change){.new = dns}, 1));
		for (size_t i = 0; i < N_ELEMENTS(flow_cases); i++) {
			if (is_stale(m, flow_cases[i].proto, flow_cases[i].dst,
				     flow_cases[i].reply_src) != flow_cases[i].is_stale)
				fail_msg("flow to %s answered by %s", flow_cases[i].dst,
					 flow_cases[i].reply_src);
		}
		flow_match_end(m, true);
	}
}

static void ipv6_is_no_different(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *dns =
		short_service("dns", IPPROTO_UDP, "[fd00::a]:53", "[2001:db8::5]:53");

	(void)state;
	assert_true(begin_change(m, NULL, dns));
	assert_true(flow_match_has_family(m, FAMILY_IPV6));
	assert_false(flow_match_has_family(m, FAMILY_IPV4));
	assert_false(is_stale(m, IPPROTO_UDP, "[fd00::a]:53", "[2001:db8::5]:53"));
	assert_true(is_stale(m, IPPROTO_UDP, "[fd00::a]:53", "[2001:db8::6]:53"));
	flow_match_end(m, true);
}

static void without_serving_endpoints_every_flow_is_stale(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *before =
		short_service("dns", IPPROTO_UDP, DNS_FRONTENDS, DNS_ENDPOINTS);
	_cleanup_(short_service_unrefp) struct service *after =
		short_service("dns", IPPROTO_UDP, DNS_FRONTENDS, "");

	(void)state;
	tell(m, NULL, before);
	assert_true(begin_change(m, before, after));
	assert_true(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53"));
	assert_true(is_stale(m, IPPROTO_UDP, "192.168.0.2:30053", "10.0.0.5:53"));
	flow_match_end(m, true);
}

static void all_flows_of_a_deleted_service_are_stale(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *dns =
		short_service("dns", IPPROTO_UDP, DNS_FRONTENDS, DNS_ENDPOINTS);

	(void)state;
	tell(m, NULL, dns);
	assert_true(begin_change(m, dns, NULL));
	assert_true(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53"));
	assert_true(is_stale(m, IPPROTO_UDP, "5.6.7.8:53", "10.0.0.6:53"));
	assert_false(is_stale(m, IPPROTO_TCP, "10.96.0.10:53", "10.0.0.5:53"));
	flow_match_end(m, true);
}

static void flows_of_a_frontend_that_goes_are_stale_and_the_others_are_not(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *before =
		short_service("dns", IPPROTO_UDP, DNS_FRONTENDS, DNS_ENDPOINTS);
	_cleanup_(short_service_unrefp) struct service *after =
		short_service("dns", IPPROTO_UDP, "10.96.0.10:53", DNS_ENDPOINTS);

	(void)state;
	tell(m, NULL, before);
	assert_true(begin_change(m, before, after));
	assert_true(is_stale(m, IPPROTO_UDP, "192.168.0.2:30053", "10.0.0.5:53"));
	assert_false(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53"));
	flow_match_end(m, true);
}

/* Whatever the order of the two in the change set. */
static void a_frontend_that_moves_follows_its_new_holder(void **state)
{
	_cleanup_(short_service_unrefp) struct service *loser_before =
		short_service("a", IPPROTO_UDP, "5.6.7.8:53", "10.0.0.5:53");
	_cleanup_(short_service_unrefp) struct service *winner_before =
		short_service("b", IPPROTO_UDP, "10.96.0.11:53", "10.0.0.6:53");
	_cleanup_(short_service_unrefp) struct service *winner_after =
		short_service("b", IPPROTO_UDP, "10.96.0.11:53 5.6.7.8:53",
			      "10.0.0.6:53");
	const struct change lost = {loser_before, NULL};
	const struct change won = {winner_before, winner_after};
	const struct change orders[][2] = {{lost, won}, {won, lost}};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(orders); i++) {
		_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();

		assert_true(begin(m, false, orders[i], 2));
		assert_true(is_stale(m, IPPROTO_UDP, "5.6.7.8:53", "10.0.0.5:53"));
		assert_false(is_stale(m, IPPROTO_UDP, "5.6.7.8:53", "10.0.0.6:53"));
		flow_match_end(m, true);
	}
}

static void a_change_without_udp_needs_nothing(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *tcp =
		short_service("web", IPPROTO_TCP, "10.96.0.10:53", "10.0.0.5:53");
	_cleanup_(short_service_unrefp) struct service *sctp =
		short_service("web", IPPROTO_SCTP, "10.96.0.10:53", "10.0.0.5:53");
	const struct change changes[] = {{NULL, tcp}, {sctp, NULL}};

	(void)state;
	for (int full = 0; full < 2; full++) {
		assert_false(begin(m, full, changes, full ? 1 : 2));
		assert_false(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.9:53"));
		flow_match_end(m, true);
	}
}

static void an_endpoint_more_needs_nothing_and_one_less_does(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *one =
		short_service("dns", IPPROTO_UDP, DNS_FRONTENDS, "10.0.0.5:53");
	_cleanup_(short_service_unrefp) struct service *two =
		short_service("dns", IPPROTO_UDP, DNS_FRONTENDS, DNS_ENDPOINTS);
	_cleanup_(short_service_unrefp) struct service *stopped =
		short_service("dns", IPPROTO_UDP, DNS_FRONTENDS,
			      "10.0.0.5:53 10.0.0.6:53!");

	(void)state;
	tell(m, NULL, one);
	assert_false(begin_change(m, one, two));
	flow_match_end(m, true);
	assert_true(begin_change(m, two, one));
	flow_match_end(m, true);
	tell(m, one, two);
	assert_true(begin_change(m, two, stopped));
	assert_true(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.6:53"));
	flow_match_end(m, true);
}

static void flows_to_services_that_did_not_change_are_not_looked_at(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *dns =
		short_service("dns", IPPROTO_UDP, DNS_FRONTENDS, DNS_ENDPOINTS);
	_cleanup_(short_service_unrefp) struct service *other =
		short_service("other", IPPROTO_UDP, "10.96.0.11:53", "10.0.0.6:53");

	(void)state;
	tell(m, NULL, dns);
	assert_true(begin_change(m, NULL, other));
	assert_false(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.9:53"));
	flow_match_end(m, true);
}

/* The delta with the deletion was lost on the way: the full one shows it. */
static void what_a_full_change_set_does_not_have_any_more_is_gone(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *dns =
		short_service("dns", IPPROTO_UDP, "10.96.0.10:53", DNS_ENDPOINTS);

	(void)state;
	tell(m, NULL, dns);
	assert_true(begin(m, true, NULL, 0));
	assert_true(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53"));
	flow_match_end(m, true);
	/* and once that is done, the address is nobody's of ours */
	assert_false(begin(m, true, NULL, 0));
	assert_false(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53"));
	flow_match_end(m, true);
}

static void what_could_not_be_done_is_not_forgotten(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *dns =
		short_service("dns", IPPROTO_UDP, "10.96.0.10:53", DNS_ENDPOINTS);

	(void)state;
	tell(m, NULL, dns);
	assert_true(begin_change(m, dns, NULL));
	flow_match_end(m, false);
	assert_true(begin(m, true, NULL, 0));
	assert_true(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53"));
	flow_match_end(m, true);
}

/* Else the client's next datagram would be taken for an answer to it. */
static void
what_a_frontend_answered_too_late_is_stale_while_somebody_holds_it(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *dns =
		short_service("dns", IPPROTO_UDP, DNS_FRONTENDS, DNS_ENDPOINTS);

	(void)state;
	assert_true(begin_change(m, NULL, dns));
	assert_true(is_late_answer(m, "1.2.3.4:53", "1.2.3.4:53"));
	assert_false(is_late_answer(m, "1.2.3.4:54", "1.2.3.4:54"));
	assert_false(is_late_answer(m, "1.2.3.4:53", "1.2.3.4:1053"));
	assert_false(is_late_answer(m, "1.2.3.4:53", "192.168.0.2:53"));
	assert_false(is_late_answer(m, "10.0.0.5:53", "10.0.0.5:53"));
	flow_match_end(m, true);
	assert_true(begin_change(m, dns, NULL));
	assert_false(is_late_answer(m, "1.2.3.4:53", "1.2.3.4:53"));
	flow_match_end(m, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flow_is_stale_when_no_serving_endpoint_answers_it),
		cmocka_unit_test(ipv6_is_no_different),
		cmocka_unit_test(without_serving_endpoints_every_flow_is_stale),
		cmocka_unit_test(all_flows_of_a_deleted_service_are_stale),
		cmocka_unit_test(
			flows_of_a_frontend_that_goes_are_stale_and_the_others_are_not),
		cmocka_unit_test(a_frontend_that_moves_follows_its_new_holder),
		cmocka_unit_test(a_change_without_udp_needs_nothing),
		cmocka_unit_test(an_endpoint_more_needs_nothing_and_one_less_does),
		cmocka_unit_test(flows_to_services_that_did_not_change_are_not_looked_at),
		cmocka_unit_test(what_a_full_change_set_does_not_have_any_more_is_gone),
		cmocka_unit_test(what_could_not_be_done_is_not_forgotten),
		cmocka_unit_test(
			what_a_frontend_answered_too_late_is_stale_while_somebody_holds_it),
	};

	return cmocka_run_group_tests_name("flow match", tests, NULL, NULL);
}
