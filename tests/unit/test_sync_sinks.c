/*
 * The change sets of each sink when one fails, refuses a service, or is changed by
 * another process: a vital sink, and two that come after it.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/unit/capture.h"
#include "tests/unit/sync_world.h"
#include "tests/unit/turn_loop.h"

static void sinks_after_one_that_failed_wait_and_then_get_everything(void **state)
{
	struct sync_world *w = *state;

	sync_world_put(w, "a", 1);
	sync_world_start(w);
	w->first->answer = -ENOBUFS;
	sync_world_change(w, "b", 2);
	sync_world_pass(w, 0);
	tape_expect(w->first, 1, false, 1);
	assert_int_equal(w->second->n_notes, 1);
	w->first->answer = 0;
	sync_world_pass(w, SEC);
	tape_expect(w->first, 2, true, 2);
	tape_expect(w->second, 1, true, 2);
	tape_expect(w->third, 1, true, 2);
}

static void failures_are_retried_after_growing_pauses(void **state)
{
	static const uint64_t pauses_ms[] = {25, 50, 100, 200, 400, 800};
	struct sync_world *w = *state;

	w->first->answer = -ENOBUFS;
	sync_world_make(w);
	sync_world_pass(w, 2 * SEC);
	assert_int_equal(w->first->n_notes, 7);
	for (size_t i = 0; i < N_ELEMENTS(pauses_ms); i++)
		assert_int_equal(w->first->notes[i + 1].at_us - w->first->notes[i].at_us,
				 pauses_ms[i] * MS);
	assert_int_equal(sync_stats(w->sync).n_failures, 7);
	assert_int_equal(w->second->n_notes, 0);
	w->first->answer = 0;
	sync_world_pass(w, 60 * SEC);
	assert_int_equal(w->first->n_notes, 8); /* and no more */
	assert_int_equal(w->second->n_notes, 1);
}

static void a_change_does_not_shorten_the_pause_after_a_failure(void **state)
{
	struct sync_world *w = *state;

	w->first->answer = -ENOBUFS;
	sync_world_make(w);
	sync_world_pass(w, SEC);
	assert_int_equal(w->first->n_notes,
			 6); /* the next is due 800 ms after the last */
	sync_world_change(w, "a", 1);
	sync_world_pass(w, 200 * MS);
	assert_int_equal(w->first->n_notes, 6);
	w->first->answer = 0;
	sync_world_pass(w, SEC);
	tape_expect(w->first, 6, true, 1);
}

/* Ten minutes of a conntrack that fails, with a change every 10 s. */
static void a_sink_that_is_not_vital_delays_no_other(void **state)
{
	struct sync_world *w = *state;
	struct sync_stats stats;
	uint64_t changed_us;

	sync_world_start(w);
	w->second->answer = -EBUSY;
	for (int i = 0; i < 60; i++) {
		changed_us = w->now_us;
		sync_world_change(w, "a", i + 1);
		sync_world_pass(w, 10 * SEC);
		assert_in_range(tape_last(w->first)->at_us, changed_us,
				changed_us + 50 * MS);
		assert_false(tape_last(w->first)->full);
		assert_in_range(tape_last(w->third)->at_us, changed_us,
				changed_us + 50 * MS);
		assert_false(tape_last(w->third)->full);
		stats = sync_stats(w->sync);
		assert_int_equal(stats.waits_since_us[FAMILY_IPV4], 0);
		assert_int_equal(stats.n_failures, 0);
	}
	assert_int_equal(w->first->n_notes, 61);
	assert_in_range(w->second->n_notes, 20, 80); /* 15 s to 30 s apart, in the end */
	assert_true(sync_world_state(w, 1)->is_stale);
	assert_int_equal(sync_world_state(w, 1)->n_failures, w->second->n_notes - 1);
	w->second->answer = 0;
	sync_world_pass(w, 30 * SEC);
	assert_true(tape_last(w->second)->full);
	assert_false(sync_world_state(w, 1)->is_stale);
}

static void a_failure_is_logged_once_and_so_is_its_end(void **state)
{
	struct sync_world *w = *state;
	const char *log;

	sync_world_start(w);
	w->second->answer = -EBUSY;
	capture_start();
	sync_world_change(w, "a", 1);
	sync_world_pass(w, 600 * SEC);
	w->second->answer = 0;
	sync_world_pass(w, 30 * SEC);
	log = capture_end();
	assert_int_equal(capture_count(log, "tape: could not apply changes: Device or "
					    "resource busy; retrying"),
			 1);
	assert_int_equal(capture_count(log, "tape: up to date again after "), 1);
}

/* The sink does its work, with this result. */
static void work(struct sync_world *w, struct tape *tape, int answer)
{
	const uint64_t one = 1;

	tape->work_answer = answer;
	assert_int_equal(write(tape->work_fd, &one, sizeof(one)), sizeof(one));
	sync_finish(w->sync);
}

static void work_that_fails_is_retried_after_growing_pauses(void **state)
{
	static const uint64_t pauses_ms[] = {25, 50, 100, 200};
	struct sync_world *w = *state;
	struct tape *tape = w->second;
	const char *log;

	sync_world_start(w);
	tape->answer = -EINPROGRESS;
	capture_start();
	sync_world_change(w, "a", 1);
	sync_world_pass(w, 0);
	tape_expect(tape, 1, false, 1);
	for (size_t i = 0; i < N_ELEMENTS(pauses_ms); i++) {
		sync_world_pass(w, 10 * SEC); /* nothing is due while it works */
		assert_int_equal(tape->n_notes, 2 + i);
		work(w, tape, -EBUSY);
		sync_world_pass(w, pauses_ms[i] * MS - 1);
		assert_int_equal(tape->n_notes, 2 + i);
		sync_world_pass(w, 1);
		tape_expect(tape, 2 + i, true, 1);
	}
	assert_int_equal(sync_world_state(w, 1)->n_failures, N_ELEMENTS(pauses_ms));
	work(w, tape, 0);
	log = capture_end();
	assert_int_equal(capture_count(log, "tape: could not apply changes: Device or "
					    "resource busy; retrying"),
			 1);
	assert_int_equal(capture_count(log, "tape: up to date again after "), 1);
	assert_int_equal(w->first->n_notes, 2);
	sync_world_change(w, "b", 2);
	sync_world_pass(w, SEC);
	tape_expect(tape, 2 + N_ELEMENTS(pauses_ms), false, 1);
	work(w, tape, 0);
}

static void a_refused_service_leaves_the_other_changes_deltas(void **state)
{
	struct sync_world *w = *state;
	size_t n;

	sync_world_put(w, "a", 1);
	sync_world_put(w, "bad", 2);
	w->first->refuses = "bad";
	sync_world_make(w);
	sync_world_pass(w, 0);
	tape_expect(w->first, 0, true, 2);
	tape_expect(w->second, 0, true, 2); /* refusals hold nothing back */
	assert_int_equal(refused_n(&sync_world_state(w, 0)->refused), 1);
	n = w->first->n_notes;
	sync_world_change(w, "a", 3);
	sync_world_pass(w, 20 * MS);
	assert_int_equal(w->first->n_notes, n + 1);
	tape_expect(w->first, n, false, 1);
	assert_true(tape_last(w->first)->has_old);
	sync_world_pass(w, 600 * SEC);
	for (size_t i = n; i < w->first->n_notes; i++)
		tape_expect(w->first, i, false, 1);
	assert_int_equal(sync_world_state(w, 0)->n_refused, 1);
	assert_int_equal(sync_stats(w->sync).n_failures, 0);
	assert_string_equal(buf_string(&w->refused), "bad: add x: File exists;");
	w->first->refuses = NULL; /* accepted in a full change set */
	w->first->answer = -ENOBUFS;
	sync_world_change(w, "a", 4);
	sync_world_pass(w, SEC);
	w->first->answer = 0;
	sync_world_pass(w, 60 * SEC);
	assert_string_equal(buf_string(&w->refused),
			    "bad: add x: File exists;bad served;");
}

static void a_refused_service_is_retried_as_one_that_the_sink_does_not_hold(void **state)
{
	struct sync_world *w = *state;
	size_t n;

	sync_world_put(w, "bad", 1);
	w->first->refuses = "bad";
	sync_world_make(w);
	sync_world_pass(w, SEC);
	n = w->first->n_notes;
	sync_world_change(w, "bad",
			  2); /* the state has an old value, the sink has none */
	sync_world_pass(w, 0);
	tape_expect(w->first, n, false, 1);
	assert_false(tape_last(w->first)->has_old);
	w->first->refuses = NULL;
	sync_world_pass(w, 60 * SEC);
	assert_false(tape_last(w->first)->full);
	assert_false(tape_last(w->first)->has_old);
	assert_int_equal(refused_n(&sync_world_state(w, 0)->refused), 0);
	assert_string_equal(buf_string(&w->refused),
			    "bad: add x: File exists;bad served;");
	n = w->first->n_notes;
	sync_world_change(w, "bad", 3); /* now it holds the value before */
	sync_world_pass(w, 60 * SEC);
	assert_int_equal(w->first->n_notes, n + 1);
	assert_true(tape_last(w->first)->has_old);
}

static void a_service_refused_in_a_delta_is_checked_by_a_full_change_set(void **state)
{
	struct sync_world *w = *state;

	sync_world_put(w, "a", 1);
	sync_world_start(w);
	w->first->refuses = "bad";
	sync_world_change(w, "bad", 2);
	sync_world_pass(w, 0);
	tape_expect(w->first, 1, false, 1);
	tape_expect(w->first, 2, true, 2);
	assert_int_equal(w->first->n_notes, 3);
	sync_world_del(w, "bad");
	sync_mark(w->sync);
	sync_world_pass(w, SEC);
	assert_int_equal(refused_n(&sync_world_state(w, 0)->refused), 0);
	assert_string_equal(buf_string(&w->refused), "bad: add x: File exists;");
	assert_int_equal(sync_delay(w->sync), UINT64_MAX);
}

static void a_sink_that_cannot_apply_a_delta_gets_everything_immediately(void **state)
{
	struct sync_world *w = *state;
	const char *log;

	sync_world_put(w, "a", 1);
	sync_world_start(w);
	capture_start();
	w->first->answer = -ESTALE;
	sync_world_change(w, "b", 2);
	(void)sync_run(w->sync); /* a full one may not return it: it is a failure then */
	log = capture_end();
	tape_expect(w->first, 1, false, 1);
	tape_expect(w->first, 2, true, 2);
	assert_null(strstr(log, strerror(ESTALE)));
	assert_null(strstr(log, strerror(EREMOTEIO)));
}

static void another_process_s_change_is_repaired_by_that_sink_alone(void **state)
{
	struct sync_world *w = *state;

	sync_world_put(w, "a", 1);
	w->config.iptables.min_sync_period_ns = 5000 * (long long)MS * NS;
	sync_world_make(w);
	w->first->n_disturbed = 1;
	(void)sync_run(w->sync);
	assert_int_equal(sync_delay(w->sync),
			 0); /* a repair does not wait for the period */
	sync_world_pass(w, 0);
	tape_expect(w->first, 1, true, 1);
	assert_int_equal(w->second->n_notes, 1);
	assert_int_equal(sync_world_state(w, 0)->n_repairs, 1);
	assert_int_equal(sync_stats(w->sync).last.reason, SYNC_REASON_REPAIR);
}

static void a_sink_that_follows_repairs_gets_everything_with_them(void **state)
{
	struct sync_world *w = *state;

	w->second->sink.follows_repair = true;
	sync_world_start(w);
	w->first->n_disturbed = 1;
	sync_world_change(w, "a", 1);
	sync_world_pass(w, SEC);
	assert_int_equal(w->first->n_notes, 3);
	assert_int_equal(w->second->n_notes, 3);
	tape_expect(w->second, 2, true, 1);
	assert_int_equal(w->third->n_notes, 2);
}

static void
a_process_that_keeps_changing_rules_is_repaired_less_and_less_often(void **state)
{
	static const uint64_t pauses_ms[] = {0, 0, 10, 20, 40, 80, 160, 320, 640, 1000};
	struct sync_world *w = *state;

	sync_world_start(w);
	w->first->n_disturbed = N_ELEMENTS(pauses_ms);
	sync_world_change(w, "a", 1);
	sync_world_pass(w, 60 * SEC);
	assert_int_equal(w->first->n_notes, 2 + N_ELEMENTS(pauses_ms));
	for (size_t i = 0; i < N_ELEMENTS(pauses_ms); i++)
		assert_int_equal(w->first->notes[i + 2].at_us -
					 w->first->notes[i + 1].at_us,
				 pauses_ms[i] * MS);
	assert_int_equal(sync_world_state(w, 0)->n_repairs, N_ELEMENTS(pauses_ms));
}

static void lines_about_repairs_are_few_and_have_their_number(void **state)
{
	struct sync_world *w = *state;
	const char *log;

	sync_world_start(w);
	w->first->n_disturbed = 10;
	capture_start();
	sync_world_change(w, "a", 1);
	sync_world_pass(w, 61 * SEC);
	log = capture_end();
	assert_int_equal(capture_count(log, "checked and restored in"), 5);
	assert_int_equal(capture_count(log, "keeps changing"), 0);
	w->first->n_disturbed = 1;
	capture_start();
	sync_world_change(w, "b", 1);
	sync_world_pass(w, SEC);
	log = capture_end();
	assert_int_equal(capture_count(log, "checked and restored 6 times since"), 1);
	assert_int_equal(sync_world_state(w, 0)->n_repairs, 11);
	assert_int_equal(w->n_repaired, 11); /* each is reported */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SYNC_TEST(sinks_after_one_that_failed_wait_and_then_get_everything),
		SYNC_TEST(failures_are_retried_after_growing_pauses),
		SYNC_TEST(a_change_does_not_shorten_the_pause_after_a_failure),
		SYNC_TEST(a_sink_that_is_not_vital_delays_no_other),
		SYNC_TEST(a_failure_is_logged_once_and_so_is_its_end),
		SYNC_TEST(work_that_fails_is_retried_after_growing_pauses),
		SYNC_TEST(a_refused_service_leaves_the_other_changes_deltas),
		SYNC_TEST(
			a_refused_service_is_retried_as_one_that_the_sink_does_not_hold),
		SYNC_TEST(a_service_refused_in_a_delta_is_checked_by_a_full_change_set),
		SYNC_TEST(a_sink_that_cannot_apply_a_delta_gets_everything_immediately),
		SYNC_TEST(another_process_s_change_is_repaired_by_that_sink_alone),
		SYNC_TEST(a_sink_that_follows_repairs_gets_everything_with_them),
		SYNC_TEST(lines_about_repairs_are_few_and_have_their_number),
		SYNC_TEST(
			a_process_that_keeps_changing_rules_is_repaired_less_and_less_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
