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
#include "core/sink.h"
#include "core/state.h"
#include "proxy/config/config.h"
#include "proxy/control/control.h"
#include "proxy/control/inspect.h"
#include "proxy/engine/counts.h"
#include "proxy/engine/parts.h"
#include "proxy/engine/planes.h"
#include "proxy/engine/sync.h"
#include "proxy/host/node_info.h"
#include "proxy/http/metrics.h"
#include "tests/unit/capture.h"
#include "tests/unit/cluster_text.h"
#include "tests/unit/world.h"
#include "watchers/cluster.h"

/* ---- the plane: a sink that holds service names ---- */

struct toy {
	struct sink sink;
	int answer;
	size_t n_held;
};

struct toy_diff {
	struct sink_diff diff;
	size_t n_steps, n_wanted, n_held;
};

static int probe_answer, n_cleanups[3];
static struct toy *toys[2];

static int toy_apply(struct sink *sink, const struct changeset *cs)
{
	struct toy *toy = container_of(sink, struct toy, sink);

	if (toy->answer)
		return toy->answer;
	if (cs->full)
		toy->n_held = 0;
	for (size_t i = 0; i < cs->n; i++) {
		toy->n_held -= cs->changes[i].old != NULL;
		toy->n_held += cs->changes[i].new != NULL;
	}
	return 0;
}

static void toy_close(struct sink *sink)
{
	free(container_of(sink, struct toy, sink));
}

/* Reports each frontend twice, as a sink with several maps does. */
static int toy_counts(struct sink *sink, const struct changeset *of, bool with_endpoints,
		      void (*fn)(void *data, const struct sink_count *count), void *data)
{
	(void)sink;
	(void)with_endpoints;
	for (size_t i = 0; i < of->n; i++) {
		const struct frontend *f = service_frontends(of->changes[i].new);
		struct sink_count count = {
			.frontend = f->addr,
			.port = f->port,
			.service = of->changes[i].new,
			.n = 3,
		};

		fn(data, &count);
		count.counter = 1;
		fn(data, &count);
	}
	return 0;
}

static int toy_diff_step(struct sink_diff *diff)
{
	struct toy_diff *d = container_of(diff, struct toy_diff, diff);

	return d->n_steps++ < 2;
}

static const char *toy_diff_lines(const struct sink_diff *diff, size_t *ret_n)
{
	const struct toy_diff *d =
		container_of((struct sink_diff *)(uintptr_t)diff, struct toy_diff, diff);

	*ret_n = d->n_wanted != d->n_held;
	return *ret_n ? "- toy\n" : "";
}

static void toy_diff_free(struct sink_diff *diff)
{
	free(container_of(diff, struct toy_diff, diff));
}

static struct sink_diff *toy_diff(struct sink *sink, const struct changeset *full)
{
	static const struct sink_diff_ops ops = {toy_diff_step, toy_diff_lines,
						 toy_diff_free};
	struct toy_diff *d = xcalloc(1, sizeof(*d));

	d->diff.ops = &ops;
	d->n_wanted = full->n;
	d->n_held = container_of(sink, struct toy, sink)->n_held;
	return &d->diff;
}

static void toy_stats(const struct sink *sink,
		      void (*fn)(void *data, const struct sink_stat *stat), void *data)
{
	const struct toy *toy =
		container_of((struct sink *)(uintptr_t)sink, struct toy, sink);

	fn(data, &(struct sink_stat){.name = "sluice_toy_held",
				     .help = "Services.",
				     .kind = SINK_GAUGE,
				     .is_of_family = true,
				     .family = FAMILY_IPV4,
				     .value = (double)toy->n_held});
}

static const struct sink_view toy_view = {
	.counts = toy_counts,
	.diff = toy_diff,
	.stats = toy_stats,
};

static const struct sink_ops toy_ops = {
	.name = "toy",
	.apply = toy_apply,
	.close = toy_close,
	.view = &toy_view,
};

static const struct sink_ops side_ops = {
	/* nothing can be read back */
	.name = "side",
	.apply = toy_apply,
	.close = toy_close,
};

static struct toy *toy_add(struct dataplane *dp, const struct sink_ops *ops)
{
	struct toy *toy = xcalloc(1, sizeof(*toy));

	toy->sink.ops = ops;
	dataplane_add(dp, &toy->sink);
	return toy;
}

static int toy_probe(const struct config *config, char **ret_why_not)
{
	(void)config;
	if (probe_answer)
		*ret_why_not = xstrdup("no toys here");
	return probe_answer;
}

static int toy_open(const struct config *config, struct ev_loop *loop,
		    struct dataplane *ret)
{
	assert_non_null(config);
	assert_non_null(loop);
	*ret = (struct dataplane){.mode = "toy"};
	toys[0] = toy_add(ret, &toy_ops);
	toys[0]->sink.is_vital = true;
	toys[1] = toy_add(ret, &side_ops);
	toys[1]->sink.after = &toys[0]->sink;
	return 0;
}

static int plain_probe(const struct config *config, char **ret_why_not)
{
	(void)config;
	(void)ret_why_not;
	return 0;
}

static int plain_open(const struct config *config, struct ev_loop *loop,
		      struct dataplane *ret)
{
	(void)config;
	(void)loop;
	*ret = (struct dataplane){.mode = "plain"};
	return 0;
}

static int clean_toy(const struct config *config, struct buf *removed)
{
	(void)config;
	buf_add_string(removed, ", a toy");
	n_cleanups[0]++;
	return 0;
}

static int clean_shared(const struct config *config, struct buf *removed)
{
	(void)config;
	(void)removed;
	n_cleanups[1]++;
	return 0;
}

static int clean_plain(const struct config *config, struct buf *removed)
{
	(void)config;
	(void)removed;
	n_cleanups[2]++;
	return -EIO;
}

static const struct plane planes[] = {
	{.mode = "toy",
	 .merit = "it is a toy",
	 .probe = toy_probe,
	 .open = toy_open,
	 .cleanups = {clean_toy, clean_shared}},
	{.mode = "plain",
	 .merit = "it is plain",
	 .probe = plain_probe,
	 .open = plain_open,
	 .cleanups = {clean_shared, clean_plain}},
};

static const struct parts parts = {.planes = planes, .n_planes = N_ELEMENTS(planes)};

/* ---- the daemon's side ---- */

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
	return planes_open(&parts, &w->config, w->base.loop, &w->dataplane, &w->plane,
			   &w->plane_why);
}

static int set_up(void **state)
{
	struct plane_world *w = xcalloc(1, sizeof(*w));

	probe_answer = 0;
	memset(n_cleanups, 0, sizeof(n_cleanups));
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

	probe_answer = -ENOSYS;
	capture_start();
	assert_int_equal(open_plane(w, "auto"), 0);
	log = capture_end();
	assert_string_equal(w->plane->mode, "plain");
	assert_int_equal(capture_count(log, "mode auto: not toy: no toys here"), 1);
	assert_int_equal(capture_count(log, "mode auto: using plain"), 1);
	assert_non_null(strstr(buf_string(&w->plane_why), "; not toy: no toys here"));
	probe_answer = 0;
	assert_int_equal(open_plane(w, "ipvs"), 0);
	assert_string_equal(w->plane->mode, "toy");
}

static void a_plane_that_is_asked_for_must_work(void **state)
{
	struct plane_world *w = *state;
	const char *log;

	probe_answer = -EPERM;
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
	assert_int_equal(planes_cleanup(&parts, NULL, &planes[0], &removed), -EIO);
	assert_string_equal(buf_string(&removed), "");
	assert_int_equal(n_cleanups[0], 0);
	assert_int_equal(n_cleanups[1], 0); /* the mode in use has it, too */
	assert_int_equal(n_cleanups[2], 1);
}

static void cleanup_removes_everything_once(void **state)
{
	_cleanup_(buf_fini) struct buf removed = BUF_INIT;

	(void)state;
	assert_int_equal(planes_cleanup(&parts, NULL, NULL, &removed), -EIO);
	assert_string_equal(buf_string(&removed), ", a toy");
	for (size_t i = 0; i < N_ELEMENTS(n_cleanups); i++)
		assert_int_equal(n_cleanups[i], 1);
}

static void its_failures_and_its_numbers_are_in_the_metrics(void **state)
{
	struct plane_world *w = *state;

	start(w);
	expect_metric(w, "\nsluice_toy_held{ip_family=\"IPv4\"} 1\n");
	expect_metric(w, "\nsluice_sink_stale{sink=\"toy\"} 0\n");
	toys[1]->answer = -EIO;
	put_service(w, "b", 2);
	assert_int_equal(sync_run(w->sync), 0); /* it is not vital */
	expect_metric(w, "\nsluice_sink_stale{sink=\"toy\"} 0\n");
	expect_metric(w, "\nsluice_sink_stale{sink=\"side\"} 1\n");
	expect_metric(w, "\nsluice_sink_failures_total{sink=\"side\"} 1\n");
	toys[0]->answer = -ENOBUFS;
	put_service(w, "c", 3);
	assert_int_equal(sync_run(w->sync), -ENOBUFS);
	expect_metric(w, "\nsluice_sink_stale{sink=\"toy\"} 1\n");
	toys[0]->answer = toys[1]->answer = 0;
	w->now_us += 60000000;
	assert_int_equal(sync_run(w->sync), 0);
	expect_metric(w, "\nsluice_toy_held{ip_family=\"IPv4\"} 3\n");
	expect_metric(w, "\nsluice_sink_stale{sink=\"side\"} 0\n");
	assert_int_equal(toys[1]->n_held, 3);
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
	toys[0]->n_held = 0;
	expect_diff(w, "\"differences\":1");
	expect_diff(w, "- toy");
}

#define ON_TOY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_TOY(the_first_plane_that_works_is_taken),
		ON_TOY(a_plane_that_is_asked_for_must_work),
		ON_TOY(a_change_of_mode_removes_what_the_other_one_left),
		ON_TOY(cleanup_removes_everything_once),
		ON_TOY(its_failures_and_its_numbers_are_in_the_metrics),
		ON_TOY(its_counters_are_added_up),
		ON_TOY(it_is_compared_step_by_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
