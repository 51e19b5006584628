/*
 * Everything around the engine: requests (control socket), reports (health,
 * metrics, Events, the service manager), and signals and changes of the
 * configuration file, which end it or make it read its input again.
 */
#include "proxy/run/daemon.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <string.h>

#include "core/log.h"
#include "proxy/config/config.h"
#include "proxy/config/config_json.h"
#include "proxy/config/config_load.h"
#include "proxy/engine/conflict_log.h"
#include "proxy/engine/hints.h"
#include "proxy/engine/journal.h"
#include "proxy/engine/status.h"
#include "proxy/control/control.h"
#include "proxy/engine/engine.h"
#include "proxy/http/health_ports.h"
#include "proxy/host/host_setup.h"
#include "proxy/control/inspect.h"
#include "proxy/run/manager.h"
#include "proxy/run/node_events.h"
#include "proxy/host/listen_fds.h"
#include "proxy/host/notify.h"
#include "proxy/config/options.h"
#include "proxy/engine/parts.h"
#include "proxy/host/path_watch.h"
#include "proxy/host/privileges.h"
#include "proxy/engine/rejections.h"
#include "proxy/http/servers.h"
#include "proxy/engine/sync.h"
#include "watchers/causes.h"
#include "watchers/cluster.h"

#define SUCCESSION_SEC 0.02

struct daemon {
	struct engine engine;
	struct options *options;
	const struct parts *parts;
	struct status status;
	struct inspect inspect; /* for the control socket */
	struct sink *journal;	/* the data plane's */
	struct control *control;
	struct conflict_log conflicts;
	struct manager manager;
	struct servers *servers;
	struct path_watch *config_watch;
	ev_signal term, interrupt, hangup;
	ev_timer succession; /* runs while another daemon hands over to this one */
	bool is_announced;   /* the service manager was notified */
	bool is_hinted;	     /* the hints were logged */
	int err;	     /* why the loop ended; 0: by a signal */
};

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
	if (run->reason == SYNC_REASON_REPAIR)
		journal_add_repair(d->journal, dataplane_changed_by(&d->engine.dataplane),
				   dataplane_restored(&d->engine.dataplane),
				   run->total_us);
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

static void stop(struct daemon *d, int err)
{
	d->err = err;
	ev_break(d->engine.loop, EVBREAK_ALL);
}

static void on_failed(void *data, int err)
{
	stop(data, err);
}

static void on_answered(void *data, int status, const char *method)
{
	const struct daemon *d = data;

	servers_api_answered(d->servers, status, method);
}

static void on_checked(void *data, const struct checker_endpoint *endpoint)
{
	const struct daemon *d = data;

	journal_add_health(d->journal, endpoint);
}

static void on_refused(void *data, const struct sink *sink, const struct service *service,
		       const char *why)
{
	const struct daemon *d = data;

	journal_add_refused(d->journal, sink->ops->name, service, why);
}

static bool is_refused(const void *data, const struct service *service)
{
	return sync_is_refused(data, service);
}

static void on_stop(struct ev_loop *loop, ev_signal *w, int revents)
{
	const struct daemon *d = w->data;

	log_info("%s: stopping; %s", strsignal(w->signum),
		 d->engine.plane->needs_daemon ? "connections end" : "the rules stay");
	(void)notify_send("STOPPING=1"); /* a service manager is optional */
	ev_break(loop, EVBREAK_ALL);
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct daemon *d = w->data;

	log_info("%s: reading everything again", d->engine.source->ops->name);
	if (d->engine.source->ops->reread)
		d->engine.source->ops->reread(d->engine.source);
}

static void start_signals(struct daemon *d)
{
	(void)signal(SIGPIPE, SIG_IGN);
	ev_signal_init(&d->term, on_stop, SIGTERM);
	ev_signal_init(&d->interrupt, on_stop, SIGINT);
	ev_signal_init(&d->hangup, on_hangup, SIGHUP);
	d->term.data = d->interrupt.data = d->hangup.data = d;
	ev_signal_start(d->engine.loop, &d->term);
	ev_signal_start(d->engine.loop, &d->interrupt);
	ev_signal_start(d->engine.loop, &d->hangup);
}

static void stop_signals(struct daemon *d)
{
	ev_signal_stop(d->engine.loop, &d->term);
	ev_signal_stop(d->engine.loop, &d->interrupt);
	ev_signal_stop(d->engine.loop, &d->hangup);
}

static void on_claim(void *data, const struct state_conflict *conflict)
{
	const struct daemon *d = data;

	journal_add_claim(d->journal, conflict);
}

/* Its entries are programmed changes, so it comes after the data plane. */
static void add_journal(struct daemon *d)
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

static char *unready(const void *data)
{
	return engine_unready(data);
}

static json_t *config_of(const void *data)
{
	const struct engine *e = data;

	return json_pack("{s:o, s:b}", "config", config_to_json(e->config),
			 "fromManifests", e->config->manifests.n > 0);
}

/* Traffic does not depend on it: the daemon runs without it, for example with a full disk. */
static int start_control(struct daemon *d)
{
	const char *path = d->engine.config->control_socket;
	int err;

	if (!*path)
		return 0;
	d->inspect = (struct inspect){
		.cluster = d->engine.cluster,
		.node_info = &d->engine.node_info,
		.state = sync_state(d->engine.sync),
		.dataplane = &d->engine.dataplane,
		.counts = d->engine.counts,
		.last_census = d->engine.last_census,
		.list_chains = d->parts->list_chains,
		.status = &d->status,
		.journal = d->journal,
		.unready = unready,
		.config = config_of,
		.data = &d->engine,
	};
	err = control_new(d->engine.loop, path, inspect_answer, &d->inspect, &d->control);
	if (err == -EADDRINUSE) {
		log_err("control socket %s: another sluice runs with it", path);
		return err;
	}
	if (err != 0)
		log_warn("control socket %s: %s; get, explain, status and diff do not "
			 "work",
			 path, strerror(-err));
	return 0;
}

static void on_server_failed(void *data, const char *server, const char *address, int err)
{
	const struct daemon *d = data;
	const struct node_events events = {d->engine.source, d->engine.node_name};

	node_events_server_failed(&events, server, address, err);
}

static void on_health_port_failed(void *data, const char *ns, const char *name,
				  uint16_t port, int err)
{
	const struct daemon *d = data;
	const struct node_events events = {d->engine.source, d->engine.node_name};

	node_events_health_port_failed(&events, ns, name, port, err);
}

static size_t count_rejected(void *data)
{
	const struct daemon *d = data;

	return rejections_n(d->engine.rejections);
}

static bool is_in_sync(void *data)
{
	struct daemon *d = data;

	status_update(&d->status);
	return d->status.is_in_sync;
}

static char *manager_line(void *data)
{
	struct daemon *d = data;

	return status_line(&d->status);
}

static bool has_read(void *data)
{
	const struct daemon *d = data;

	return d->engine.is_synced;
}

static json_t *status_of(void *data)
{
	struct daemon *d = data;

	return status_json(&d->status);
}

static bool is_healthy(void *data)
{
	const struct daemon *d = data;

	return servers_is_healthy(d->servers);
}

static void log_unused_gates(const struct config *config)
{
	_cleanup_(freep) char *gates = config_unused_gates(config);

	if (*gates)
		log_info("configuration: feature gates without effect here: %s", gates);
}

/* Health and metrics, and the health check node ports, which report our health, too. */
static void make_servers(struct daemon *d)
{
	const struct health_ports_hooks hooks = {
		.is_healthy = is_healthy,
		.failed = on_health_port_failed,
		.data = d,
	};
	struct sink *health_ports;

	log_unused_gates(d->engine.config);
	d->servers = servers_new(&(struct servers_params){
		.loop = d->engine.loop,
		.config = d->engine.config,
		.cluster = d->engine.cluster,
		.node_info = &d->engine.node_info,
		.dataplane = &d->engine.dataplane,
		.counts = d->engine.counts,
		.last_census = d->engine.last_census,
		.source = d->engine.source,
		.sync = d->engine.sync,
		.checker = d->engine.checker,
		.n_rejected = count_rejected,
		.status = status_of,
		.journal = d->journal,
		.is_in_sync = is_in_sync,
		.has_read = has_read,
		.failed = on_server_failed,
		.data = d,
	});
	health_ports = health_ports_new(d->engine.loop, &hooks);
	/* an endpoint is counted once traffic can reach it */
	health_ports->after = dataplane_last_vital(&d->engine.dataplane);
	dataplane_add(&d->engine.dataplane, health_ports);
}

/* The lock, the control socket and the ports are those of the daemon that hands over. */
static void on_succession(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct daemon *d = timer->data;
	int err;

	if (!engine_take_lock(&d->engine))
		return;
	ev_timer_stop(loop, timer);
	err = start_control(d);
	if (err == 0)
		err = servers_start(d->servers);
	if (err != 0)
		stop(d, err);
}

static int start_services(struct daemon *d)
{
	int err;

	if (d->engine.dataplane.is_taking_over) {
		make_servers(d);
		ev_timer_start(d->engine.loop, &d->succession);
		return 0;
	}
	err = start_control(d);
	if (err != 0)
		return err;
	make_servers(d);
	return servers_start(d->servers);
}

static void on_config_changed(void *data)
{
	struct daemon *d = data;

	if (config_reload(d->options))
		stop(d, -ESTALE); /* so that the supervisor starts us again */
}

/* Without a watch the daemon works, too. */
static void watch_config(struct daemon *d)
{
	const char *path = d->options->config_file;
	int err;

	if (!*path)
		return;
	err = path_watch_new(d->engine.loop, path, on_config_changed, d,
			     &d->config_watch);
	if (err != 0)
		log_warn("%s: cannot watch it for changes: %s", path, strerror(-err));
}

static int run(struct daemon *d)
{
	struct privileges privileges = {
		.keep_exec = d->engine.source->runs_programs,
		.caps = d->engine.plane->caps,
		.n_caps = d->engine.plane->n_caps,
		.syscalls = d->engine.plane->syscalls,
		.n_syscalls = d->engine.plane->n_syscalls,
	};
	int err;

	privileges_drop(&privileges);
	start_signals(d);
	watch_config(d);
	d->manager.loop = d->engine.loop;
	d->manager.line = manager_line;
	d->manager.data = d;
	manager_start(&d->manager);
	err = engine_start(&d->engine);
	if (err == 0) {
		/* not before: a start that fails leaves the kernel as it was */
		host_setup_conntrack(d->engine.config);
		counts_timer_start(&d->engine.counts_timer, d->engine.loop);
		ev_run(d->engine.loop, 0);
		err = d->err;
	}
	manager_stop(&d->manager);
	stop_signals(d);
	return err;
}

int daemon_run(struct options *options, const struct parts *parts)
{
	struct daemon d = {.options = options, .parts = parts};
	const struct engine_hooks hooks = {
		.synced = on_synced,
		.ready = on_ready,
		.failed = on_failed,
		.ran = on_ran,
		.answered = on_answered,
		.checked = on_checked,
		.refused = on_refused,
		.data = &d,
	};
	int err;

	host_setup_oom_score(&options->config);
	host_setup_descriptors();
	d.status = (struct status){
		.engine = &d.engine,
		.list_chains = parts->list_chains,
		.is_healthy = is_healthy,
		.data = &d,
	};
	ev_timer_init(&d.succession, on_succession, SUCCESSION_SEC, SUCCESSION_SEC);
	d.succession.data = &d;
	d.engine.saved.is_wanted = true;
	err = engine_open(&d.engine, &options->config, parts, &hooks);
	if (err == 0) {
		listen_fds_discard();
		add_journal(&d);
		err = start_services(&d);
	}
	if (err == 0)
		err = run(&d);
	path_watch_free(d.config_watch);
	if (d.engine.loop)
		ev_timer_stop(d.engine.loop, &d.succession);
	control_free(d.control);
	servers_free(d.servers);
	engine_close(&d.engine);
	conflict_log_fini(&d.conflicts);
	return err;
}
