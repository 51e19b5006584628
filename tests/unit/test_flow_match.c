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
#include "tests/stale_flow_cases.h"

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

static const struct environment no_nodes;

static bool begin(struct flow_match *m, bool full, const struct change *changes, size_t n)
{
	return flow_match_begin(m, &(struct changeset){.full = full,
						       .env = &no_nodes,
						       .changes = changes,
						       .n = n});
}

static bool begin_change(struct flow_match *m, const struct service *old,
			 const struct service *new)
{
	return begin(m, false, &(struct change){old, new}, 1);
}

static void apply_change(struct flow_match *m, const struct service *old,
			 const struct service *new)
{
	(void)begin_change(m, old, new);
	flow_match_end(m, true);
}

static void check_case(const struct stale_flow_case *c, bool full)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *before =
		stale_flow_service_new(&c->before);
	_cleanup_(short_service_unrefp) struct service *after =
		stale_flow_service_new(&c->after);

	if (before)
		apply_change(m, NULL, before);
	assert_true(begin(m, full, &(struct change){before, after}, 1));
	for (const struct stale_flow *f = c->flows; f->proto; f++)
		if (is_stale(m, f->proto, f->dst, f->reply_src) != f->is_stale)
			fail_msg("%s: flow to %s answered by %s", c->name, f->dst,
				 f->reply_src);
	flow_match_end(m, true);
}

static void each_case_makes_its_flows_stale_and_no_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(stale_flow_cases); i++)
		check_case(&stale_flow_cases[i], false);
}

/* As at start: all Services are new. */
static void a_full_change_set_makes_the_same_flows_stale(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(stale_flow_cases); i++)
		if (!stale_flow_cases[i].before.frontends)
			check_case(&stale_flow_cases[i], true);
}

static void only_families_of_changed_services_need_a_dump(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *dns =
		short_service("dns", IPPROTO_UDP, "[fd00::a]:53", "[2001:db8::5]:53");

	(void)state;
	assert_true(begin_change(m, NULL, dns));
	assert_true(flow_match_has_family(m, FAMILY_IPV6));
	assert_false(flow_match_has_family(m, FAMILY_IPV4));
	flow_match_end(m, true);
}

/* In any order of the two in the change set. */
static void flows_of_a_moved_frontend_are_judged_by_its_new_service(void **state)
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

static void a_change_without_udp_needs_no_dump(void **state)
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

static void only_a_removed_endpoint_needs_a_dump(void **state)
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
	apply_change(m, NULL, one);
	assert_false(begin_change(m, one, two));
	flow_match_end(m, true);
	assert_true(begin_change(m, two, one));
	flow_match_end(m, true);
	apply_change(m, one, two);
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
	apply_change(m, NULL, dns);
	assert_true(begin_change(m, NULL, other));
	assert_false(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.9:53"));
	flow_match_end(m, true);
}

/* The delta with the deletion was lost on the way: the full one shows it. */
static void flows_of_services_missing_from_a_full_change_set_are_stale(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *dns =
		short_service("dns", IPPROTO_UDP, "10.96.0.10:53", DNS_ENDPOINTS);

	(void)state;
	apply_change(m, NULL, dns);
	assert_true(begin(m, true, NULL, 0));
	assert_true(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53"));
	flow_match_end(m, true);
	/* after that the address is not a frontend any more */
	assert_false(begin(m, true, NULL, 0));
	assert_false(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53"));
	flow_match_end(m, true);
}

static void a_failed_change_is_processed_with_the_next_one(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *dns =
		short_service("dns", IPPROTO_UDP, "10.96.0.10:53", DNS_ENDPOINTS);

	(void)state;
	apply_change(m, NULL, dns);
	assert_true(begin_change(m, dns, NULL));
	flow_match_end(m, false);
	assert_true(begin(m, true, NULL, 0));
	assert_true(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53"));
	flow_match_end(m, true);
}

/* Else the client's next datagram would be taken for an answer to it. */
static void late_answers_of_a_frontend_are_stale_while_a_service_has_it(void **state)
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

/* A change set on a node with these addresses; the service is new if it has a full one. */
static bool begin_on(struct flow_match *m, struct environment *env, struct addr nodes[2],
		     const char *first, const char *second, const struct service *new)
{
	const struct change change = {.new = new};
	const struct node_change any = {.is_added = true};

	assert_int_equal(addr_parse(first, &nodes[0]), 0);
	assert_int_equal(addr_parse(second, &nodes[1]), 0);
	*env = (struct environment){.node_addresses = {nodes}, .n_node_addresses = {2}};
	return flow_match_begin(m, &(struct changeset){.full = new,
						       .env = env,
						       .changes = &change,
						       .n = new ? 1 : 0,
						       .node_changes = &any,
						       .n_node_changes = new ? 0 : 1});
}

static void a_frontend_everywhere_is_at_the_node_addresses(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	_cleanup_(short_service_unrefp) struct service *dns =
		short_service("dns", IPPROTO_UDP, "0.0.0.0:30053", "10.0.0.5:53");
	struct environment env;
	struct addr nodes[2];

	(void)state;
	assert_true(begin_on(m, &env, nodes, "192.0.2.1", "192.0.2.2", dns));
	assert_true(is_stale(m, IPPROTO_UDP, "192.0.2.2:30053", "192.0.2.2:30053"));
	assert_true(is_stale(m, IPPROTO_UDP, "192.0.2.1:30053", "10.0.0.6:53"));
	assert_false(is_stale(m, IPPROTO_UDP, "192.0.2.1:30053", "10.0.0.5:53"));
	assert_false(is_stale(m, IPPROTO_UDP, "192.0.2.1:30054", "10.0.0.6:53"));
	assert_false(is_stale(m, IPPROTO_UDP, "192.0.2.3:30053", "192.0.2.3:30053"));
	flow_match_end(m, true);

	/* .2 goes, .3 comes; the service itself has not changed */
	assert_true(begin_on(m, &env, nodes, "192.0.2.1", "192.0.2.3", NULL));
	assert_true(flow_match_has_family(m, FAMILY_IPV4));
	assert_false(flow_match_has_family(m, FAMILY_IPV6));
	assert_true(is_stale(m, IPPROTO_UDP, "192.0.2.2:30053", "10.0.0.5:53"));
	assert_true(is_stale(m, IPPROTO_UDP, "192.0.2.3:30053", "192.0.2.3:30053"));
	assert_false(is_stale(m, IPPROTO_UDP, "192.0.2.3:30053", "10.0.0.5:53"));
	assert_false(is_stale(m, IPPROTO_UDP, "192.0.2.1:30053", "192.0.2.1:30053"));
	assert_false(is_stale(m, IPPROTO_UDP, "192.0.2.2:53", "192.0.2.2:53"));
	flow_match_end(m, true);

	/* the same list again: no dump is needed, later neither */
	assert_false(begin_on(m, &env, nodes, "192.0.2.1", "192.0.2.3", NULL));
	flow_match_end(m, true);

	/* only .1 is left, where the frontend stays */
	{
		_cleanup_(short_service_unrefp) struct service *exact =
			short_service("dns", IPPROTO_UDP, "192.0.2.1:30053",
				      "10.0.0.5:53");

		assert_true(begin(m, true, &(struct change){NULL, exact}, 1));
		assert_false(is_stale(m, IPPROTO_UDP, "192.0.2.1:30053", "10.0.0.5:53"));
		assert_true(is_stale(m, IPPROTO_UDP, "192.0.2.3:30053", "10.0.0.5:53"));
		flow_match_end(m, true);
		assert_true(begin_on(m, &env, nodes, "192.0.2.1", "192.0.2.3", dns));
		assert_false(is_stale(m, IPPROTO_UDP, "192.0.2.1:30053", "10.0.0.5:53"));
		flow_match_end(m, true);
	}
}

/* Their services need not live until the end: it holds references. */
static void change_sets_before_the_end_add_up(void **state)
{
	_cleanup_(flow_match_freep) struct flow_match *m = flow_match_new();
	struct service *first =
		short_service("dns", IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53");
	struct service *next =
		short_service("dns", IPPROTO_UDP, "10.96.0.10:53", "10.0.0.6:53");
	struct service *other =
		short_service("other", IPPROTO_UDP, "10.96.0.11:53", "10.0.0.6:53");

	(void)state;
	assert_true(begin_change(m, NULL, first));
	assert_true(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.6:53"));
	assert_true(begin_change(m, NULL, other));
	assert_true(begin_change(m, first, next));
	service_unref(first);
	service_unref(next);
	service_unref(other);
	assert_false(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.6:53"));
	assert_true(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53"));
	assert_false(is_stale(m, IPPROTO_UDP, "10.96.0.11:53", "10.0.0.6:53"));
	assert_true(is_stale(m, IPPROTO_UDP, "10.96.0.11:53", "10.0.0.5:53"));
	/* a full one without them: nothing of the earlier ones holds a frontend */
	assert_true(begin(m, true, NULL, 0));
	assert_true(is_stale(m, IPPROTO_UDP, "10.96.0.10:53", "10.0.0.6:53"));
	flow_match_end(m, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case_makes_its_flows_stale_and_no_others),
		cmocka_unit_test(a_full_change_set_makes_the_same_flows_stale),
		cmocka_unit_test(only_families_of_changed_services_need_a_dump),
		cmocka_unit_test(flows_of_a_moved_frontend_are_judged_by_its_new_service),
		cmocka_unit_test(a_change_without_udp_needs_no_dump),
		cmocka_unit_test(only_a_removed_endpoint_needs_a_dump),
		cmocka_unit_test(flows_to_services_that_did_not_change_are_not_looked_at),
		cmocka_unit_test(
			flows_of_services_missing_from_a_full_change_set_are_stale),
		cmocka_unit_test(a_failed_change_is_processed_with_the_next_one),
		cmocka_unit_test(
			late_answers_of_a_frontend_are_stale_while_a_service_has_it),
		cmocka_unit_test(a_frontend_everywhere_is_at_the_node_addresses),
		cmocka_unit_test(change_sets_before_the_end_add_up),
	};

	return cmocka_run_group_tests_name("flow match", tests, NULL, NULL);
}
