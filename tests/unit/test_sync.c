/*
 * When the sync runs, and which changes a run has.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/sync_world.h"
#include "tests/unit/turn_loop.h"

static void the_first_run_brings_everything_to_every_sink(void **state)
{
	struct sync_world *w = *state;

	sync_world_put(w, "a", 1);
	sync_world_put(w, "b", 2);
	sync_world_start(w);
	tape_expect(w->first, 0, true, 2);
	tape_expect(w->second, 0, true, 2);
	tape_expect(w->third, 0, true, 2);
}

static void without_any_service_the_kernel_is_emptied(void **state)
{
	struct sync_world *w = *state;

	sync_world_start(w);
	tape_expect(w->first, 0, true, 0);
}

static void a_later_change_comes_alone(void **state)
{
	struct sync_world *w = *state;

	sync_world_put(w, "a", 1);
	sync_world_start(w);
	sync_world_change(w, "b", 2);
	sync_world_pass(w, SEC);
	tape_expect(w->first, 1, false, 1);
	tape_expect(w->second, 1, false, 1);
	assert_int_equal(w->n_ran, 2);
}

static void many_changes_are_planned_in_several_runs_without_a_pause(void **state)
{
	struct sync_world *w = *state;
	uint64_t end_us;
	char name[16];

	for (int i = 0; i <= 2 * SYNC_MAX_PLANNED; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		sync_world_put(w, name, i + 1);
	}
	sync_world_start(w); /* the first run has them all */
	tape_expect(w->first, 0, true, 2 * SYNC_MAX_PLANNED + 1);

	for (int i = 0; i <= 2 * SYNC_MAX_PLANNED; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		sync_world_del(w, name);
	}
	sync_mark(w->sync);
	end_us = w->now_us + SEC;
	sync_world_pass(w, SEC);
	assert_int_equal(w->n_ran, 4);
	tape_expect(w->first, 1, false, SYNC_MAX_PLANNED);
	tape_expect(w->first, 2, false, SYNC_MAX_PLANNED);
	tape_expect(w->first, 3, false, 1);
	assert_true(w->first->notes[3].at_us == w->first->notes[1].at_us);
	assert_true(w->now_us == end_us && cluster_n_dirty(w->cluster) == 0);
}

static void a_change_without_a_difference_reaches_no_sink(void **state)
{
	struct sync_world *w = *state;

	sync_world_put(w, "a", 1);
	sync_world_start(w);
	sync_world_put(w, "a", 1);
	sync_world_put(w, "b", 2);
	sync_world_del(w, "b");
	sync_mark(w->sync);
	sync_world_pass(w, SEC);
	assert_int_equal(w->first->n_notes, 1);
}

static void a_lone_change_is_programmed_immediately(void **state)
{
	struct sync_world *w = *state;

	w->config.gather_period_ns = 200 * (long long)MS * NS;
	sync_world_start(w);
	sync_world_change(w, "a", 1);
	assert_int_equal(sync_delay(w->sync), 0);
}

static void a_burst_is_gathered(void **state)
{
	struct sync_world *w = *state;

	w->config.gather_period_ns = 500 * (long long)MS * NS;
	sync_world_make(w);
	sync_world_pass(w, 0);
	for (int i = 1; i <= 20; i++) {
		sync_world_change(w, "a", i);
		sync_world_pass(w, MS);
	}
	assert_int_equal(w->n_ran, 1);
	assert_int_equal(sync_delay(w->sync), 480 * MS);
	sync_world_pass(w, SEC);
	assert_int_equal(w->n_ran, 2);
	tape_expect(w->first, 1, false, 1);
}

static void the_minimum_period_is_kept_when_it_is_set(void **state)
{
	struct sync_world *w = *state;

	w->config.iptables.min_sync_period_ns = 300 * (long long)MS * NS;
	sync_world_make(w);
	sync_world_pass(w, 0);
	sync_world_change(w, "a", 1);
	assert_int_equal(sync_delay(w->sync), 300 * MS);
}

static void a_new_service_network_reaches_the_sinks(void **state)
{
	struct sync_world *w = *state;

	sync_world_put(w, "a", 1);
	sync_world_start(w);
	(void)cluster_put_text(w->cluster,
			       "apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\n"
			       "metadata: {name: kubernetes}\n"
			       "spec: {cidrs: [10.96.0.0/16]}\n");
	sync_mark(w->sync);
	sync_world_pass(w, SEC);
	tape_expect(w->first, 1, true, 1);
	assert_int_equal(w->node_info.env.n_service_cidrs, 1);
}

static void set_hosts(struct sync_world *w, uint8_t n)
{
	struct addr hosts[8];

	for (uint8_t i = 0; i < n; i++)
		hosts[i] = addr_from_bytes(FAMILY_IPV4, (const uint8_t[]){192, 0, 2, i});
	node_info_set_hosts(&w->node_info, hosts, n);
	if (w->sync)
		sync_mark(w->sync);
}

static void an_address_of_node_ports_is_a_delta_without_services(void **state)
{
	struct sync_world *w = *state;

	w->node_info.nodeports.all = true;
	w->node_info.nodeports.primary = false;
	(void)cluster_put_text(w->cluster,
			       "apiVersion: v1\nkind: Service\n"
			       "metadata: {namespace: ns, name: np}\n"
			       "spec: {type: NodePort, clusterIP: 10.96.0.1,\n"
			       "  ports: [{port: 80, nodePort: 30080}]}\n");
	set_hosts(w, 2);
	sync_world_start(w);
	tape_expect(w->first, 0, true, 1);
	set_hosts(w, 4);
	sync_world_pass(w, SEC);
	tape_expect(w->first, 1, false, 0);
	assert_int_equal(tape_last(w->first)->n_node_changes, 2);
	tape_expect(w->third, 1, false, 0);
	assert_int_equal(sync_stats(w->sync).last.n_planned, 0);

	/* a sink that fails gets all of them */
	w->first->answer = -EIO;
	set_hosts(w, 5);
	sync_world_pass(w, 1);
	w->first->answer = 0;
	sync_world_pass(w, SEC);
	tape_expect(w->first, w->first->n_notes - 1, true, 1);
	tape_expect(w->third, w->third->n_notes - 1, true, 1);

	/* a single address is a part of the frontends */
	set_hosts(w, 1);
	sync_world_pass(w, SEC);
	tape_expect(w->first, w->first->n_notes - 1, true, 1);
	assert_int_equal(sync_stats(w->sync).last.n_planned, 1);
}

static void a_change_is_pending_until_the_vital_sink_has_it(void **state)
{
	struct sync_world *w = *state;
	struct sync_stats stats;
	uint64_t changed_us;

	sync_world_start(w);
	w->first->answer = -EIO;
	sync_mark(w->sync);
	sync_world_pass(w, SEC); /* nothing to apply, nothing fails */
	stats = sync_stats(w->sync);
	assert_int_equal(stats.waits_since_us[FAMILY_IPV4], 0);
	w->wall_us += 86400ull * SEC; /* what the wall clock shows has no influence */
	changed_us = w->now_us;
	sync_world_change(w, "a", 1);
	sync_world_pass(w, 100 * SEC);
	stats = sync_stats(w->sync);
	assert_int_equal(stats.waits_since_us[FAMILY_IPV4], changed_us);
	w->first->answer = 0;
	sync_world_pass(w, 30 * SEC);
	stats = sync_stats(w->sync);
	assert_int_equal(stats.waits_since_us[FAMILY_IPV4], 0);
	assert_true(stats.last_updated_us[FAMILY_IPV4] >
		    stats.last_queued_us[FAMILY_IPV4]);
}

/* ---- on a real loop ---- */

/* Turns the loop until this many runs have been; fails after a minute. */
static void run_until(struct sync_world *w, size_t n_ran)
{
	ev_tstamp end = ev_time() + 60.;

	while (w->n_ran < n_ran) {
		assert_true(ev_time() < end);
		turn_loop(w->base.loop, .005);
	}
}

static void nothing_runs_before_the_start(void **state)
{
	struct sync_world *w = *state;

	sync_world_make(w);
	sync_world_put(w, "a", 1);
	sync_mark(w->sync);
	turn_loop(w->base.loop, .05);
	assert_int_equal(w->n_ran, 0);
	sync_start(w->sync);
	run_until(w, 1);
}

static void an_event_of_a_sink_starts_its_repair(void **state)
{
	struct sync_world *w = *state;
	const uint64_t one = 1;

	sync_world_make(w);
	sync_start(w->sync);
	run_until(w, 1);
	assert_int_equal(write(w->first->fd, &one, sizeof(one)), sizeof(one));
	run_until(w, 2);
	tape_expect(w->first, 1, true, 0);
	assert_int_equal(w->second->n_notes, 1);
}

static void a_sink_works_in_turns_of_the_loop(void **state)
{
	struct sync_world *w = *state;
	const uint64_t one = 1;

	sync_world_make(w);
	w->second->answer = w->second->work_answer = -EINPROGRESS;
	sync_start(w->sync);
	run_until(w, 1);
	assert_int_equal(write(w->second->work_fd, &one, sizeof(one)), sizeof(one));
	turn_loop(w->base.loop, .02);
	assert_true(sync_world_state(w, 1)->is_working);
	w->second->work_answer = 0;
	assert_int_equal(write(w->second->work_fd, &one, sizeof(one)), sizeof(one));
	for (int i = 0; i < 1000 && sync_world_state(w, 1)->is_working; i++)
		turn_loop(w->base.loop, .01);
	assert_false(sync_world_state(w, 1)->is_working);
	assert_int_equal(w->second->n_notes, 1);
}

static void everything_is_compared_periodically(void **state)
{
	struct sync_world *w = *state;

	w->config.audit_period_ns = 50 * (long long)MS * NS;
	w->config.gather_period_ns = 0;
	sync_world_make(w);
	sync_start(w->sync);
	run_until(w, 3);
	tape_expect(w->first, 1, true, 0);
	tape_expect(w->second, 1, true, 0);
	assert_int_equal(sync_stats(w->sync).last.reason, SYNC_REASON_AUDIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SYNC_TEST(the_first_run_brings_everything_to_every_sink),
		SYNC_TEST(without_any_service_the_kernel_is_emptied),
		SYNC_TEST(a_later_change_comes_alone),
		SYNC_TEST(many_changes_are_planned_in_several_runs_without_a_pause),
		SYNC_TEST(a_change_without_a_difference_reaches_no_sink),
		SYNC_TEST(a_lone_change_is_programmed_immediately),
		SYNC_TEST(a_burst_is_gathered),
		SYNC_TEST(the_minimum_period_is_kept_when_it_is_set),
		SYNC_TEST(a_new_service_network_reaches_the_sinks),
		SYNC_TEST(an_address_of_node_ports_is_a_delta_without_services),
		SYNC_TEST(a_change_is_pending_until_the_vital_sink_has_it),
		SYNC_TEST(nothing_runs_before_the_start),
		SYNC_TEST(an_event_of_a_sink_starts_its_repair),
		SYNC_TEST(a_sink_works_in_turns_of_the_loop),
		SYNC_TEST(everything_is_compared_periodically),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
