/*
 * The table of UDP flows: idle ones end in time, and eviction is fair.
 */
#include "proxy/relay/relay_flows.h"

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/test.h"

#define MAX 1000

static const char busy[] = "busy", quiet[] = "quiet";
static struct relay_flows flows;
static struct relay_flow_node nodes[MAX];
static unsigned n_used;

static int start(void **state)
{
	relay_flows_init(&flows, MAX);
	memset(nodes, 0, sizeof(nodes));
	n_used = 0;
	return 0;
}

static int stop(void **state)
{
	struct relay_flow_node *n;

	for (size_t i = 0; (n = hash_next(&flows.by_key, &i));)
		relay_flows_del(&flows, n);
	assert_null(relay_flows_victim(&flows));
	assert_int_equal(flows.crowds.n, 0);
	relay_flows_fini(&flows);
	return 0;
}

static struct relay_flow_node *put(const char *owner, uint32_t now_sec)
{
	struct relay_flow_node *n = &nodes[n_used++];

	n->key.port = (uint16_t)n_used;
	relay_flows_put(&flows, n, owner, now_sec);
	return n;
}

static void a_flow_is_found_by_client_and_frontend(void **state)
{
	struct relay_flow_node *n = put(busy, 1);
	struct relay_flow_key other = n->key;

	assert_ptr_equal(relay_flows_find(&flows, &n->key), n);
	other.frontend = busy;
	assert_null(relay_flows_find(&flows, &other));
	other = n->key;
	other.client.b[3] = 1;
	assert_null(relay_flows_find(&flows, &other));
	other = n->key;
	other.scope = 1;
	assert_null(relay_flows_find(&flows, &other));
}

static struct relay_flow_node *idle(uint32_t now_sec)
{
	return relay_flows_idle(&flows, now_sec, 30, 120);
}

static void flows_with_answers_may_be_idle_longer(void **state)
{
	struct relay_flow_node *unanswered = put(busy, 100), *answered = put(busy, 100);

	relay_flows_use(&flows, answered, 100, true);
	assert_null(idle(129));
	assert_ptr_equal(idle(130), unanswered);
	relay_flows_use(&flows, unanswered, 130, false);
	assert_null(idle(159));
	relay_flows_del(&flows, unanswered);
	assert_null(idle(219));
	assert_ptr_equal(idle(220), answered);
	relay_flows_use(&flows, answered, 220, false);
	assert_null(idle(339));
	assert_ptr_equal(idle(340), answered);
}

static void idle_flows_come_in_the_order_of_their_last_use(void **state)
{
	struct relay_flow_node *first = put(busy, 1), *second = put(quiet, 2);

	relay_flows_use(&flows, first, 3, false);
	assert_ptr_equal(idle(100), second);
	relay_flows_del(&flows, second);
	assert_ptr_equal(idle(100), first);
}

static void the_victim_is_the_idlest_of_the_owner_that_has_most(void **state)
{
	struct relay_flow_node *kept = put(quiet, 1), *oldest = put(busy, 2);

	put(busy, 3);
	assert_ptr_equal(relay_flows_victim(&flows), oldest);
	relay_flows_use(&flows, oldest, 4, false);
	assert_ptr_not_equal(relay_flows_victim(&flows), oldest);
	assert_ptr_not_equal(relay_flows_victim(&flows), kept);
}

/* A flood of one Service takes nothing from another one. */
static void a_flood_evicts_only_its_own_flows(void **state)
{
	struct relay_flow_node *kept[10];

	for (int i = 0; i < 10; i++)
		kept[i] = put(quiet, 0);
	while (n_used < MAX)
		put(busy, n_used);
	for (uint32_t i = 0; i < 5 * MAX; i++) {
		struct relay_flow_node *n = relay_flows_victim(&flows);

		relay_flows_del(&flows, n);
		n->key.port++;
		n->key.scope++;
		relay_flows_put(&flows, n, busy, MAX + i);
	}
	for (int i = 0; i < 10; i++)
		assert_ptr_equal(relay_flows_find(&flows, &kept[i]->key), kept[i]);
	assert_int_equal(relay_flows_n(&flows), MAX);
}

/* Against a count of all owners, after random additions and removals. */
static void the_largest_owner_is_known_at_any_time(void **state)
{
	static const char owners[7] = "";
	uint32_t n_of[7] = {0}, seed = 1;

	for (int i = 0; i < 20000; i++) {
		struct relay_flow_node *n;
		uint32_t largest = 0, at;

		seed = seed * 1664525 + 1013904223;
		at = seed >> 8 & 63;
		n = &nodes[at];
		if (n->crowd) {
			relay_flows_del(&flows, n);
			n_of[at % 7]--;
			n->crowd = NULL;
		} else {
			n->key.port = (uint16_t)at;
			relay_flows_put(&flows, n, &owners[at % 7], (uint32_t)i);
			n_of[at % 7]++;
		}
		for (int o = 0; o < 7; o++)
			largest = n_of[o] > largest ? n_of[o] : largest;
		n = relay_flows_victim(&flows);
		assert_int_equal(n ? n_of[(n - nodes) % 7] : 0, largest);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_flow_is_found_by_client_and_frontend),
		TEST(flows_with_answers_may_be_idle_longer),
		TEST(idle_flows_come_in_the_order_of_their_last_use),
		TEST(the_victim_is_the_idlest_of_the_owner_that_has_most),
		TEST(a_flood_evicts_only_its_own_flows),
		TEST(the_largest_owner_is_known_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
