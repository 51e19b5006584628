/*
 * When the last census starts the next one, and when its numbers are known.
 */
#include "tests/test.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/engine/dataplane.h"
#include "proxy/engine/last_census.h"
#include "tests/short_service.h"
#include "tests/unit/capture.h"
#include "tests/unit/counting_sink.h"

#define SEC 1000000ull

struct world {
	struct ev_loop *loop;
	struct state *state;
	struct environment env;
	struct dataplane dataplane;
	struct counting_sink sink;
	struct last_census *last;
	uint64_t now_us;
};

static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct service *s =
		short_service("web", IPPROTO_TCP, "10.96.0.1:80", "10.0.0.1:80");

	w->loop = ev_loop_new(0);
	w->state = state_new();
	state_replace(w->state, "test", "web", &s, 1); /* takes s */
	counting_sink_init(&w->sink);
	w->sink.busy = "web";
	dataplane_add(&w->dataplane, &w->sink.sink);
	w->last = last_census_new(w->loop, &w->dataplane, w->state, &w->env);
	w->now_us = clock_monotonic_us() + 10 * SEC;
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	last_census_free(w->last);
	state_free(w->state);
	ev_loop_destroy(w->loop);
	free(w);
	return 0;
}

/* -1: not known */
static int numbers_after(struct world *w, uint64_t us)
{
	const struct current *c = last_census_read(w->last, w->now_us += us);
	const struct service *s;
	size_t i = 0;

	if (!c)
		return -1;
	s = state_next(w->state, &i);
	assert_int_equal(current_of(c, s).n, c->all.n);
	assert_int_equal(current_of(c, s).n_bytes[1], c->all.n_bytes[1]);
	assert_int_equal(c->all.n_bytes[1], c->has_bytes ? 2000 * c->all.n : 0);
	return (int)c->all.n;
}

static void a_count_that_needs_no_time_is_known_immediately(void **state)
{
	struct world *w = *state;

	w->sink.n_current = 3;
	assert_int_equal(numbers_after(w, 0), 3);
	w->sink.n_current = 0;
	assert_int_equal(numbers_after(w, 4 * SEC), 3); /* not due */
	assert_int_equal(numbers_after(w, 1 * SEC), 0);
	assert_int_equal(w->sink.n_censuses, 2);
	w->sink.n_current = 3;
	w->sink.has_bytes = true;
	assert_int_equal(numbers_after(w, 5 * SEC), 3);
}

/* It took 2 s, so the next one starts 100 s after it. */
static void the_next_count_waits_for_50_times_the_duration(void **state)
{
	struct world *w = *state;

	w->sink.n_current = 3;
	w->sink.census_step = 1;
	w->now_us = clock_monotonic_us() - 2 * SEC;
	assert_int_equal(numbers_after(w, 0), -1);
	assert_int_equal(numbers_after(w, 10 * SEC), -1); /* and no second one */
	assert_true(last_census_is_pending(w->last, w->now_us));
	w->sink.census_step = 0;
	(void)ev_run(w->loop, 0); /* until it ends */
	assert_false(last_census_is_pending(w->last, w->now_us));
	assert_int_equal(numbers_after(w, 89 * SEC), 3);
	assert_int_equal(w->sink.n_censuses, 1);
	w->sink.n_current = 4;
	assert_int_equal(numbers_after(w, 60 * SEC), 4);
	assert_int_equal(w->sink.n_censuses, 2);
}

static void numbers_that_were_not_read_for_minutes_are_not_shown(void **state)
{
	struct world *w = *state;

	w->sink.n_current = 3;
	assert_int_equal(numbers_after(w, 0), 3);
	w->sink.census_step = 1;
	assert_int_equal(numbers_after(w, 299 * SEC), 3);
	assert_int_equal(numbers_after(w, 7 * SEC), -1);
	assert_int_equal(w->sink.n_censuses, 2);
}

static void a_failure_is_logged_once(void **state)
{
	struct world *w = *state;

	assert_int_equal(numbers_after(w, 0), 0);
	w->sink.census_step = -EPERM;
	capture_start();
	for (int i = 0; i < 3; i++)
		assert_int_equal(numbers_after(w, 5 * SEC), -1);
	assert_false(last_census_is_pending(w->last, w->now_us));
	assert_int_equal(capture_count(capture_end(),
				       "counting: cannot count current connections: "
				       "Operation not permitted\n"),
			 1);
	w->sink.census_step = 0;
	assert_int_equal(numbers_after(w, 5 * SEC), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(a_count_that_needs_no_time_is_known_immediately),
		TEST(the_next_count_waits_for_50_times_the_duration),
		TEST(numbers_that_were_not_read_for_minutes_are_not_shown),
		TEST(a_failure_is_logged_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
