/*
 * Claims of a place that another Service has, as the state changes: each is found once.
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/state.h"
#include "proxy/engine/conflict_log.h"
#include "tests/unit/capture.h"
#include "tests/unit/core_samples.h"

#define MANY 1500

struct rig {
	struct state *state;
	struct conflict_log log;
	struct buf found; /* the names of the Services that wait, each with a blank */
	unsigned n_found;
};

static void on_found(void *data, const struct state_conflict *conflict)
{
	struct rig *r = data;

	r->n_found++;
	buf_printf(&r->found, "%s ", service_name(conflict->waiting));
}

static int set_up(void **state)
{
	static struct rig r;

	r = (struct rig){.state = state_new()};
	r.log.found = on_found;
	r.log.data = &r;
	*state = &r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;

	conflict_log_fini(&r->log);
	state_free(r->state);
	buf_fini(&r->found);
	return 0;
}

/* frontends: NULL: the Service is removed */
static void put(struct rig *r, const char *name, const char *frontends)
{
	struct service *s = frontends ? sample_service(name, "", frontends, "") : NULL;
	struct state_taken taken;

	state_replace(r->state, "default", name, &s, frontends ? 1 : 0); /* takes s */
	taken = state_take(r->state, false);
	state_taken_fini(&taken);
}

/* An update finds these, and logs so many lines with this text. */
static void expect(struct rig *r, const char *names, unsigned n_lines, const char *text)
{
	const char *log;

	buf_clear(&r->found);
	capture_start();
	conflict_log_update(&r->log, r->state);
	log = capture_end();
	if (strcmp(buf_string(&r->found), names) != 0)
		fail_msg("found \"%s\", not \"%s\"", buf_string(&r->found), names);
	if ((unsigned)capture_count(log, text) != n_lines)
		fail_msg("not %u lines with \"%s\": %s", n_lines, text, log);
}

static void a_claim_is_found_once(void **state)
{
	struct rig *r = *state;

	put(r, "a", "10.0.0.1:80");
	expect(r, "", 0, "claimed");
	put(r, "b", "10.0.0.1:80");
	expect(r, "b ", 1, "10.0.0.1:80/TCP is claimed by default/a and default/b; ");
	put(r, "c", "10.0.0.2:80");
	expect(r, "", 0, "claimed");
	put(r, "b", "10.0.0.3:80");
	expect(r, "", 1, "is claimed by two Services any more");
	put(r, "b", "10.0.0.4:80");
	expect(r, "", 0, "claimed");
}

static void a_claim_that_replaces_another_one_is_found(void **state)
{
	struct rig *r = *state;

	put(r, "a", "10.0.0.1:80 10.0.0.2:80");
	put(r, "b", "10.0.0.1:80");
	expect(r, "b ", 1, "10.0.0.1:80/TCP is claimed by ");
	put(r, "b", "10.0.0.2:80");
	expect(r, "b ", 1, "10.0.0.2:80/TCP is claimed by ");
	put(r, "b", NULL);
	put(r, "c", "10.0.0.1:80");
	expect(r, "c ", 1, "default/a and default/c; ");
}

static void the_last_of_many_claims_is_found(void **state)
{
	struct rig *r = *state;
	char name[16], frontend[32];

	for (unsigned i = 0; i < 2 * MANY; i++) {
		(void)snprintf(name, sizeof(name), "s%04u", i);
		(void)snprintf(frontend, sizeof(frontend), "10.0.%u.%u:80",
			       i % MANY / 200, i % MANY % 200 + 1);
		put(r, name, frontend);
	}
	capture_start();
	conflict_log_update(&r->log, r->state);
	(void)capture_end();
	assert_int_equal(r->n_found, MANY);
	put(r, "x", "10.0.7.100:80");
	expect(r, "x ", 1, "is claimed by default/s1499 and default/x; ");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(a_claim_is_found_once),
		TEST(a_claim_that_replaces_another_one_is_found),
		TEST(the_last_of_many_claims_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
