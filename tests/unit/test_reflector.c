/*
 * The reflector gets the answers of a server, and must return the right request next.
 */
#include "tests/test.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "watchers/kube/reflector.h"

#define SEC 1000000ull

static struct watch_event make_event(enum watch_event_type type, const char *version)
{
	struct watch_event event = {.type = type};

	strcpy(event.resource_version, version);
	return event;
}

static struct watch_event make_end(const char *version)
{
	struct watch_event event = make_event(WATCH_BOOKMARK, version);

	event.is_initial_end = true;
	return event;
}

static struct watch_event make_error(int code, const char *reason)
{
	struct watch_event event = {.type = WATCH_ERROR, .status_code = code};

	strcpy(event.reason, reason);
	return event;
}

static void expect_request(struct reflector *r, uint64_t now_us, enum reflector_verb verb,
			   const char *version, const char *token, uint32_t limit)
{
	struct reflector_request request = reflector_open(r, now_us, 7);

	assert_int_equal(request.verb, verb);
	assert_string_equal(request.resource_version, version);
	assert_string_equal(request.continue_token, token);
	assert_int_equal(request.limit, limit);
	assert_in_range(request.timeout_sec, 300, 599);
}

/* Brings it to a watch at version "100" at time 10 s. */
static void sync_it(struct reflector *r)
{
	struct watch_event end = make_end("100");

	reflector_init(r);
	expect_request(r, 10 * SEC, REFLECTOR_WATCHLIST, "", "", 0);
	assert_int_equal(reflector_event(r, &end, 10 * SEC), REFLECTOR_END_REPLACE);
}

static void initial_objects_are_streamed_and_then_watched(void **state)
{
	struct watch_event added = make_event(WATCH_ADDED, "50");
	struct watch_event mark = make_event(WATCH_BOOKMARK, "120");
	struct watch_event end = make_end("100");
	struct object object = {0};
	struct reflector r;

	(void)state;
	reflector_init(&r);
	expect_request(&r, 0, REFLECTOR_WATCHLIST, "", "", 0);
	added.object = &object;
	assert_int_equal(reflector_event(&r, &added, 1), REFLECTOR_PUT);
	assert_string_equal(r.resource_version, ""); /* not from a synthetic ADDED */
	assert_false(r.has_synced);
	assert_int_equal(reflector_event(&r, &end, 2), REFLECTOR_END_REPLACE);
	assert_true(r.has_synced);
	assert_int_equal(reflector_event(&r, &mark, 3), REFLECTOR_NOTHING);
	reflector_closed(&r, 0, 400 * SEC, 7);
	assert_int_equal(reflector_wait(&r, 400 * SEC), 0);
	expect_request(&r, 400 * SEC, REFLECTOR_WATCH, "120", "", 0);
	reflector_fini(&r);
}

static void a_server_without_streaming_is_listed_in_pages(void **state)
{
	struct reflector r;

	(void)state;
	reflector_init(&r);
	expect_request(&r, 0, REFLECTOR_WATCHLIST, "", "", 0);
	reflector_refused(&r, 422, NULL, 0, 1, 7);
	reflector_closed(&r, 0, 1, 7);
	assert_int_equal(reflector_wait(&r, 1), 0);
	expect_request(&r, 2, REFLECTOR_LIST, "0", "", 500);
	assert_int_equal(reflector_page(&r, "9", "more"), REFLECTOR_NOTHING);
	reflector_closed(&r, 0, 3, 7);
	expect_request(&r, 4, REFLECTOR_LIST, "", "more", 500);
	assert_int_equal(reflector_page(&r, "9", ""), REFLECTOR_END_REPLACE);
	reflector_closed(&r, 0, 5, 7);
	assert_int_equal(reflector_wait(&r, 5), 0);
	expect_request(&r, 6, REFLECTOR_WATCH, "9", "", 0);
	reflector_fini(&r);
}

/* The answer of an API server whose etcd is older than 3.4.31. */
static void a_storage_that_cannot_stream_lists_is_listed_immediately(void **state)
{
	struct watch_event error = make_error(500, "InternalError");
	struct reflector r;

	(void)state;
	reflector_init(&r);
	expect_request(&r, 0, REFLECTOR_WATCHLIST, "", "", 0);
	assert_int_equal(reflector_event(&r, &error, 1), REFLECTOR_GIVE_UP);
	reflector_closed(&r, -ECANCELED, 1, 7);
	assert_int_equal(reflector_wait(&r, 1), 0);
	expect_request(&r, 2, REFLECTOR_LIST, "0", "", 500);
	reflector_fini(&r);
}

static void a_list_cut_short_is_asked_again_later(void **state)
{
	struct reflector r;

	(void)state;
	reflector_init(&r);
	r.wants_list = true;
	r.verb = REFLECTOR_LIST;
	expect_request(&r, 0, REFLECTOR_LIST, "0", "", 500);
	assert_int_equal(reflector_page(&r, "9", "more"), REFLECTOR_NOTHING);
	reflector_closed(&r, 0, 1, 7);
	expect_request(&r, 2, REFLECTOR_LIST, "", "more", 500);
	reflector_closed(&r, 0, 3, 7); /* no page came */
	assert_true(reflector_wait(&r, 3) >= 800000);
	expect_request(&r, 4 * SEC, REFLECTOR_LIST, "0", "", 500);
	reflector_fini(&r);
}

static void an_expired_version_is_listed_again_immediately(void **state)
{
	static const struct {
		int code;
		const char *reason;
	} cases[] = {{410, "Expired"}, {410, "Gone"}, {0, "Expired"}};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct watch_event error = make_error(cases[i].code, cases[i].reason);
		struct reflector r;

		sync_it(&r);
		assert_int_equal(reflector_event(&r, &error, 60 * SEC),
				 REFLECTOR_GIVE_UP);
		reflector_closed(&r, -ECANCELED, 60 * SEC, 7);
		assert_int_equal(reflector_wait(&r, 60 * SEC), 0);
		expect_request(&r, 60 * SEC, REFLECTOR_WATCHLIST, "", "", 0);
		assert_int_equal(r.n_restarts, 1);
		reflector_fini(&r);
	}
}

static void
a_version_expired_by_status_is_listed_again_once_and_then_delayed(void **state)
{
	struct reflector r;

	(void)state;
	sync_it(&r);
	reflector_closed(&r, 0, 60 * SEC, 7);
	expect_request(&r, 60 * SEC, REFLECTOR_WATCH, "100", "", 0);
	reflector_refused(&r, 410, NULL, 0, 61 * SEC, 7);
	reflector_closed(&r, 0, 61 * SEC, 7);
	assert_int_equal(reflector_wait(&r, 61 * SEC), 0);
	expect_request(&r, 61 * SEC, REFLECTOR_WATCHLIST, "", "", 0);
	reflector_refused(&r, 410, NULL, 0, 62 * SEC, 7);
	assert_true(reflector_wait(&r, 62 * SEC) > 0);
	reflector_fini(&r);
}

/* Fails eight times in the given way; the delays grow up to max_us. */
static uint64_t fail_often(struct reflector *r, bool is_answered, uint64_t max_us)
{
	uint64_t now_us = 60 * SEC, last_us = 0;

	sync_it(r);
	reflector_heard(r);
	reflector_closed(r, 0, now_us, 0);
	for (int i = 0; i < 8; i++) {
		expect_request(r, now_us, REFLECTOR_WATCH, "100", "", 0);
		if (is_answered) {
			reflector_heard(r);
			reflector_refused(r, 503, NULL, 0, now_us, 0);
		}
		reflector_closed(r, is_answered ? 0 : -ECONNREFUSED, now_us, 0);
		assert_true(reflector_wait(r, now_us) >= last_us);
		last_us = reflector_wait(r, now_us);
		assert_in_range(last_us, 800000, max_us);
		now_us += last_us;
	}
	assert_int_equal(last_us, max_us);
	return now_us;
}

static void each_failure_waits_longer_and_keeps_the_version(void **state)
{
	static const struct {
		bool is_answered;
		uint64_t max_us;
	} cases[] = {{true, 30 * SEC}, {false, 10 * SEC}};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct reflector r;
		uint64_t now_us = fail_often(&r, cases[i].is_answered, cases[i].max_us);

		/* Two quiet minutes, and it starts with a short wait again. */
		expect_request(&r, now_us, REFLECTOR_WATCH, "100", "", 0);
		now_us += 200 * SEC;
		reflector_closed(&r, -ECONNREFUSED, now_us, 0);
		assert_int_equal(reflector_wait(&r, now_us), 800000);
		reflector_fini(&r);
	}
}

/* An API server that has just come back says 401, 403 and 503 until it knows its own. */
static void a_refusal_after_an_outage_is_retried_soon(void **state)
{
	struct reflector r;
	uint64_t now_us;

	(void)state;
	now_us = fail_often(&r, false, 10 * SEC);
	expect_request(&r, now_us, REFLECTOR_WATCH, "100", "", 0);
	reflector_heard(&r);
	reflector_refused(&r, 503, NULL, 0, now_us, 0);
	reflector_closed(&r, 0, now_us, 0);
	assert_int_equal(reflector_wait(&r, now_us), 800000);
	reflector_fini(&r);
}

static void a_busy_server_is_not_asked_before_retry_after(void **state)
{
	struct watch_event error = make_error(429, "TooManyRequests");
	struct reflector r;

	(void)state;
	sync_it(&r);
	reflector_closed(&r, 0, 60 * SEC, 0);
	expect_request(&r, 60 * SEC, REFLECTOR_WATCH, "100", "", 0);
	reflector_refused(&r, 429, NULL, 17, 60 * SEC, 0);
	reflector_closed(&r, 0, 60 * SEC, 0);
	assert_int_equal(reflector_wait(&r, 60 * SEC), 17 * SEC);
	expect_request(&r, 77 * SEC, REFLECTOR_WATCH, "100", "", 0);
	/* An absurd number doesn't stop requests forever. */
	reflector_refused(&r, 503, NULL, 4000000000u, 77 * SEC, 0);
	assert_int_equal(reflector_wait(&r, 77 * SEC), 300 * SEC);
	reflector_fini(&r);
	/* It may say so inside of a watch, too. */
	sync_it(&r);
	error.retry_after_sec = 17;
	assert_int_equal(reflector_event(&r, &error, 60 * SEC), REFLECTOR_GIVE_UP);
	assert_int_equal(reflector_wait(&r, 60 * SEC), 17 * SEC);
	reflector_fini(&r);
}

static void an_expired_version_after_an_outage_is_listed_without_delay(void **state)
{
	struct watch_event error = make_error(410, "Expired");
	struct reflector r;

	(void)state;
	sync_it(&r);
	reflector_closed(&r, 0, 60 * SEC, 0);
	expect_request(&r, 60 * SEC, REFLECTOR_WATCH, "100", "", 0);
	reflector_closed(&r, -ECONNREFUSED, 60 * SEC, 0);
	expect_request(&r, 61 * SEC, REFLECTOR_WATCH, "100", "", 0);
	assert_int_equal(reflector_event(&r, &error, 61 * SEC), REFLECTOR_GIVE_UP);
	reflector_closed(&r, 0, 61 * SEC, 0);
	assert_int_equal(reflector_wait(&r, 61 * SEC), 0);
	/* If the newest version has expired too, an immediate request is useless. */
	expect_request(&r, 61 * SEC, REFLECTOR_WATCHLIST, "", "", 0);
	assert_int_equal(reflector_event(&r, &error, 61 * SEC), REFLECTOR_GIVE_UP);
	assert_true(reflector_wait(&r, 61 * SEC) > 0);
	reflector_fini(&r);
}

static void a_nudge_ends_the_delay_for_an_unreachable_server(void **state)
{
	struct reflector r;
	uint64_t now_us;

	(void)state;
	now_us = fail_often(&r, false, 10 * SEC) - 10 * SEC;
	reflector_nudge(&r, now_us, 123);
	assert_true(reflector_wait(&r, now_us) <= SEC / 2);
	reflector_nudge(&r, now_us + 30 * SEC, 499999);
	assert_int_equal(reflector_wait(&r, now_us + 30 * SEC), 0);
	reflector_fini(&r);
}

/* Or refused clients would wake each other up for ever. */
static void a_nudge_does_not_shorten_the_delay_after_a_refusal(void **state)
{
	struct reflector r;
	uint64_t now_us;

	(void)state;
	now_us = fail_often(&r, true, 30 * SEC) - 30 * SEC;
	reflector_nudge(&r, now_us, 123);
	assert_int_equal(reflector_wait(&r, now_us), 30 * SEC);
	reflector_retry(&r); /* other credentials are something */
	assert_int_equal(reflector_wait(&r, now_us), 0);
	reflector_fini(&r);
}

static void a_very_short_watch_lists_again(void **state)
{
	struct reflector r;

	(void)state;
	sync_it(&r);
	reflector_closed(&r, 0, 60 * SEC, 0);
	expect_request(&r, 60 * SEC, REFLECTOR_WATCH, "100", "", 0);
	reflector_closed(&r, 0, 60 * SEC + 500000, 0);
	assert_true(reflector_wait(&r, 60 * SEC + 500000) >= 800000);
	expect_request(&r, 62 * SEC, REFLECTOR_WATCHLIST, "100", "", 0);
	reflector_fini(&r);
}

static void a_watch_that_ends_after_one_event_is_not_a_busy_loop(void **state)
{
	struct watch_event mark = make_event(WATCH_BOOKMARK, "101");
	struct reflector r;

	(void)state;
	sync_it(&r);
	reflector_closed(&r, 0, 60 * SEC, 0);
	expect_request(&r, 60 * SEC, REFLECTOR_WATCH, "100", "", 0);
	(void)reflector_event(&r, &mark, 60 * SEC);
	reflector_closed(&r, 0, 60 * SEC + 100, 0);
	assert_true(reflector_wait(&r, 60 * SEC + 100) >= 800000);
	expect_request(&r, 62 * SEC, REFLECTOR_WATCH, "101", "", 0);
	reflector_fini(&r);
}

static void a_bookmark_without_a_version_is_ignored(void **state)
{
	struct watch_event mark = make_event(WATCH_BOOKMARK, "");
	struct watch_event end = make_end("");
	struct reflector r;

	(void)state;
	reflector_init(&r);
	expect_request(&r, 0, REFLECTOR_WATCHLIST, "", "", 0);
	assert_int_equal(reflector_event(&r, &end, 1), REFLECTOR_NOTHING);
	assert_false(r.has_synced);
	reflector_fini(&r);
	sync_it(&r);
	(void)reflector_event(&r, &mark, 60 * SEC);
	assert_string_equal(r.resource_version, "100");
	reflector_fini(&r);
}

static void a_stream_without_an_end_is_listed_and_the_next_one_streams(void **state)
{
	static const int errors[] = {0, -ETIMEDOUT, -ECANCELED, -EBADMSG};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(errors); i++) {
		struct watch_event error = make_error(410, "Expired");
		struct reflector r;

		reflector_init(&r);
		expect_request(&r, 0, REFLECTOR_WATCHLIST, "", "", 0);
		reflector_heard(&r);
		reflector_closed(&r, errors[i], 60 * SEC, 0);
		assert_true(reflector_wait(&r, 60 * SEC) >= 800000);
		expect_request(&r, 62 * SEC, REFLECTOR_LIST, "0", "", 500);
		assert_int_equal(reflector_page(&r, "9", ""), REFLECTOR_END_REPLACE);
		reflector_closed(&r, 0, 63 * SEC, 0);
		expect_request(&r, 63 * SEC, REFLECTOR_WATCH, "9", "", 0);
		assert_int_equal(reflector_event(&r, &error, 99 * SEC),
				 REFLECTOR_GIVE_UP);
		reflector_closed(&r, -ECANCELED, 99 * SEC, 0);
		expect_request(&r, 99 * SEC, REFLECTOR_WATCHLIST, "", "", 0);
		reflector_fini(&r);
	}
}

static void a_forbidden_watch_is_delayed_and_starts_from_scratch(void **state)
{
	struct reflector r;

	(void)state;
	sync_it(&r);
	reflector_closed(&r, 0, 60 * SEC, 0);
	expect_request(&r, 60 * SEC, REFLECTOR_WATCH, "100", "", 0);
	reflector_refused(&r, 403, NULL, 0, 60 * SEC, 0);
	reflector_closed(&r, 0, 60 * SEC, 0);
	assert_true(reflector_wait(&r, 60 * SEC) >= 800000);
	expect_request(&r, 62 * SEC, REFLECTOR_WATCHLIST, "100", "", 0);
	reflector_fini(&r);
}

static void a_rejected_object_counts_as_gone(void **state)
{
	struct watch_event event = make_event(WATCH_MODIFIED, "101");
	struct reflector r;

	(void)state;
	sync_it(&r);
	assert_int_equal(reflector_event(&r, &event, 11 * SEC), REFLECTOR_DEL);
	assert_string_equal(r.resource_version, "101");
	reflector_fini(&r);
}

static void a_stream_of_initial_events_that_breaks_starts_over(void **state)
{
	struct reflector r;

	(void)state;
	reflector_init(&r);
	expect_request(&r, 0, REFLECTOR_WATCHLIST, "", "", 0);
	reflector_closed(&r, -ECONNRESET, 5 * SEC, 0);
	assert_false(r.has_synced);
	assert_true(reflector_wait(&r, 5 * SEC) >= 800000);
	expect_request(&r, 7 * SEC, REFLECTOR_WATCHLIST, "", "", 0);
	reflector_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(initial_objects_are_streamed_and_then_watched),
		cmocka_unit_test(a_server_without_streaming_is_listed_in_pages),
		cmocka_unit_test(
			a_storage_that_cannot_stream_lists_is_listed_immediately),
		cmocka_unit_test(a_list_cut_short_is_asked_again_later),
		cmocka_unit_test(an_expired_version_is_listed_again_immediately),
		cmocka_unit_test(
			a_version_expired_by_status_is_listed_again_once_and_then_delayed),
		cmocka_unit_test(each_failure_waits_longer_and_keeps_the_version),
		cmocka_unit_test(a_refusal_after_an_outage_is_retried_soon),
		cmocka_unit_test(a_busy_server_is_not_asked_before_retry_after),
		cmocka_unit_test(
			an_expired_version_after_an_outage_is_listed_without_delay),
		cmocka_unit_test(a_nudge_ends_the_delay_for_an_unreachable_server),
		cmocka_unit_test(a_nudge_does_not_shorten_the_delay_after_a_refusal),
		cmocka_unit_test(a_watch_that_ends_after_one_event_is_not_a_busy_loop),
		cmocka_unit_test(a_bookmark_without_a_version_is_ignored),
		cmocka_unit_test(
			a_stream_without_an_end_is_listed_and_the_next_one_streams),
		cmocka_unit_test(a_very_short_watch_lists_again),
		cmocka_unit_test(a_forbidden_watch_is_delayed_and_starts_from_scratch),
		cmocka_unit_test(a_rejected_object_counts_as_gone),
		cmocka_unit_test(a_stream_of_initial_events_that_breaks_starts_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
