#include "proxy/run/once.h"

#include <errno.h>
#include <stdio.h>

#include "core/log.h"
#include "proxy/config/config.h"
#include "proxy/engine/conflict_log.h"
#include "proxy/engine/engine.h"
#include "proxy/engine/parts.h"
#include "proxy/engine/source.h"
#include "proxy/engine/sync.h"
#include "watchers/cluster.h"

struct once {
	struct engine engine;
	struct conflict_log conflicts;
	int input_err; /* the source could not read something */
	int err;       /* why nothing can be programmed */
	ev_timer timeout;
};

static void on_synced(void *data, int err)
{
	struct once *o = data;

	o->input_err = err;
}

static void on_ready(void *data)
{
	const struct once *o = data;

	ev_break(o->engine.loop, EVBREAK_ALL);
}

static void on_failed(void *data, int err)
{
	struct once *o = data;

	o->err = err;
	ev_break(o->engine.loop, EVBREAK_ALL);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct once *o = timer->data;

	log_err("%s: not all objects could be read within %g s; giving up, the kernel "
		"keeps its rules (see --timeout)",
		o->engine.source->ops->name, timer->repeat);
	o->err = -ETIMEDOUT;
	ev_break(loop, EVBREAK_ALL);
}

static void wait_until_ready(struct once *o, double timeout_sec)
{
	ev_timer_init(&o->timeout, on_timeout, 0., timeout_sec);
	o->timeout.data = o;
	if (timeout_sec > 0)
		ev_timer_again(o->engine.loop, &o->timeout);
	ev_run(o->engine.loop, 0);
	ev_timer_stop(o->engine.loop, &o->timeout);
}

static void on_ran(void *data, const struct sync_run *run)
{
	struct once *o = data;

	conflict_log_update(&o->conflicts, sync_state(o->engine.sync));
}

static void print_summary(const struct engine *e)
{
	const struct sync_run run = sync_stats(e->sync).last;

	(void)printf(
		"%s: %zu service ports of %zu Services programmed in %.1f ms (plan %.1f "
		"ms, kernel %.1f ms)%s\n",
		e->dataplane.mode, run.n_changes, cluster_n(e->cluster, OBJECT_SERVICE),
		(double)run.total_us / 1e3, (double)run.plan_us / 1e3,
		(double)run.apply_us / 1e3,
		run.err == -EREMOTEIO ? "; some were refused" : "");
	(void)fflush(stdout);
}

int once_run(const struct config *config, const struct parts *parts)
{
	struct once o = {.err = 0};
	const struct engine_hooks hooks = {
		.synced = on_synced,
		.ready = on_ready,
		.failed = on_failed,
		.ran = on_ran,
		.data = &o,
	};
	int err = engine_open(&o.engine, config, parts, &hooks);

	if (err == 0 && o.engine.plane->needs_daemon) {
		log_err("mode %s serves only while the daemon runs: --once cannot use it",
			o.engine.plane->mode);
		err = -EINVAL;
	}
	if (err == 0)
		err = engine_start(&o.engine);
	if (err == 0 && !o.engine.is_ready)
		wait_until_ready(&o, (double)config->timeout_ns / 1e9);
	err = err != 0 ? err : o.err;
	if (err == 0)
		err = sync_run(o.engine.sync);
	if (err == 0 || err == -EREMOTEIO) {
		sync_finish(o.engine.sync);
		engine_cleanup_others(&o.engine);
		print_summary(&o.engine);
	}
	if (err == 0)
		err = o.input_err;
	engine_close(&o.engine);
	conflict_log_fini(&o.conflicts);
	return err;
}
