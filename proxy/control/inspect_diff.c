/*
 * `diff`: the state of the sinks against the wanted one, compared a step at
 * a time, so that changes are programmed meanwhile.  A change makes it start
 * over; if changes do not stop, the last tries are made in one go.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/engine/dataplane.h"
#include "proxy/host/node_info.h"
#include "proxy/engine/full_changes.h"
#include "proxy/control/inspect_parts.h"

#define TRIES_IN_PIECES 5
#define TRIES_MAX	8

struct diff { /* an answer */
	struct control_answer answer;
	const struct inspect *in;
	struct full_changes all; /* with a reference to each service */
	struct sink_diff *run;	 /* of sinks[i_sink] */
	size_t i_sink;
	struct buf lines; /* of the sinks before that one */
	size_t n;
	unsigned n_tries;
};

static bool can_diff(const struct sink *sink)
{
	return sink->ops->view && sink->ops->view->diff;
}

static void start(struct diff *d)
{
	full_changes_init(&d->all, d->in->state, &d->in->node_info->env);
	for (size_t i = 0; i < d->all.cs.n; i++)
		(void)service_ref(d->all.changes[i].new);
	d->n_tries++;
}

static void stop(struct diff *d)
{
	sink_diff_free(d->run);
	d->run = NULL;
	d->i_sink = d->n = 0;
	buf_fini(&d->lines);
	for (size_t i = 0; i < d->all.cs.n; i++)
		service_unref((struct service *)(uintptr_t)d->all.changes[i].new);
	full_changes_fini(&d->all);
}

/* Of the current sink. 0: it is done. */
static int step_sink(struct diff *d, struct sink *sink)
{
	const char *lines;
	size_t n;
	int err;

	if (!d->run)
		d->run = sink->ops->view->diff(sink, &d->all.cs);
	do {
		err = sink_diff_step(d->run);
	} while (err == 1 && d->n_tries > TRIES_IN_PIECES);
	if (err)
		return err;
	lines = sink_diff_lines(d->run, &n);
	buf_add_string(&d->lines, lines);
	d->n += n;
	sink_diff_free(take_ptr(d->run));
	return 0;
}

/* 1: not at the end yet. */
static int step(struct diff *d)
{
	const struct dataplane *dp = d->in->dataplane;
	int err = 0;

	if (!d->all.cs.full)
		start(d);
	while (d->i_sink < dp->n_sinks && !can_diff(dp->sinks[d->i_sink]))
		d->i_sink++;
	if (d->i_sink == dp->n_sinks)
		return 0;
	err = step_sink(d, dp->sinks[d->i_sink]);
	if (err == 0)
		d->i_sink++;
	if (err == 0 || err == 1)
		return 1;
	if (err != -EINTR || d->n_tries == TRIES_MAX)
		return err;
	stop(d);
	return 1;
}

static json_t *result_of(const struct diff *d)
{
	return json_pack("{s:I, s:s}", "differences", (json_int_t)d->n, "lines",
			 buf_string(&d->lines));
}

static void write_error(struct buf *out, int err)
{
	_cleanup_(freep) char *why =
		xasprintf("cannot read the rules in the kernel: %s", strerror(-err));
	json_auto_t *json = json_string(why);
	_cleanup_(freep) char *text = json_dumps(json, JSON_ENCODE_ANY);

	buf_printf(out, "null,\"error\":%s", text ? text : "\"\"");
}

static bool diff_write(struct control_answer *answer, struct buf *out)
{
	struct diff *d = container_of(answer, struct diff, answer);
	_cleanup_(freep) char *text = NULL;
	json_auto_t *json = NULL;
	int err = step(d);

	if (err == 1)
		return true;
	if (err) {
		write_error(out, err);
		return false;
	}
	json = result_of(d);
	text = json_dumps(json, JSON_COMPACT);
	buf_add_string(out, text ? text : "null");
	return false;
}

static void diff_free(struct control_answer *answer)
{
	struct diff *d = container_of(answer, struct diff, answer);

	stop(d);
	free(d);
	(void)malloc_trim(0); /* it held a copy of all that is programmed */
}

static bool has_diff(const struct dataplane *dp)
{
	for (size_t i = 0; i < dp->n_sinks; i++)
		if (can_diff(dp->sinks[i]))
			return true;
	return false;
}

struct control_answer *inspect_diff(const struct inspect *in, char **ret_error)
{
	static const struct control_answer_ops ops = {
		.write = diff_write,
		.free = diff_free,
	};
	struct diff *d;

	if (!has_diff(in->dataplane)) {
		*ret_error =
			xasprintf("mode %s has nothing to compare", in->dataplane->mode);
		return NULL;
	}
	d = xcalloc(1, sizeof(*d));
	d->answer.ops = &ops;
	d->in = in;
	return &d->answer;
}
