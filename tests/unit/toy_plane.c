#include "tests/unit/toy_plane.h"

#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "core/service.h"
#include "proxy/engine/dataplane.h"

struct toy_diff {
	struct sink_diff diff;
	size_t n_steps, n_wanted, n_held;
};

struct toy_plane toy_plane;

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
	if (toy_plane.probe_answer)
		*ret_why_not = xstrdup("no toys here");
	return toy_plane.probe_answer;
}

static int toy_open(const struct config *config, struct ev_loop *loop,
		    struct dataplane *ret)
{
	assert_non_null(config);
	assert_non_null(loop);
	if (toy_plane.open_answer)
		return toy_plane.open_answer;
	*ret = (struct dataplane){.mode = "toy"};
	toy_plane.toys[0] = toy_add(ret, &toy_ops);
	toy_plane.toys[0]->sink.is_vital = true;
	toy_plane.toys[1] = toy_add(ret, &side_ops);
	toy_plane.toys[1]->sink.after = &toy_plane.toys[0]->sink;
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
	toy_plane.n_cleanups[0]++;
	return 0;
}

static int clean_shared(const struct config *config, struct buf *removed)
{
	(void)config;
	(void)removed;
	toy_plane.n_cleanups[1]++;
	return 0;
}

static int clean_plain(const struct config *config, struct buf *removed)
{
	(void)config;
	(void)removed;
	toy_plane.n_cleanups[2]++;
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

const struct parts toy_parts = {.planes = planes, .n_planes = N_ELEMENTS(planes)};
