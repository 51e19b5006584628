#include "proxy/engine/telling.h"

#include <errno.h>
#include <string.h>

#include "core/changeset.h"
#include "core/log.h"
#include "proxy/engine/full_changes.h"

bool telling_has_stale(const struct telling *t)
{
	for (size_t i = 0; i < t->dataplane->n_sinks; i++)
		if (t->is_stale[i])
			return true;
	return false;
}

static void log_error(const struct telling *t, const struct sink *sink, int err)
{
	if (err == -EREMOTEIO)
		log_warn("%s: some services were refused and left out; will retry",
			 sink->ops->name);
	else
		log_err("%s: %s; everything is retried within %.1f s", sink->ops->name,
			strerror(-err), (double)t->retry_us / 1e6);
}

int telling_tell(struct telling *t, const struct changeset *delta)
{
	struct full_changes all = {0}; /* for the stale ones, made when needed */
	int result = 0;

	for (size_t i = 0; i < t->dataplane->n_sinks; i++) {
		struct sink *sink = t->dataplane->sinks[i];
		const struct changeset *cs = delta;
		int err;

		if (t->is_stale[i] && !delta->full) {
			if (!all.cs.full)
				full_changes_init(&all, t->state, delta->env);
			cs = &all.cs;
		}
		/* a hard failure before this one: it comes after, so it waits */
		if (result != 0 && result != -EREMOTEIO) {
			t->is_stale[i] = true;
			continue;
		}
		if (!cs->full && cs->n == 0)
			continue;
		err = sink_apply(sink, cs);
		t->is_stale[i] = err != 0;
		if (err == 0)
			continue;
		log_error(t, sink, err);
		if (result == 0 || err != -EREMOTEIO)
			result = err;
	}
	full_changes_fini(&all);
	return result;
}
