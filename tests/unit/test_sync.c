/*
 * When the sync runs, and what each sink receives then: a vital one and two that
 * come after it and only take notes, by a clock of the test's own.
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
#include "proxy/config/config.h"
#include "proxy/engine/dataplane.h"
#include "proxy/host/node_info.h"
#include "proxy/engine/sink_set.h"
#include "proxy/engine/sync.h"
#include "tests/unit/capture.h"
#include "tests/unit/turn_loop.h"
#include "watchers/cluster.h"
#include "watchers/decode/decode.h"

#define MS	  1000ull /* in microseconds */
#define SEC	  1000000ull
#define NS	  1000ll /* of a microsecond */
#define MAX_NOTES 256

struct note {
	bool full;
	size_t n;
	bool has_old; /* in its first change */
	uint64_t at_us;
};

struct world;

struct tape { /* a sink that takes notes and returns what the test says */
	struct sink sink;
	struct world *world;
	int answer;
	const char *refuses; /* the name of a Service */
	struct note notes[MAX_NOTES];
	size_t n_notes;
	int fd; /* an eventfd, or -1 */
	unsigned
		n_disturbed; /* change sets during which another process makes a change */
	bool is_disturbed;   /* it has */
};

struct world {
	struct ev_loop *loop;
	struct config config;
	struct cluster *cluster;
	struct node_info node_info;
	struct dataplane dataplane;
	struct tape *first, *second, *third;
	struct sync *sync;
	size_t n_ran;
	uint64_t now_us;
};

static bool is_refused(const struct tape *tape, const struct service *service)
{
	return tape->refuses && service &&
	       strcmp(service_name(service), tape->refuses) == 0;
}

static int tape_apply(struct sink *sink, const struct changeset *cs)
{
	struct tape *tape = container_of(sink, struct tape, sink);
	int err = tape->answer;

	if (tape->n_disturbed) {
		tape->n_disturbed--;
		tape->is_disturbed = true;
	}
	assert_true(tape->n_notes < MAX_NOTES);
	assert_non_null(cs->env);
	tape->notes[tape->n_notes++] = (struct note){
		.full = cs->full,
		.n = cs->n,
		.has_old = cs->n && cs->changes[0].old,
		.at_us = tape->world->now_us,
	};
	for (size_t i = 0; !err && i < cs->n; i++)
		if (is_refused(tape, cs->changes[i].new)) {
			changeset_refuse(cs, cs->changes[i].new, "add x: File exists");
			err = -EREMOTEIO;
		}
	return err;
}

static void tape_close(struct sink *sink)
{
	struct tape *tape = container_of(sink, struct tape, sink);

	if (tape->fd != -1)
		(void)close(tape->fd);
	free(tape);
}

static int tape_fd(const struct sink *sink)
{
	return container_of((struct sink *)(uintptr_t)sink, struct tape, sink)->fd;
}

static bool tape_check(struct sink *sink)
{
	struct tape *tape = container_of(sink, struct tape, sink);
	bool is_changed = tape->is_disturbed;
	uint64_t n;

	tape->is_disturbed = false;
	return is_changed || (tape->fd != -1 && read(tape->fd, &n, sizeof(n)) > 0);
}

static const struct sink_ops tape_ops = {
	.name = "tape",
	.apply = tape_apply,
	.close = tape_close,
	.fd = tape_fd,
	.check = tape_check,
};

static struct tape *tape_add(struct world *w, struct tape *after)
{
	struct tape *tape = xcalloc(1, sizeof(*tape));

	tape->sink.ops = &tape_ops;
	tape->sink.after = after ? &after->sink : NULL;
	tape->sink.is_vital = !after;
	tape->world = w;
	tape->fd = after ? -1 : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	dataplane_add(&w->dataplane, &tape->sink);
	return tape;
}

static void on_ran(void *data, const struct sync_run *run)
{
	struct world *w = data;

	(void)run;
	w->n_ran++;
}

static uint64_t clock_us(void *data, clockid_t clock)
{
	(void)clock;
	return ((struct world *)data)->now_us;
}

/* The shortest of the waits that jitter allows: half of each. */
static uint64_t no_random(void *data)
{
	(void)data;
	return 0;
}

/* The cluster is filled before the sync is made: that is for the first run. */
static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->loop = ev_loop_new(EVFLAG_AUTO);
	w->now_us = 1000 * SEC;
	config_init(&w->config);
	w->config.audit_period_ns = 0;
	w->cluster = cluster_new("node-0");
	node_info_init(&w->node_info, &w->config, "node-0");
	w->dataplane.mode = "tape";
	w->first = tape_add(w, NULL);
	w->second = tape_add(w, w->first);
	w->third = tape_add(w, w->first);
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
		.clock_us = clock_us,
		.random = no_random,
		.clock_data = w,
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

/* The time passes, and everything that becomes due runs. */
static void pass(struct world *w, uint64_t us)
{
	uint64_t end_us = w->now_us + us, delay_us;

	while ((delay_us = sync_delay(w->sync)) <= end_us - w->now_us) {
		size_t n_ran = w->n_ran;

		w->now_us += delay_us;
		(void)sync_run(w->sync);
		assert_true(w->n_ran == n_ran + 1 && n_ran < 10000);
	}
	w->now_us = end_us;
}

/* The first run is over. */
static void start(struct world *w)
{
	make_sync(w);
	pass(w, 0);
	assert_int_equal(w->n_ran, 1);
	pass(w, SEC);
	assert_int_equal(w->n_ran, 1);
}

/* Changed, and marked as a source would. */
static void change(struct world *w, const char *name, int octet)
{
	put_service(w, name, octet);
	sync_mark(w->sync);
}

static void assert_note(const struct tape *tape, size_t index, bool full, size_t n)
{
	assert_true(index < tape->n_notes);
	assert_int_equal(tape->notes[index].full, full);
	assert_int_equal(tape->notes[index].n, n);
}

static const struct note *last_of(const struct tape *tape)
{
	assert_true(tape->n_notes > 0);
	return &tape->notes[tape->n_notes - 1];
}

static const struct sink_state *state_of(const struct world *w, size_t index)
{
	return &sync_sinks(w->sync)->states[index];
}

static void the_first_run_brings_everything_to_every_sink(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	put_service(w, "b", 2);
	start(w);
	assert_note(w->first, 0, true, 2);
	assert_note(w->second, 0, true, 2);
	assert_note(w->third, 0, true, 2);
}

static void without_any_service_the_kernel_is_emptied(void **state)
{
	struct world *w = *state;

	start(w);
	assert_note(w->first, 0, true, 0);
}

static void a_later_change_comes_alone(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	start(w);
	change(w, "b", 2);
	pass(w, SEC);
	assert_note(w->first, 1, false, 1);
	assert_note(w->second, 1, false, 1);
	assert_int_equal(w->n_ran, 2);
}

static void many_changes_are_planned_in_several_runs_without_a_pause(void **state)
{
	struct world *w = *state;
	uint64_t end_us;
	char name[16];

	for (int i = 0; i <= 2 * SYNC_MAX_PLANNED; i++) {
		_cleanup_(freep) char *text = xasprintf(
			"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":"
			"{\"namespace\":\"ns\",\"name\":\"s%d\"},\"spec\":{\"clusterIP"
			"\":\"10.96.%d.%d\",\"ports\":[{\"port\":80}]}}",
			i, i / 250, i % 250 + 1);

		put(w, text);
	}
	start(w); /* the first run has them all */
	assert_note(w->first, 0, true, 2 * SYNC_MAX_PLANNED + 1);

	for (int i = 0; i <= 2 * SYNC_MAX_PLANNED; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		(void)cluster_del(w->cluster, OBJECT_SERVICE, "ns", name);
	}
	sync_mark(w->sync);
	end_us = w->now_us + SEC;
	pass(w, SEC);
	assert_int_equal(w->n_ran, 4);
	assert_note(w->first, 1, false, SYNC_MAX_PLANNED);
	assert_note(w->first, 2, false, SYNC_MAX_PLANNED);
	assert_note(w->first, 3, false, 1);
	assert_true(w->first->notes[3].at_us == w->first->notes[1].at_us);
	assert_true(w->now_us == end_us && cluster_n_dirty(w->cluster) == 0);
}

static void a_change_without_a_difference_reaches_no_sink(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	start(w);
	put_service(w, "a", 1);
	put_service(w, "b", 2);
	(void)cluster_del(w->cluster, OBJECT_SERVICE, "ns", "b");
	sync_mark(w->sync);
	pass(w, SEC);
	assert_int_equal(w->first->n_notes, 1);
}

static void sinks_after_one_that_failed_wait_and_then_get_everything(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	start(w);
	w->first->answer = -ENOBUFS;
	change(w, "b", 2);
	pass(w, 0);
	assert_note(w->first, 1, false, 1);
	assert_int_equal(w->second->n_notes, 1);
	w->first->answer = 0;
	pass(w, SEC);
	assert_note(w->first, 2, true, 2);
	assert_note(w->second, 1, true, 2);
	assert_note(w->third, 1, true, 2);
}

static void failures_are_retried_after_growing_pauses(void **state)
{
	static const uint64_t pauses_ms[] = {25, 50, 100, 200, 400, 800};
	struct world *w = *state;

	w->first->answer = -ENOBUFS;
	make_sync(w);
	pass(w, 2 * SEC);
	assert_int_equal(w->first->n_notes, 7);
	for (size_t i = 0; i < N_ELEMENTS(pauses_ms); i++)
		assert_int_equal(w->first->notes[i + 1].at_us - w->first->notes[i].at_us,
				 pauses_ms[i] * MS);
	assert_int_equal(sync_stats(w->sync).n_failures, 7);
	assert_int_equal(w->second->n_notes, 0);
	w->first->answer = 0;
	pass(w, 60 * SEC);
	assert_int_equal(w->first->n_notes, 8); /* and no more */
	assert_int_equal(w->second->n_notes, 1);
}

static void a_change_does_not_shorten_the_pause_after_a_failure(void **state)
{
	struct world *w = *state;

	w->first->answer = -ENOBUFS;
	make_sync(w);
	pass(w, SEC);
	assert_int_equal(w->first->n_notes,
			 6); /* the next is due 800 ms after the last */
	change(w, "a", 1);
	pass(w, 200 * MS);
	assert_int_equal(w->first->n_notes, 6);
	w->first->answer = 0;
	pass(w, SEC);
	assert_note(w->first, 6, true, 1);
}

/* Ten minutes of a conntrack that fails, with a change every 10 s. */
static void a_sink_that_is_not_vital_delays_no_other(void **state)
{
	struct world *w = *state;
	struct sync_stats stats;
	uint64_t changed_us;

	start(w);
	w->second->answer = -EBUSY;
	for (int i = 0; i < 60; i++) {
		changed_us = w->now_us;
		change(w, "a", i + 1);
		pass(w, 10 * SEC);
		assert_in_range(last_of(w->first)->at_us, changed_us,
				changed_us + 50 * MS);
		assert_false(last_of(w->first)->full);
		assert_in_range(last_of(w->third)->at_us, changed_us,
				changed_us + 50 * MS);
		assert_false(last_of(w->third)->full);
		stats = sync_stats(w->sync);
		assert_int_equal(stats.oldest_queued_us[FAMILY_IPV4], 0);
		assert_int_equal(stats.n_failures, 0);
	}
	assert_int_equal(w->first->n_notes, 61);
	assert_in_range(w->second->n_notes, 20, 80); /* 15 s to 30 s apart, in the end */
	assert_true(state_of(w, 1)->is_stale);
	assert_int_equal(state_of(w, 1)->n_failures, w->second->n_notes - 1);
	w->second->answer = 0;
	pass(w, 30 * SEC);
	assert_true(last_of(w->second)->full);
	assert_false(state_of(w, 1)->is_stale);
}

static void a_failure_is_logged_once_and_so_is_its_end(void **state)
{
	struct world *w = *state;
	const char *log;

	start(w);
	w->second->answer = -EBUSY;
	capture_start();
	change(w, "a", 1);
	pass(w, 600 * SEC);
	w->second->answer = 0;
	pass(w, 30 * SEC);
	log = capture_end();
	assert_int_equal(capture_count(log, "tape: could not apply changes: Device or "
					    "resource busy; retrying"),
			 1);
	assert_int_equal(capture_count(log, "tape: up to date again after "), 1);
}

static void a_refused_service_leaves_the_other_changes_deltas(void **state)
{
	struct world *w = *state;
	size_t n;

	put_service(w, "a", 1);
	put_service(w, "bad", 2);
	w->first->refuses = "bad";
	make_sync(w);
	pass(w, 0);
	assert_note(w->first, 0, true, 2);
	assert_note(w->second, 0, true, 2); /* refusals hold nothing back */
	assert_int_equal(refused_n(&state_of(w, 0)->refused), 1);
	n = w->first->n_notes;
	change(w, "a", 3);
	pass(w, 20 * MS);
	assert_int_equal(w->first->n_notes, n + 1);
	assert_note(w->first, n, false, 1);
	assert_true(last_of(w->first)->has_old);
	pass(w, 600 * SEC);
	for (size_t i = n; i < w->first->n_notes; i++)
		assert_note(w->first, i, false, 1);
	assert_int_equal(state_of(w, 0)->n_refused, 1);
	assert_int_equal(sync_stats(w->sync).n_failures, 0);
}

static void a_refused_service_is_retried_as_one_that_the_sink_does_not_hold(void **state)
{
	struct world *w = *state;
	size_t n;

	put_service(w, "bad", 1);
	w->first->refuses = "bad";
	make_sync(w);
	pass(w, SEC);
	n = w->first->n_notes;
	change(w, "bad", 2); /* the state has an old value, the sink has none */
	pass(w, 0);
	assert_note(w->first, n, false, 1);
	assert_false(last_of(w->first)->has_old);
	w->first->refuses = NULL;
	pass(w, 60 * SEC);
	assert_false(last_of(w->first)->full);
	assert_false(last_of(w->first)->has_old);
	assert_int_equal(refused_n(&state_of(w, 0)->refused), 0);
	n = w->first->n_notes;
	change(w, "bad", 3); /* now it holds the value before */
	pass(w, 60 * SEC);
	assert_int_equal(w->first->n_notes, n + 1);
	assert_true(last_of(w->first)->has_old);
}

static void a_service_refused_in_a_delta_is_checked_by_a_full_change_set(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	start(w);
	w->first->refuses = "bad";
	change(w, "bad", 2);
	pass(w, 0);
	assert_note(w->first, 1, false, 1);
	assert_note(w->first, 2, true, 2);
	assert_int_equal(w->first->n_notes, 3);
	(void)cluster_del(w->cluster, OBJECT_SERVICE, "ns", "bad");
	sync_mark(w->sync);
	pass(w, SEC);
	assert_int_equal(refused_n(&state_of(w, 0)->refused), 0);
	assert_int_equal(sync_delay(w->sync), UINT64_MAX);
}

static void a_sink_that_cannot_apply_a_delta_gets_everything_immediately(void **state)
{
	struct world *w = *state;
	const char *log;

	put_service(w, "a", 1);
	start(w);
	capture_start();
	w->first->answer = -ESTALE;
	change(w, "b", 2);
	(void)sync_run(w->sync); /* a full one may not return it: it is a failure then */
	log = capture_end();
	assert_note(w->first, 1, false, 1);
	assert_note(w->first, 2, true, 2);
	assert_null(strstr(log, strerror(ESTALE)));
	assert_null(strstr(log, strerror(EREMOTEIO)));
}

static void a_lone_change_is_programmed_immediately(void **state)
{
	struct world *w = *state;

	w->config.gather_period_ns = 200 * (long long)MS * NS;
	start(w);
	change(w, "a", 1);
	assert_int_equal(sync_delay(w->sync), 0);
}

static void a_burst_is_gathered(void **state)
{
	struct world *w = *state;

	w->config.gather_period_ns = 500 * (long long)MS * NS;
	make_sync(w);
	pass(w, 0);
	for (int i = 1; i <= 20; i++) {
		change(w, "a", i);
		pass(w, MS);
	}
	assert_int_equal(w->n_ran, 1);
	assert_int_equal(sync_delay(w->sync), 480 * MS);
	pass(w, SEC);
	assert_int_equal(w->n_ran, 2);
	assert_note(w->first, 1, false, 1);
}

static void the_minimum_period_is_kept_when_it_is_set(void **state)
{
	struct world *w = *state;

	w->config.iptables.min_sync_period_ns = 300 * (long long)MS * NS;
	make_sync(w);
	pass(w, 0);
	change(w, "a", 1);
	assert_int_equal(sync_delay(w->sync), 300 * MS);
}

static void another_process_s_change_is_repaired_by_that_sink_alone(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	w->config.iptables.min_sync_period_ns = 5000 * (long long)MS * NS;
	make_sync(w);
	w->first->n_disturbed = 1;
	(void)sync_run(w->sync);
	assert_int_equal(sync_delay(w->sync),
			 0); /* a repair does not wait for the period */
	pass(w, 0);
	assert_note(w->first, 1, true, 1);
	assert_int_equal(w->second->n_notes, 1);
	assert_int_equal(state_of(w, 0)->n_repairs, 1);
	assert_int_equal(sync_stats(w->sync).last.reason, SYNC_REASON_REPAIR);
}

static void a_sink_that_follows_repairs_gets_everything_with_them(void **state)
{
	struct world *w = *state;

	w->second->sink.follows_repair = true;
	start(w);
	w->first->n_disturbed = 1;
	change(w, "a", 1);
	pass(w, SEC);
	assert_int_equal(w->first->n_notes, 3);
	assert_int_equal(w->second->n_notes, 3);
	assert_note(w->second, 2, true, 1);
	assert_int_equal(w->third->n_notes, 2);
}

static void
a_process_that_keeps_changing_rules_is_repaired_less_and_less_often(void **state)
{
	static const uint64_t pauses_ms[] = {0, 0, 10, 20, 40, 80, 160, 320, 640, 1000};
	struct world *w = *state;

	start(w);
	w->first->n_disturbed = N_ELEMENTS(pauses_ms);
	change(w, "a", 1);
	pass(w, 60 * SEC);
	assert_int_equal(w->first->n_notes, 2 + N_ELEMENTS(pauses_ms));
	for (size_t i = 0; i < N_ELEMENTS(pauses_ms); i++)
		assert_int_equal(w->first->notes[i + 2].at_us -
					 w->first->notes[i + 1].at_us,
				 pauses_ms[i] * MS);
	assert_int_equal(state_of(w, 0)->n_repairs, N_ELEMENTS(pauses_ms));
}

static void a_new_service_network_reaches_the_sinks(void **state)
{
	struct world *w = *state;

	put_service(w, "a", 1);
	start(w);
	put(w, "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"ServiceCIDR\","
	       "\"metadata\":{\"name\":\"kubernetes\"},\"spec\":{\"cidrs\":"
	       "[\"10.96.0.0/16\"]}}");
	sync_mark(w->sync);
	pass(w, SEC);
	assert_note(w->first, 1, true, 1);
	assert_int_equal(w->node_info.env.n_service_cidrs, 1);
}

static void a_change_is_pending_until_the_vital_sink_has_it(void **state)
{
	struct world *w = *state;
	struct sync_stats stats;
	uint64_t changed_us;

	start(w);
	w->first->answer = -EIO;
	sync_mark(w->sync);
	pass(w, SEC); /* nothing to apply, nothing fails */
	stats = sync_stats(w->sync);
	assert_int_equal(stats.oldest_queued_us[FAMILY_IPV4], 0);
	changed_us = w->now_us;
	change(w, "a", 1);
	pass(w, 100 * SEC);
	stats = sync_stats(w->sync);
	assert_int_equal(stats.oldest_queued_us[FAMILY_IPV4], changed_us);
	w->first->answer = 0;
	pass(w, 30 * SEC);
	stats = sync_stats(w->sync);
	assert_int_equal(stats.oldest_queued_us[FAMILY_IPV4], 0);
	assert_true(stats.last_updated_us[FAMILY_IPV4] >
		    stats.last_queued_us[FAMILY_IPV4]);
}

/* ---- on a real loop ---- */

/* Turns the loop until this many runs have been; fails after five seconds. */
static void run_until(struct world *w, size_t n_ran)
{
	ev_tstamp end = ev_time() + 5.;

	while (w->n_ran < n_ran) {
		assert_true(ev_time() < end);
		turn_loop(w->loop, .005);
	}
}

static void nothing_runs_before_the_start(void **state)
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

static void an_event_of_a_sink_starts_its_repair(void **state)
{
	struct world *w = *state;
	const uint64_t one = 1;

	make_sync(w);
	sync_start(w->sync);
	run_until(w, 1);
	assert_int_equal(write(w->first->fd, &one, sizeof(one)), sizeof(one));
	run_until(w, 2);
	assert_note(w->first, 1, true, 0);
	assert_int_equal(w->second->n_notes, 1);
}

static void everything_is_compared_periodically(void **state)
{
	struct world *w = *state;

	w->config.audit_period_ns = 50 * (long long)MS * NS;
	w->config.gather_period_ns = 0;
	make_sync(w);
	sync_start(w->sync);
	run_until(w, 3);
	assert_note(w->first, 1, true, 0);
	assert_note(w->second, 1, true, 0);
	assert_int_equal(sync_stats(w->sync).last.reason, SYNC_REASON_AUDIT);
}

#define ON_TAPE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_TAPE(the_first_run_brings_everything_to_every_sink),
		ON_TAPE(without_any_service_the_kernel_is_emptied),
		ON_TAPE(a_later_change_comes_alone),
		ON_TAPE(many_changes_are_planned_in_several_runs_without_a_pause),
		ON_TAPE(a_change_without_a_difference_reaches_no_sink),
		ON_TAPE(sinks_after_one_that_failed_wait_and_then_get_everything),
		ON_TAPE(failures_are_retried_after_growing_pauses),
		ON_TAPE(a_change_does_not_shorten_the_pause_after_a_failure),
		ON_TAPE(a_sink_that_is_not_vital_delays_no_other),
		ON_TAPE(a_failure_is_logged_once_and_so_is_its_end),
		ON_TAPE(a_refused_service_leaves_the_other_changes_deltas),
		ON_TAPE(a_refused_service_is_retried_as_one_that_the_sink_does_not_hold),
		ON_TAPE(a_service_refused_in_a_delta_is_checked_by_a_full_change_set),
		ON_TAPE(a_sink_that_cannot_apply_a_delta_gets_everything_immediately),
		ON_TAPE(a_lone_change_is_programmed_immediately),
		ON_TAPE(a_burst_is_gathered),
		ON_TAPE(the_minimum_period_is_kept_when_it_is_set),
		ON_TAPE(another_process_s_change_is_repaired_by_that_sink_alone),
		ON_TAPE(a_sink_that_follows_repairs_gets_everything_with_them),
		ON_TAPE(a_process_that_keeps_changing_rules_is_repaired_less_and_less_often),
		ON_TAPE(a_new_service_network_reaches_the_sinks),
		ON_TAPE(a_change_is_pending_until_the_vital_sink_has_it),
		ON_TAPE(nothing_runs_before_the_start),
		ON_TAPE(an_event_of_a_sink_starts_its_repair),
		ON_TAPE(everything_is_compared_periodically),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
