/*
 * The engine's events: to health and metrics, the log, the journal, Events of the
 * cluster, and the service manager.
 */
#include <errno.h>

#include "core/log.h"
#include "proxy/config/config.h"
#include "proxy/engine/hints.h"
#include "proxy/engine/journal.h"
#include "proxy/engine/parts.h"
#include "proxy/engine/sink_state.h"
#include "proxy/engine/sync.h"
#include "proxy/http/servers.h"
#include "proxy/run/daemon_private.h"
#include "proxy/run/node_events.h"
#include "watchers/causes.h"
#include "watchers/cluster.h"

static void announce(const struct engine *e, const struct sync_run *run)
{
	const struct log_fields fields = {.reason = "Ready",
					  .duration_ms = (double)run->total_us / 1e3};

	log_line_with(LOG_LEVEL_INFO, &fields,
		      "ready: %zu service ports of %zu Services and %zu EndpointSlices "
		      "in %.1f ms",
		      run->n_changes, cluster_n(e->cluster, OBJECT_SERVICE),
		      cluster_n(e->cluster, OBJECT_SLICE), fields.duration_ms);
}

static void log_hint(void *data, bool is_warning, const char *hint)
{
	log_line(is_warning ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "%s", hint);
}

static void on_ran(void *data, const struct sync_run *run)
{
	struct daemon *d = data;

	servers_ran(d->servers, run);
	conflict_log_update(&d->conflicts, sync_state(d->engine.sync));
	status_update(&d->status);
	manager_update(&d->manager);
	if (run->err != 0 && run->err != -EREMOTEIO)
		return;
	if (cluster_n_dirty(d->engine.cluster) == 0)
		causes_clear(cluster_causes(d->engine.cluster));
	if (!d->is_announced) {
		d->is_announced = true;
		announce(&d->engine, run);
		engine_cleanup_others(&d->engine);
		manager_ready(&d->manager);
	}
	if (!d->is_hinted && d->engine.is_synced) {
		d->is_hinted = true;
		hints_check(&d->engine, d->parts->list_chains, log_hint, NULL);
	}
}

static void on_synced(void *data, int err)
{
	const struct daemon *d = data;
	const struct node_events events = {d->engine.source, d->engine.node_name};

	(void)err; /* was logged */
	node_events_started(&events);
}

static void on_ready(void *data)
{
	const struct daemon *d = data;

	sync_start(d->engine.sync);
}

static void on_failed(void *data, int err)
{
	daemon_stop(data, err);
}

static void on_answered(void *data, int status, const char *method)
{
	const struct daemon *d = data;

	servers_api_answered(d->servers, status, method);
}

static void on_checked(void *data, const struct checker_endpoint *endpoint,
		       const struct service *service)
{
	const struct daemon *d = data;

	journal_add_health(d->journal, endpoint, service);
}

static void on_repaired(void *data, const struct sink_repair *repair)
{
	const struct daemon *d = data;

	journal_add_repair(d->journal, repair);
}

static void on_refused(void *data, const struct sink *sink, const struct service *service,
		       const char *why)
{
	const struct daemon *d = data;

	journal_add_refused(d->journal, sink->ops->name, service, why);
}

struct engine_hooks daemon_hooks(struct daemon *d)
{
	return (struct engine_hooks){
		.synced = on_synced,
		.ready = on_ready,
		.failed = on_failed,
		.ran = on_ran,
		.answered = on_answered,
		.checked = on_checked,
		.refused = on_refused,
		.repaired = on_repaired,
		.data = d,
	};
}

static bool is_refused(const void *data, const struct service *service)
{
	return sync_is_refused(data, service);
}

static void on_claim(void *data, const struct state_conflict *conflict)
{
	const struct daemon *d = data;

	journal_add_claim(d->journal, conflict);
}

void daemon_add_journal(struct daemon *d)
{
	d->journal = journal_new(cluster_causes(d->engine.cluster));
	d->journal->after = dataplane_last_vital(&d->engine.dataplane);
	dataplane_add(&d->engine.dataplane, d->journal);
	if (d->engine.config->logging.verbosity > 0)
		journal_log_all(d->journal);
	journal_leave_out(d->journal, is_refused, d->engine.sync);
	d->conflicts.found = on_claim;
	d->conflicts.data = d;
}
