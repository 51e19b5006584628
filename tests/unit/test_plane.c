/*
 * A data plane that only this test knows: it is probed, opened, fails, recovers,
 * is compared, counted and shown in /metrics.
 */
#include "tests/test.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/config/config.h"
#include "proxy/control/control.h"
#include "proxy/control/inspect.h"
#include "proxy/engine/counts.h"
#include "proxy/engine/planes.h"
#include "proxy/engine/sync.h"
#include "proxy/host/node_info.h"
#include "proxy/http/metrics.h"
#include "tests/unit/capture.h"
#include "tests/unit/cluster_text.h"
#include "tests/unit/toy_plane.h"
#include "tests/unit/world.h"
#include "watchers/cluster.h"

struct plane_world {
	struct world base;
	struct config config;
	struct cluster *cluster;
	struct node_info node_info;
	struct dataplane dataplane;
	struct counts *counts;
	const struct plane *plane;
	struct buf plane_why;
	struct sync *sync;
	uint64_t now_us;
};

static int open_plane(struct plane_world *w, const char *mode)
{
	free(w->config.mode);
	w->config.mode = xstrdup(mode);
	return planes_open(&toy_parts, &w->config, w->base.loop, &w->dataplane, &w->plane,
			   &w->plane_why);
}

static int set_up(void **state)
{
	struct plane_world *w = xcalloc(1, sizeof(*w));

	toy_plane = (struct toy_plane){0};
	world_open(&w->base);
	w->now_us = 1000000;
	config_init(&w->config);
	w->cluster = cluster_new("node-0");
	node_info_init(&w->node_info, &w->config, "node-0");
	w->counts = counts_new(&w->dataplane);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct plane_world *w = *state;

	sync_free(w->sync);
	counts_free(w->counts);
	dataplane_close(&w->dataplane);
	node_info_fini(&w->node_info);
	cluster_free(w->cluster);
	config_fini(&w->config);
	world_close(&w->base);
	buf_fini(&w->plane_why);
	free(w);
	return 0;
}

static uint64_t clock_us(void *data, clockid_t clock)
{
	(void)clock;
	return ((struct plane_world *)data)->now_us;
}

static void put_service(struct plane_world *w, const char *name, int octet)
{
	(void)cluster_put_format(w->cluster,
				 "apiVersion: v1\nkind: Service\n"
				 "metadata: {namespace: ns, name: %s}\n"
				 "spec: {clusterIP: 10.96.0.%d, ports: [{port: 80}]}\n",
				 name, octet);
}

static void start(struct plane_world *w)
{
	assert_int_equal(open_plane(w, "toy"), 0);
	w->sync = sync_new(&(struct sync_params){
		.loop = w->base.loop,
		.config = &w->config,
		.cluster = w->cluster,
		.node_info = &w->node_info,
		.dataplane = &w->dataplane,
		.clock_us = clock_us,
		.clock_data = w,
	});
	put_service(w, "a", 1);
	assert_int_equal(sync_run(w->sync), 0);
}

static void expect_metric(struct plane_world *w, const char *line)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct metrics *metrics = metrics_new();
	struct sync_stats stats = sync_stats(w->sync);
	const struct metrics_input in = {
		.mode = w->dataplane.mode,
		.version = "1",
		.commit = "c",
		.sync = &stats,
		.state = sync_state(w->sync),
		.sinks = sync_sinks(w->sync),
		.family_used = {true, false},
	};

	metrics_write(metrics, &in, &out);
	metrics_free(metrics);
	if (!strstr(buf_string(&out), line))
		fail_msg("no line \"%s\" in:\n%s", line, buf_string(&out));
}

static void the_first_plane_that_works_is_taken(void **state)
{
	struct plane_world *w = *state;
	const char *log;

	toy_plane.probe_answer = -ENOSYS;
	capture_start();
	assert_int_equal(open_plane(w, "auto"), 0);
	log = capture_end();
	assert_string_equal(w->plane->mode, "plain");
	assert_int_equal(capture_count(log, "mode auto: not toy: no toys here"), 1);
	assert_int_equal(capture_count(log, "mode auto: using plain"), 1);
	assert_non_null(strstr(buf_string(&w->plane_why), "; not toy: no toys here"));
	toy_plane.probe_answer = 0;
	assert_int_equal(open_plane(w, "ipvs"), 0);
	assert_string_equal(w->plane->mode, "toy");
}

static void one_that_cannot_be_opened_is_passed_over(void **state)
{
	struct plane_world *w = *state;

	toy_plane.open_answer = -EROFS;
	capture_start();
	assert_int_equal(open_plane(w, "toy"), -EROFS);
	assert_int_equal(open_plane(w, "auto"), 0);
	assert_int_equal(capture_count(capture_end(),
				       "mode auto: not toy: Read-only file system"),
			 1);
	assert_string_equal(w->plane->mode, "plain");
	assert_non_null(
		strstr(buf_string(&w->plane_why), "; not toy: Read-only file system"));
}

static void a_plane_that_is_asked_for_must_work(void **state)
{
	struct plane_world *w = *state;
	const char *log;

	toy_plane.probe_answer = -EPERM;
	capture_start();
	assert_int_equal(open_plane(w, "toy"), -EPERM);
	log = capture_end();
	assert_int_equal(capture_count(log, "mode toy cannot be used: no toys here"), 1);
	assert_null(w->plane);
}

static void a_change_of_mode_removes_what_the_other_one_left(void **state)
{
	_cleanup_(buf_fini) struct buf removed = BUF_INIT;

	(void)state;
	assert_int_equal(planes_cleanup(&toy_parts, NULL, &toy_parts.planes[0], &removed),
			 -EIO);
	assert_string_equal(buf_string(&removed), "");
	assert_int_equal(toy_plane.n_cleanups[0], 0);
	assert_int_equal(toy_plane.n_cleanups[1], 0); /* the mode in use has it, too */
	assert_int_equal(toy_plane.n_cleanups[2], 1);
}

static void cleanup_removes_everything_once(void **state)
{
	_cleanup_(buf_fini) struct buf removed = BUF_INIT;

	(void)state;
	assert_int_equal(planes_cleanup(&toy_parts, NULL, NULL, &removed), -EIO);
	assert_string_equal(buf_string(&removed), ", a toy");
	for (size_t i = 0; i < N_ELEMENTS(toy_plane.n_cleanups); i++)
		assert_int_equal(toy_plane.n_cleanups[i], 1);
}

static void its_failures_and_its_numbers_are_in_the_metrics(void **state)
{
	struct plane_world *w = *state;

	start(w);
	expect_metric(w, "\nsluice_toy_held{ip_family=\"IPv4\"} 1\n");
	expect_metric(w, "\nsluice_sink_stale{sink=\"toy\"} 0\n");
	toy_plane.toys[1]->answer = -EIO;
	put_service(w, "b", 2);
	assert_int_equal(sync_run(w->sync), 0); /* it is not vital */
	expect_metric(w, "\nsluice_sink_stale{sink=\"toy\"} 0\n");
	expect_metric(w, "\nsluice_sink_stale{sink=\"side\"} 1\n");
	expect_metric(w, "\nsluice_sink_failures_total{sink=\"side\"} 1\n");
	toy_plane.toys[0]->answer = -ENOBUFS;
	put_service(w, "c", 3);
	assert_int_equal(sync_run(w->sync), -ENOBUFS);
	expect_metric(w, "\nsluice_sink_stale{sink=\"toy\"} 1\n");
	toy_plane.toys[0]->answer = 0;
	toy_plane.toys[1]->answer = -EINPROGRESS;
	w->now_us += 60000000;
	assert_int_equal(sync_run(w->sync), 0);
	expect_metric(w, "\nsluice_sink_stale{sink=\"side\"} 1\n"); /* until that ends */
	toy_plane.toys[1]->answer = 0;
	put_service(w, "d", 4);
	assert_int_equal(sync_run(w->sync), 0);
	expect_metric(w, "\nsluice_toy_held{ip_family=\"IPv4\"} 4\n");
	expect_metric(w, "\nsluice_sink_stale{sink=\"side\"} 0\n");
}

static void it_is_stale_until_a_retry_has_ended(void **state)
{
	struct plane_world *w = *state;

	start(w);
	toy_plane.toys[1]->answer = -EIO;
	put_service(w, "b", 2);
	assert_int_equal(sync_run(w->sync), 0);
	toy_plane.toys[1]->answer = -EINPROGRESS;
	w->now_us += 60000000;
	assert_int_equal(sync_run(w->sync), 0);
	expect_metric(w, "\nsluice_sink_stale{sink=\"side\"} 1\n");
	toy_plane.toys[1]->answer = 0;
	put_service(w, "c", 3);
	assert_int_equal(sync_run(w->sync), 0);
	expect_metric(w, "\nsluice_sink_stale{sink=\"side\"} 0\n");
}

static void its_counters_are_added_up(void **state)
{
	struct plane_world *w = *state;
	const struct service *service;
	struct change change = {0};
	const struct changeset of = {.changes = &change, .n = 1};
	uint64_t n[COUNT_N];

	start(w);
	service = state_next(sync_state(w->sync), &(size_t){0});
	change.new = service;
	assert_true(counts_read(w->counts, &of, false));
	counts_frontend(w->counts, service, service_frontends(service), n);
	assert_int_equal(n[COUNT_CONNECTIONS], 6);
}

static char *is_ready(const void *data)
{
	(void)data;
	return NULL;
}

/* The answer of `diff`, written piece by piece. */
static void expect_diff(struct plane_world *w, const char *what)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	_cleanup_(freep) char *error = NULL;
	const struct control_request request = {.verb = CONTROL_DIFF};
	struct inspect inspect = {
		.cluster = w->cluster,
		.node_info = &w->node_info,
		.state = sync_state(w->sync),
		.dataplane = &w->dataplane,
		.unready = is_ready,
	};
	struct control_answer *answer = inspect_answer(&inspect, &request, &error);

	assert_non_null(answer);
	while (answer->ops->write(answer, &out))
		;
	answer->ops->free(answer);
	if (!strstr(buf_string(&out), what))
		fail_msg("no %s in %s", what, buf_string(&out));
}

static void it_is_compared_step_by_step(void **state)
{
	struct plane_world *w = *state;

	start(w);
	expect_diff(w, "\"differences\":0");
	toy_plane.toys[0]->n_held = 0;
	expect_diff(w, "\"differences\":1");
	expect_diff(w, "- toy");
}

#define ON_TOY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_TOY(the_first_plane_that_works_is_taken),
		ON_TOY(one_that_cannot_be_opened_is_passed_over),
		ON_TOY(a_plane_that_is_asked_for_must_work),
		ON_TOY(a_change_of_mode_removes_what_the_other_one_left),
		ON_TOY(cleanup_removes_everything_once),
		ON_TOY(its_failures_and_its_numbers_are_in_the_metrics),
		ON_TOY(it_is_stale_until_a_retry_has_ended),
		ON_TOY(its_counters_are_added_up),
		ON_TOY(it_is_compared_step_by_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
