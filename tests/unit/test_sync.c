/*
 * When the sync runs and what each sink is told, with sinks that only take
 * notes, on a real loop.
 */
#include "tests/test.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/config/config.h"
#include "proxy/engine/dataplane.h"
#include "proxy/host/node_info.h"
#include "proxy/engine/sync.h"
#include "tests/unit/turn_loop.h"
#include "watchers/cluster.h"
#include "watchers/decode/decode.h"

#define MS	  1000000 /* in nanoseconds */
#define MAX_NOTES 64

struct note {
	bool full;
	size_t n;
};

struct tape { /* a sink that takes notes and answers as it is told to */
	struct sink sink;
	int answer;
	struct note notes[MAX_NOTES];
	size_t n_notes;
};

struct world {
	struct ev_loop *loop;
	struct config config;
	struct cluster *cluster;
	struct node_info node_info;
	struct dataplane dataplane;
	struct tape *first, *second;
	struct sync *sync;
	size_t n_ran;
};

static int tape_apply(struct sink *sink, const struct changeset *cs)
{
	struct tape *tape = container_of(sink, struct tape, sink);

	assert_true(tape->n_notes < MAX_NOTES);
	assert_non_null(cs->env);
	tape->notes[tape->n_notes++] = (struct note){cs->full, cs->n};
	return tape->answer;
}

static void tape_close(struct sink *sink)
{
	free(container_of(sink, struct tape, sink));
}

static const struct sink_ops tape_ops = {
	.name = "tape",
	.apply = tape_apply,
	.close = tape_close,
};

static struct tape *tape_add(struct dataplane *dp)
{
	struct tape *tape = xcalloc(1, sizeof(*tape));

	tape->sink.ops = &tape_ops;
	dp->sinks[dp->n_sinks++] = &tape->sink;
	return tape;
}

static void on_ran(void *data, const struct sync_run *run)
{
	struct world *w = data;

	(void)run;
	w->n_ran++;
}

static int foreign_fd; /* the data plane's functions know their sink only */

static int tape_fd(const struct sink *sink)
{
	(void)sink;
	return foreign_fd;
}

static bool tape_drain(struct sink *sink)
{
	uint64_t n;

	(void)sink;
	return read(foreign_fd, &n, sizeof(n)) == sizeof(n);
}

/* The cluster is filled before the sync is made: what is there then is the first run's. */
static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->loop = ev_loop_new(EVFLAG_AUTO);
	config_init(&w->config);
	w->cluster = cluster_new("node-0");
	node_info_init(&w->node_info, &w->config, "node-0");
	foreign_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->dataplane =
		(struct dataplane){.mode = "tape", .fd = tape_fd, .drain = tape_drain};
	w->first = tape_add(&w->dataplane);
	w->second = tape_add(&w->dataplane);
	*state = w;
	return 0;
}

static void make_sync(struct world *w)
{
	w->sync = sync_new(&(struct sync_params){
		.loop = w->loop,
		.config = &w->config,
		.cluster = w->cluster,
		.node_info = &w->node_info,
		.dataplane = &w->dataplane,
		.ran = on_ran,
		.data = w,
	});
}

static int tear_down(void **state)
{
	struct world *w = *state;

	sync_free(w->sync);
	dataplane_close(&w->dataplane);
	node_info_fini(&w->node_info);
	cluster_free(w->cluster);
	config_fini(&w->config);
	ev_loop_destroy(w->loop);
	(void)close(foreign_fd);
	free(w);
	return 0;
}

static void put(struct world *w, const char *text)
{
	json_t *json = json_loads(text, 0, NULL);
	struct decoded decoded;

	assert_non_null(json);
	assert_int_equal(decode_object(json, "test", NULL, &decoded), 0);
	assert_int_equal(decoded.n, 1);
	(void)cluster_put(w->cluster, decoded.objects[0]);
	json_decref(json);
}

/* A Service of this name, with this last octet of its cluster IP. */
static void put_service(struct world *w, const char *name, int octet)
{
	_cleanup_(freep) char *text = xasprintf(
		"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":"
		"{\"namespace\":\"ns\",\"name\":\"%s\"},\"spec\":{\"clusterIP\":"
		"\"10.96.0.%d\",\"ports\":[{\"port\":80,\"protocol\":\"TCP\"}]}}",
		name, octet);

	put(w, text);
}

/* Turns the loop until this many runs have been; fails after five seconds. */
static void run_until(struct world *w, size_t n_ran)
{
	ev_tstamp end = ev_time() + 5.;

	while (w->n_ran < n_ran) {
		assert_true(ev_time() < end);
		turn_loop(w->loop, .005);
	}
}

/* Runs it by hand, with this for an answer. */
static void run(struct world *w, int answer)
{
	if (!w->sync)
		make_sync(w);
	assert_int_equal(sync_run(w->sync), answer);
}

/* Starts it, and turns the loop until the first run is over. */
static void start(struct world *w)
{
	make_sync(w);
	sync_start(w->sync);
	run_until(w, 1);
}

static void assert_note(const struct tape *tape, size_t index, bool full, size_t n)
{
	assert_true(index < tape->n_notes);
	assert_int_equal(tape->notes[index].full, full);
	assert_int_equal(tape->notes[index].n, n);
}

static void test_the_first_run_tells_everything_to_every_sink(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	put_service(w, "b", 2);
	run(w, 0);
	assert_note(w->first, 0, true, 2);
	assert_note(w->second, 0, true, 2);
}

static void test_without_any_service_the_kernel_is_emptied(void **state)
{
	struct world *w = *state;

	run(w, 0);
	assert_note(w->first, 0, true, 0);
}

static void test_a_later_change_is_told_alone(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	run(w, 0);
	put_service(w, "b", 2);
	run(w, 0);
	assert_note(w->first, 1, false, 1);
	assert_note(w->second, 1, false, 1);
}

static void test_a_change_that_changes_nothing_is_not_told(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	run(w, 0);
	put_service(w, "a", 1);
	put_service(w, "b", 2);
	(void)cluster_del(w->cluster, OBJECT_SERVICE, "ns", "b");
	run(w, 0);
	assert_int_equal(w->first->n_notes, 1);
}

static void test_a_failed_sink_and_those_after_it_get_everything_next(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	run(w, 0);
	w->first->answer = -ENOBUFS;
	put_service(w, "b", 2);
	run(w, -ENOBUFS);
	assert_note(w->first, 1, false, 1);
	assert_int_equal(w->second->n_notes, 1); /* it comes after */
	w->first->answer = 0;
	run(w, 0);
	assert_note(w->first, 2, true, 2);
	assert_note(w->second, 1, true, 2);
}

static void test_only_the_sink_that_failed_gets_everything(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	run(w, 0);
	w->second->answer = -EIO;
	put_service(w, "b", 2);
	run(w, -EIO);
	w->second->answer = 0;
	put_service(w, "c", 3);
	run(w, 0);
	assert_note(w->first, 2, false, 1);
	assert_note(w->second, 2, true, 3);
}

static void test_refused_services_don_t_hold_back_the_next_sink(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	w->first->answer = -EREMOTEIO;
	run(w, -EREMOTEIO);
	assert_note(w->second, 0, true, 1);
	w->first->answer = 0;
	run(w, 0);
	assert_note(w->first, 1, true, 1);	 /* retried */
	assert_int_equal(w->second->n_notes, 1); /* knew it all */
}

static void test_failures_are_retried_without_a_change(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	w->first->answer = -ENOBUFS;
	start(w);
	run_until(w, 2);
	w->first->answer = 0;
	run_until(w, 3);
	assert_true(w->second->n_notes >= 1);
	assert_note(w->second, 0, true, 1);
	assert_int_equal(sync_stats(w->sync).n_failures, 2);
	turn_loop(w->loop, .3); /* and then there is peace */
	assert_int_equal(w->n_ran, 3);
}

static void test_failures_are_retried_later_and_later(void **state)
{
	struct world *w = *state;
	ev_tstamp begin = ev_time();

	w->first->answer = -ENOBUFS;
	start(w);
	run_until(w, 5);
	/* 50, 100, 200, 400 ms at most, half of that at least */
	assert_true(ev_time() - begin > .35);
}

static void test_nothing_runs_before_the_start(void **state)
{
	struct world *w = *state;

	make_sync(w);
	put_service(w, "a", 1);
	sync_mark(w->sync);
	turn_loop(w->loop, .05);
	assert_int_equal(w->n_ran, 0);
	sync_start(w->sync);
	run_until(w, 1);
}

static void test_a_lone_change_is_programmed_at_once(void **state)
{
	struct world *w = *state;
	ev_tstamp begin;

	w->config.gather_period_ns = 200 * MS;
	start(w);
	turn_loop(w->loop, .25);
	put_service(w, "a", 1);
	begin = ev_time();
	sync_mark(w->sync);
	run_until(w, 2);
	assert_true(ev_time() - begin < .1);
}

static void test_a_burst_is_gathered(void **state)
{
	struct world *w = *state;

	/* ample for twenty turns on a busy machine */
	w->config.gather_period_ns = 500 * MS;
	start(w);
	for (int i = 1; i <= 20; i++) {
		put_service(w, "a", i);
		sync_mark(w->sync);
		turn_loop(w->loop, .001);
	}
	run_until(w, 2);
	assert_int_equal(w->n_ran, 2);
	assert_note(w->first, 1, false, 1);
}

static void test_the_minimum_period_is_kept_when_it_is_set(void **state)
{
	struct world *w = *state;
	ev_tstamp begin = ev_time(); /* before the first run */

	w->config.iptables.min_sync_period_ns = 300 * MS;
	start(w);
	put_service(w, "a", 1);
	sync_mark(w->sync);
	run_until(w, 2);
	assert_true(ev_time() - begin > .29);
}

static void disturb(void)
{
	const uint64_t one = 1;

	assert_int_equal(write(foreign_fd, &one, sizeof(one)), sizeof(one));
}

static void test_a_stranger_s_change_is_repaired_at_once(void **state)
{
	struct world *w = *state;
	ev_tstamp begin;

	put_service(w, "a", 1);
	w->config.iptables.min_sync_period_ns =
		5000ll * MS; /* a repair doesn't wait for it */
	start(w);
	begin = ev_time();
	disturb();
	run_until(w, 2);
	assert_true(ev_time() - begin < .1);
	assert_note(w->first, 1, true, 1);
	assert_int_equal(sync_stats(w->sync).n_repairs, 1);
	assert_int_equal(sync_stats(w->sync).last.reason, SYNC_REASON_FOREIGN);
}

static void test_a_stranger_who_goes_on_is_answered_less_and_less(void **state)
{
	struct world *w = *state;
	ev_tstamp end;

	start(w);
	for (end = ev_time() + 1.; ev_time() < end;) {
		disturb();
		turn_loop(w->loop, .002);
	}
	/* at once, then after 10, 20, 40, ... ms: not 500 times */
	assert_in_range(sync_stats(w->sync).n_repairs, 4, 9);
}

static void test_everything_is_compared_now_and_then(void **state)
{
	struct world *w = *state;

	w->config.audit_period_ns = 50 * MS;
	start(w);
	run_until(w, 3);
	assert_note(w->first, 1, true, 0);
	assert_int_equal(sync_stats(w->sync).last.reason, SYNC_REASON_AUDIT);
}

static void test_a_new_service_network_reaches_the_sinks(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	run(w, 0);
	put(w, "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"ServiceCIDR\","
	       "\"metadata\":{\"name\":\"kubernetes\"},\"spec\":{\"cidrs\":"
	       "[\"10.96.0.0/16\"]}}");
	run(w, 0);
	assert_note(w->first, 1, true, 1);
	assert_int_equal(w->node_info.env.n_service_cidrs, 1);
}

static void test_what_waits_is_remembered_until_it_is_programmed(void **state)
{
	struct world *w = *state;
	struct sync_stats stats;

	run(w, 0);
	w->first->answer = -EIO;
	sync_mark(w->sync);
	run(w, 0); /* nothing to tell, nothing fails */
	put_service(w, "a", 1);
	sync_mark(w->sync);
	run(w, -EIO);
	stats = sync_stats(w->sync);
	assert_true(stats.oldest_queued_us[FAMILY_IPV4] > 0);
	w->first->answer = 0;
	run(w, 0);
	stats = sync_stats(w->sync);
	assert_int_equal(stats.oldest_queued_us[FAMILY_IPV4], 0);
	assert_true(stats.last_updated_us[FAMILY_IPV4] >=
		    stats.last_queued_us[FAMILY_IPV4]);
}

#define ON_TAPE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_TAPE(test_the_first_run_tells_everything_to_every_sink),
		ON_TAPE(test_without_any_service_the_kernel_is_emptied),
		ON_TAPE(test_a_later_change_is_told_alone),
		ON_TAPE(test_a_change_that_changes_nothing_is_not_told),
		ON_TAPE(test_a_failed_sink_and_those_after_it_get_everything_next),
		ON_TAPE(test_only_the_sink_that_failed_gets_everything),
		ON_TAPE(test_refused_services_don_t_hold_back_the_next_sink),
		ON_TAPE(test_failures_are_retried_without_a_change),
		ON_TAPE(test_failures_are_retried_later_and_later),
		ON_TAPE(test_nothing_runs_before_the_start),
		ON_TAPE(test_a_lone_change_is_programmed_at_once),
		ON_TAPE(test_a_burst_is_gathered),
		ON_TAPE(test_the_minimum_period_is_kept_when_it_is_set),
		ON_TAPE(test_a_stranger_s_change_is_repaired_at_once),
		ON_TAPE(test_a_stranger_who_goes_on_is_answered_less_and_less),
		ON_TAPE(test_everything_is_compared_now_and_then),
		ON_TAPE(test_a_new_service_network_reaches_the_sinks),
		ON_TAPE(test_what_waits_is_remembered_until_it_is_programmed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
