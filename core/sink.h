/*
 * A sink makes something (kernel tables, sockets) be what the services say.
 * It is told by change sets, answers with an error code, and nothing else.
 *
 * apply() returns 0 when all of it holds.  On any other answer the sink is
 * stale and gets a full change set next, with backoff:
 *   -EREMOTEIO  some services were refused, left out and logged; the rest holds
 *   other       nothing of this change set can be relied upon
 * close() frees the sink and leaves what it made in place.
 */
#pragma once

#include "core/changeset.h"

struct sink;

struct sink_ops {
	const char *name;
	int (*apply)(struct sink *sink, const struct changeset *cs);
	void (*close)(struct sink *sink);
};

struct sink { /* implementations embed it first */
	const struct sink_ops *ops;
};

static inline int sink_apply(struct sink *sink, const struct changeset *cs)
{
	return sink->ops->apply(sink, cs);
}

static inline void sink_close(struct sink *sink)
{
	if (sink)
		sink->ops->close(sink);
}
