/*
 * `diff`: the kernel against what it should have, compared a piece at a time, so
 * that changes go on meanwhile.  A change makes it start anew; when they don't
 * stop, the last try is made in one go.
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
	struct full_changes all; /* with a reference of each service */
	struct nft_diff *run;
	unsigned n_tries;
};

static void start(struct diff *d)
{
	full_changes_init(&d->all, d->in->state, &d->in->node_info->env);
	for (size_t i = 0; i < d->all.cs.n; i++)
		(void)service_ref(d->all.changes[i].new);
	d->run = d->in->dataplane->diff(d->in->dataplane->sinks[0], &d->all.cs);
	d->n_tries++;
}

static void stop(struct diff *d)
{
	nft_diff_free(d->run);
	d->run = NULL;
	for (size_t i = 0; i < d->all.cs.n; i++)
		service_unref((struct service *)(uintptr_t)d->all.changes[i].new);
	full_changes_fini(&d->all);
}

/* 1: not at the end yet. */
static int step(struct diff *d)
{
	int err;

	if (!d->run)
		start(d);
	do {
		err = nft_diff_step(d->run);
	} while (err == 1 && d->n_tries > TRIES_IN_PIECES);
	if (err != -EINTR || d->n_tries == TRIES_MAX)
		return err;
	stop(d);
	return 1;
}

static json_t *result_of(const struct diff *d)
{
	size_t n;
	const char *lines = nft_diff_lines(d->run, &n);

	return json_pack("{s:I, s:s}", "differences", (json_int_t)n, "lines", lines);
}

static void write_error(struct buf *out, int err)
{
	_cleanup_(freep) char *why =
		xasprintf("the kernel can't be read: %s", strerror(-err));
	json_t *json = json_string(why);
	_cleanup_(freep) char *text = json_dumps(json, JSON_ENCODE_ANY);

	json_decref(json);
	buf_printf(out, "null,\"error\":%s", text ? text : "\"\"");
}

static bool diff_write(struct control_answer *answer, struct buf *out)
{
	struct diff *d = container_of(answer, struct diff, answer);
	_cleanup_(freep) char *text = NULL;
	json_t *json;
	int err = step(d);

	if (err == 1)
		return true;
	if (err) {
		write_error(out, err);
		return false;
	}
	json = result_of(d);
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	buf_add_string(out, text ? text : "null");
	return false;
}

static void diff_free(struct control_answer *answer)
{
	struct diff *d = container_of(answer, struct diff, answer);

	stop(d);
	free(d);
	(void)malloc_trim(0); /* it held all that the kernel has */
}

struct control_answer *inspect_diff(const struct inspect *in, char **ret_error)
{
	static const struct control_answer_ops ops = {
		.write = diff_write,
		.free = diff_free,
	};
	struct diff *d;

	if (!in->dataplane->diff) {
		*ret_error = xasprintf("mode %s can't be compared", in->dataplane->mode);
		return NULL;
	}
	d = xcalloc(1, sizeof(*d));
	d->answer.ops = &ops;
	d->in = in;
	return &d->answer;
}
