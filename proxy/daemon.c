/*
 * Start order: addresses of the host, the data plane, then the source.  Until
 * the source is synced nothing is programmed, and what an earlier run left in
 * the kernel goes on serving.
 */
#include "proxy/daemon.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/state.h"
#include "proxy/config.h"
#include "proxy/config_load.h"
#include "proxy/control.h"
#include "proxy/facts.h"
#include "proxy/health_ports.h"
#include "proxy/host_addresses.h"
#include "proxy/host_setup.h"
#include "proxy/inspect.h"
#include "proxy/node_events.h"
#include "proxy/node_name.h"
#include "proxy/notify.h"
#include "proxy/options.h"
#include "proxy/parts.h"
#include "proxy/path_watch.h"
#include "proxy/privileges.h"
#include "proxy/rejections.h"
#include "proxy/servers.h"
#include "proxy/sync.h"
#include "watchers/cluster.h"

/* How long to wait for the Node's podCIDRs where they tell what a pod is. */
#define POD_CIDR_TIMEOUT_SEC 300.

#define MAX_CONFLICT_LINES 10 /* told at a time */

struct daemon {
	struct options *options; /* NULL with --once */
	const struct config *config;
	struct ev_loop *loop;
	char *node_name;
	struct cluster *cluster;
	struct rejections *rejections;
	struct facts facts;
	struct host_addresses *hosts;
	struct dataplane dataplane;
	struct sync *sync;
	struct object_source *source;
	struct inspect inspect; /* what the control socket shows */
	struct control *control;
	size_t n_conflicts;	 /* as last told */
	struct servers *servers; /* NULL with --once */
	struct path_watch *config_watch;
	ev_signal term, interrupt, hangup;
	ev_timer pod_cidr_timer;
	bool is_once;
	bool is_synced;	   /* the source has told everything once */
	bool is_started;   /* what it tells is programmed */
	bool is_announced; /* and the service manager knows */
	int input_err;	   /* the source could not read something */
	int err;	   /* why the loop ended; 0: it was asked to */
};

static int64_t unix_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void update_hosts(struct daemon *d)
{
	size_t n;
	const struct addr *list = host_addresses_list(d->hosts, &n);

	facts_set_hosts(&d->facts, list, n);
}

static void on_hosts_changed(void *data)
{
	struct daemon *d = data;

	update_hosts(d);
	log_info("host addresses changed: %zu now", d->facts.n_hosts);
	if (d->is_started)
		sync_mark(d->sync);
}

static int open_hosts(struct daemon *d)
{
	int err = host_addresses_new(&d->hosts);

	if (err == 0)
		err = host_addresses_read(d->hosts);
	if (err != 0) {
		log_err("rtnetlink: this host's addresses can't be read: %s",
			strerror(-err));
		return err;
	}
	update_hosts(d);
	return 0;
}

/* The first run found what an earlier one had left, and made up the difference. */
static void announce(const struct daemon *d, const struct sync_run *run)
{
	const struct dataplane *dp = &d->dataplane;
	struct nft_stats stats = {0};

	if (dp->nft_stats)
		stats = dp->nft_stats(dp->sinks[0]);
	log_info("ready: %zu services of %zu Services and %zu EndpointSlices in %.1f ms; "
		 "%" PRIu64 " elements added to what was there, %" PRIu64 " removed",
		 run->n_changes, cluster_n(d->cluster, OBJECT_SERVICE),
		 cluster_n(d->cluster, OBJECT_SLICE), (double)run->total_us / 1e3,
		 stats.n_elements_added, stats.n_elements_deleted);
}

/* When their number changes: who waits for what, and for whom. */
static void tell_conflicts(struct daemon *d)
{
	const struct state *state = sync_state(d->sync);
	_cleanup_(freep) struct state_conflict *conflicts = NULL;
	size_t n = state_n_conflicts(state);

	if (n == d->n_conflicts)
		return;
	d->n_conflicts = n;
	if (n == 0) {
		log_info("no two Services claim the same address and port any more");
		return;
	}
	conflicts = state_conflicts(state, &n);
	for (size_t i = 0; i < n && i < MAX_CONFLICT_LINES; i++) {
		const struct state_conflict *c = &conflicts[i];
		char place[ADDR_PORT_TEXT_LEN], holder[512], waiting[512];

		log_warn("%s/%s is claimed twice: %s has it, %s waits for it",
			 addr_port_format(&c->frontend.addr, c->frontend.port, place),
			 proto_name(c->waiting->proto),
			 service_label(c->holder, holder, sizeof(holder)),
			 service_label(c->waiting, waiting, sizeof(waiting)));
	}
	if (n > MAX_CONFLICT_LINES)
		log_warn("and %zu more claims wait; see sluice explain",
			 n - MAX_CONFLICT_LINES);
}

static void on_ran(void *data, const struct sync_run *run)
{
	struct daemon *d = data;

	if (d->servers)
		servers_ran(d->servers, run);
	tell_conflicts(d);
	if (d->is_announced || (run->err != 0 && run->err != -EREMOTEIO))
		return;
	d->is_announced = true;
	announce(d, run);
	(void)notify_send("READY=1\nSTATUS=programmed"); /* nobody may listen */
}

/* With NodeCIDR, an API server's Node that has none yet will get some. */
static bool lacks_pod_cidr(const struct daemon *d)
{
	const struct object_node *node = cluster_node(d->cluster);

	return d->source->ops->api &&
	       strcmp(d->config->detect_local_mode, "NodeCIDR") == 0 &&
	       (!node || node->n_pod_cidrs == 0);
}

static void on_pod_cidr_timeout(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct daemon *d = timer->data;

	(void)revents;
	log_err("node %s: no podCIDRs within %.0f s, which detect-local-mode NodeCIDR "
		"needs",
		d->node_name, POD_CIDR_TIMEOUT_SEC);
	d->err = -ETIMEDOUT;
	ev_break(loop, EVBREAK_ALL);
}

/* Programming begins when everything is known that decides. */
static void start_when_ready(struct daemon *d)
{
	if (d->is_started)
		return;
	if (lacks_pod_cidr(d)) {
		if (!ev_is_active(&d->pod_cidr_timer)) {
			log_info("node %s: waiting for its podCIDRs", d->node_name);
			ev_timer_start(d->loop, &d->pod_cidr_timer);
		}
		return;
	}
	ev_timer_stop(d->loop, &d->pod_cidr_timer);
	d->is_started = true;
	if (d->is_once)
		ev_break(d->loop, EVBREAK_ALL);
	else
		sync_start(d->sync);
}

static void on_source_synced(void *data, int err)
{
	struct daemon *d = data;

	d->is_synced = true;
	d->input_err = err;
	if (!d->is_once) {
		const struct node_events events = {d->source, d->node_name};

		node_events_started(&events);
	}
	start_when_ready(d);
}

static void on_source_changed(void *data)
{
	struct daemon *d = data;

	if (d->is_synced)
		start_when_ready(d);
	if (d->is_started)
		sync_mark(d->sync);
}

static void on_stop(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)revents;
	log_info("%s: stopping; the rules stay", strsignal(w->signum));
	(void)notify_send("STOPPING=1"); /* nobody may listen */
	ev_break(loop, EVBREAK_ALL);
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct daemon *d = w->data;

	(void)loop;
	(void)revents;
	log_info("%s: reading everything again", d->source->ops->name);
	if (d->source->ops->reread)
		d->source->ops->reread(d->source);
}

static void start_signals(struct daemon *d)
{
	(void)signal(SIGPIPE, SIG_IGN);
	ev_signal_init(&d->term, on_stop, SIGTERM);
	ev_signal_init(&d->interrupt, on_stop, SIGINT);
	ev_signal_init(&d->hangup, on_hangup, SIGHUP);
	d->hangup.data = d;
	ev_signal_start(d->loop, &d->term);
	ev_signal_start(d->loop, &d->interrupt);
	ev_signal_start(d->loop, &d->hangup);
}

static void stop_signals(struct daemon *d)
{
	ev_signal_stop(d->loop, &d->term);
	ev_signal_stop(d->loop, &d->interrupt);
	ev_signal_stop(d->loop, &d->hangup);
}

static void warn_old_mode(const char *mode)
{
	if (strcmp(mode, "iptables") != 0 && strcmp(mode, "ipvs") != 0)
		return;
	log_warn("mode %s means auto here; node ports answer on all addresses, as they "
		 "did, unless nodeport-addresses says otherwise",
		 mode);
}

/* Everything up to, but without, the source. */
static int daemon_open(struct daemon *d, const struct parts *parts)
{
	int err = node_name_find(d->config->hostname_override, &d->node_name);

	if (err != 0) {
		log_err("this node has no name; see --hostname-override");
		return err;
	}
	d->loop = ev_loop_new(EVFLAG_AUTO);
	d->cluster = cluster_new(d->node_name);
	cluster_set_triggers_since(d->cluster, unix_us());
	d->rejections = rejections_new(false);
	rejections_start(d->rejections, d->loop);
	facts_init(&d->facts, d->config, d->node_name);
	facts_ask_host(&d->facts);
	warn_old_mode(d->config->mode);
	err = open_hosts(d);
	if (err == 0)
		err = parts->make_source(d->config, d->node_name, d->cluster,
					 rejections_reject(d->rejections), &d->source);
	if (err == 0)
		err = parts->make_dataplane(d->config, &d->dataplane);
	if (err != 0)
		return err;
	ev_timer_init(&d->pod_cidr_timer, on_pod_cidr_timeout, POD_CIDR_TIMEOUT_SEC, 0.);
	d->pod_cidr_timer.data = d;
	d->sync = sync_new(&(struct sync_params){
		.loop = d->loop,
		.config = d->config,
		.cluster = d->cluster,
		.facts = &d->facts,
		.dataplane = &d->dataplane,
		.ran = on_ran,
		.data = d,
	});
	log_info("sluice %s: mode %s, node %s, objects from %s", SLUICE_VERSION,
		 d->dataplane.mode, d->node_name, d->source->ops->name);
	return 0;
}

static void daemon_close(struct daemon *d)
{
	if (!d->loop) {
		free(d->node_name);
		return;
	}
	ev_timer_stop(d->loop, &d->pod_cidr_timer);
	path_watch_free(d->config_watch);
	control_free(d->control);
	servers_free(d->servers);
	source_close(d->source);
	host_addresses_free(d->hosts);
	sync_free(d->sync);
	dataplane_close(&d->dataplane);
	facts_fini(&d->facts);
	rejections_free(d->rejections);
	cluster_free(d->cluster);
	ev_loop_destroy(d->loop);
	free(d->node_name);
}

static void on_source_answered(void *data, int status, const char *method)
{
	struct daemon *d = data;

	if (d->servers)
		servers_api_answered(d->servers, status, method);
}

static int start_source(struct daemon *d)
{
	const struct source_events events = {
		.synced = on_source_synced,
		.changed = on_source_changed,
		.data = d,
		.answered = on_source_answered,
	};

	return d->source->ops->start(d->source, d->loop, &events);
}

/* Traffic doesn't depend on it: a full disk costs the socket, not the daemon. */
static int start_control(struct daemon *d)
{
	const char *path = d->config->control_socket;
	int err;

	if (!*path)
		return 0;
	d->inspect = (struct inspect){
		.cluster = d->cluster,
		.facts = &d->facts,
		.state = sync_state(d->sync),
		.dataplane = &d->dataplane,
	};
	err = control_new(d->loop, path, inspect_answer, &d->inspect, &d->control);
	if (err == -EADDRINUSE) {
		log_err("control socket %s: another sluice runs with it", path);
		return err;
	}
	if (err != 0)
		log_warn("control socket %s: %s; get, explain and diff must do without",
			 path, strerror(-err));
	return 0;
}

static void on_server_failed(void *data, const char *server, const char *address, int err)
{
	const struct daemon *d = data;
	const struct node_events events = {d->source, d->node_name};

	node_events_server_failed(&events, server, address, err);
}

static void on_health_port_failed(void *data, const char *ns, const char *name,
				  uint16_t port, int err)
{
	const struct daemon *d = data;
	const struct node_events events = {d->source, d->node_name};

	node_events_health_port_failed(&events, ns, name, port, err);
}

static size_t count_rejected(void *data)
{
	const struct daemon *d = data;

	return rejections_n(d->rejections);
}

static bool is_healthy(void *data)
{
	const struct daemon *d = data;

	return servers_is_healthy(d->servers);
}

/* Health and metrics, and the health check node ports, which tell of our health too. */
static int start_servers(struct daemon *d)
{
	const struct health_ports_hooks hooks = {
		.is_healthy = is_healthy,
		.failed = on_health_port_failed,
		.data = d,
	};

	d->servers = servers_new(&(struct servers_params){
		.loop = d->loop,
		.config = d->config,
		.cluster = d->cluster,
		.facts = &d->facts,
		.dataplane = &d->dataplane,
		.source = d->source,
		.sync = d->sync,
		.n_rejected = count_rejected,
		.failed = on_server_failed,
		.data = d,
	});
	dataplane_add(&d->dataplane, health_ports_new(d->loop, &hooks));
	return servers_start(d->servers);
}

static void on_config_changed(void *data)
{
	struct daemon *d = data;

	if (!config_reload(d->options))
		return;
	d->err = -ESTALE; /* so that the supervisor starts us again */
	ev_break(d->loop, EVBREAK_ALL);
}

/* Without a watch the daemon works all the same. */
static void watch_config(struct daemon *d)
{
	const char *path = d->options->config_file;
	int err;

	if (!*path)
		return;
	err = path_watch_new(d->loop, path, on_config_changed, d, &d->config_watch);
	if (err != 0)
		log_warn("%s: changes can't be followed: %s", path, strerror(-err));
}

int daemon_run(struct options *options, const struct parts *parts)
{
	const struct config *config = &options->config;
	struct daemon d = {.config = config, .options = options};
	int err;

	host_setup_oom_score(config);
	err = daemon_open(&d, parts);
	if (err == 0)
		err = start_control(&d);
	if (err == 0)
		err = start_servers(&d);
	if (err == 0) {
		struct privileges privileges = {.keep_exec = d.source->runs_programs};

		host_setup_conntrack(config);
		privileges_drop(&privileges);
		start_signals(&d);
		watch_config(&d);
		host_addresses_start(d.hosts, d.loop, on_hosts_changed, &d);
		err = start_source(&d);
		if (err == 0) {
			ev_run(d.loop, 0);
			err = d.err;
		}
		stop_signals(&d);
	}
	daemon_close(&d);
	return err;
}

static void print_summary(const struct daemon *d)
{
	const struct sync_run run = sync_stats(d->sync).last;

	(void)printf("%s: %zu services of %zu Services programmed in %.1f ms (plan %.1f "
		     "ms, kernel %.1f ms)%s\n",
		     d->dataplane.mode, run.n_changes,
		     cluster_n(d->cluster, OBJECT_SERVICE), (double)run.total_us / 1e3,
		     (double)run.plan_us / 1e3, (double)run.apply_us / 1e3,
		     run.err == -EREMOTEIO ? "; some were refused" : "");
	(void)fflush(stdout);
}

int daemon_once(const struct config *config, const struct parts *parts)
{
	struct daemon d = {.config = config, .is_once = true};
	int err = daemon_open(&d, parts);

	if (err == 0)
		err = start_source(&d);
	if (err == 0 && !d.is_started)
		ev_run(d.loop, 0);
	err = err != 0 ? err : d.err;
	if (err == 0)
		err = sync_run(d.sync);
	if (err == 0 || err == -EREMOTEIO)
		print_summary(&d);
	if (err == 0)
		err = d.input_err;
	daemon_close(&d);
	return err;
}
