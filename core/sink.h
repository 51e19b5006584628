/*
 * A sink makes something (kernel tables, sockets) match the services.  It
 * receives change sets and returns an error code.
 *
 * apply() returns 0 when the sink holds all of the change set, or
 *   -EREMOTEIO  it holds all but the services that it refused, each reported
 *               with changeset_refuse(); of these it holds nothing
 *   -EINPROGRESS  work() will do the rest, and return the result
 *   -ESTALE     it cannot apply a delta: a full change set must follow
 *   -errno      its content is unknown: a full change set must
 *               follow, after a pause
 * close() frees the sink and leaves its rules in place.
 */
#pragma once

#include <stdbool.h>

#include "core/changeset.h"
#include "core/sink_view.h"

struct sink;

struct sink_ops {
	const char *name;
	int (*apply)(struct sink *sink, const struct changeset *cs);
	void (*close)(struct sink *sink);
	/*
	 * The next three are for sinks whose work other processes can change; else NULL.
	 * fd() is readable when they may have done so; -1: never.
	 */
	int (*fd)(const struct sink *sink);
	/* Reads the events of fd(). True: they have, the next change set must be full. */
	bool (*check)(struct sink *sink);
	const char *made; /* by the sink, and changed by them: "the ruleset" */
	/*
	 * The next two are for sinks that apply in steps; else NULL. work_fd() is
	 * readable when work() has something to do, which is a few milliseconds of it;
	 * it returns what apply() would. Further change sets may come before its end.
	 */
	int (*work_fd)(const struct sink *sink);
	int (*work)(struct sink *sink);
	/*
	 * These Pods of the node, by UID, are left to later sinks from now on, and no
	 * others. Called before the first change set. NULL: it has no such choice.
	 */
	void (*exclude_pods)(struct sink *sink, const char *const *uids, size_t n);
	const struct sink_view *view; /* NULL: nothing can be read back */
};

struct sink { /* implementations embed it first */
	const struct sink_ops *ops;
	struct sink *after;  /* applied only while this one is up to date; NULL: always */
	bool is_vital;	     /* its failure makes the node unhealthy */
	bool follows_repair; /* when `after` was repaired, this one gets everything, too */
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

static inline int sink_fd(const struct sink *sink)
{
	return sink->ops->fd ? sink->ops->fd(sink) : -1;
}

/* The process that changed last what it made, or NULL. */
static inline const char *sink_changed_by(const struct sink *sink)
{
	const struct sink_view *view = sink->ops->view;

	return view && view->changed_by ? view->changed_by(sink) : NULL;
}

/* The objects that its last repair restored; "": none, or not known. */
static inline const char *sink_restored(const struct sink *sink)
{
	const struct sink_view *view = sink->ops->view;

	return view && view->restored ? view->restored(sink) : "";
}

static inline bool sink_check(struct sink *sink)
{
	return sink->ops->check && sink->ops->check(sink);
}
