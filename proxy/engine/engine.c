#include "proxy/engine/engine.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/config/config.h"
#include "proxy/engine/counts.h"
#include "proxy/host/host_addresses.h"
#include "proxy/host/netns_lock.h"
#include "proxy/host/node_name.h"
#include "proxy/engine/engine_saved.h"
#include "proxy/engine/last_census.h"
#include "proxy/engine/parts.h"
#include "proxy/engine/planes.h"
#include "proxy/engine/rejections.h"
#include "proxy/engine/sync.h"
#include "watchers/checks/checker.h"
#include "watchers/cluster.h"

/* How long to wait for the Node's podCIDRs, where pods are known by them. */
#define POD_CIDR_TIMEOUT_SEC 300.

static void update_hosts(struct engine *e)
{
	size_t n;
	const struct addr *list = host_addresses_list(e->hosts, &n);

	node_info_set_hosts(&e->node_info, list, n);
}

static void on_hosts_changed(void *data)
{
	struct engine *e = data;

	update_hosts(e);
	log_info("host addresses changed: %zu now", e->node_info.n_hosts);
	if (e->is_ready)
		sync_mark(e->sync);
}

static int open_hosts(struct engine *e)
{
	int err = host_addresses_new(&e->hosts);

	if (err == 0)
		err = host_addresses_read(e->hosts);
	if (err != 0) {
		log_err("rtnetlink: cannot read this host's addresses: %s",
			strerror(-err));
		return err;
	}
	update_hosts(e);
	return 0;
}

bool engine_lacks_pod_cidr(const struct engine *e)
{
	const struct object_node *node = cluster_node(e->cluster);

	return e->source->ops->api &&
	       strcmp(e->config->detect_local_mode, "NodeCIDR") == 0 &&
	       (!node || node->n_pod_cidrs == 0);
}

static void on_pod_cidr_timeout(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct engine *e = timer->data;

	log_err("node %s: no podCIDRs within %.0f s, which detect-local-mode NodeCIDR "
		"needs",
		e->node_name, POD_CIDR_TIMEOUT_SEC);
	e->hooks.failed(e->hooks.data, -ETIMEDOUT);
}

static void check_ready(struct engine *e)
{
	if (e->is_ready)
		return;
	if (engine_lacks_pod_cidr(e)) {
		if (!ev_is_active(&e->pod_cidr_timer)) {
			log_info("node %s: waiting for its podCIDRs", e->node_name);
			ev_timer_start(e->loop, &e->pod_cidr_timer);
		}
		return;
	}
	ev_timer_stop(e->loop, &e->pod_cidr_timer);
	e->is_ready = true;
	e->hooks.ready(e->hooks.data);
}

/* Pods and Namespaces are read before this is called first, if they can be. */
static void exclude_pods(struct engine *e)
{
	size_t n;
	_cleanup_(freep) const char **uids = cluster_opted_out(e->cluster, &n);

	for (size_t i = 0; i < e->dataplane.n_sinks; i++) {
		struct sink *sink = e->dataplane.sinks[i];

		if (sink->ops->exclude_pods)
			sink->ops->exclude_pods(sink, uids, n);
	}
}

static void on_source_synced(void *data, int err)
{
	struct engine *e = data;

	e->is_synced = true;
	(void)cluster_take_pod_change(e->cluster);
	exclude_pods(e);
	e->hooks.synced(e->hooks.data, err);
	engine_saved_synced(e);
	if (e->is_ready)
		sync_mark(e->sync);
	else
		check_ready(e);
}

static void on_source_changed(void *data)
{
	struct engine *e = data;

	if (e->is_synced) {
		if (cluster_take_pod_change(e->cluster))
			exclude_pods(e);
		check_ready(e);
		engine_saved_changed(e);
	}
	if (e->is_ready)
		sync_mark(e->sync);
}

static void on_ran(void *data, const struct sync_run *run)
{
	struct engine *e = data;

	if (cluster_n_dirty(e->cluster) == 0)
		left_out_log_write(&e->left_out);
	if (e->hooks.ran)
		e->hooks.ran(e->hooks.data, run);
}

static void on_refused(void *data, const struct sink *sink, const struct service *service,
		       const char *why)
{
	const struct engine *e = data;

	if (e->hooks.refused)
		e->hooks.refused(e->hooks.data, sink, service, why);
}

static void on_repaired(void *data, const struct sink_repair *repair)
{
	const struct engine *e = data;

	if (e->hooks.repaired)
		e->hooks.repaired(e->hooks.data, repair);
}

static void on_source_answered(void *data, int status, const char *method)
{
	const struct engine *e = data;

	if (e->hooks.answered)
		e->hooks.answered(e->hooks.data, status, method);
}

/* Where node ports answer depends on the mode in kube-proxy, which means iptables by "". */
static void log_mode(const struct config *c)
{
	if (strcmp(c->mode, "iptables") == 0 || strcmp(c->mode, "ipvs") == 0)
		log_warn(
			"mode %s means auto here; node ports answer on all addresses, as "
			"they did, unless nodeport-addresses says otherwise",
			c->mode);
	else if (!*c->mode && c->manifests.n == 0 && c->nodeport_addresses.n == 0)
		log_warn(
			"mode is not set: node ports answer on the primary address, as "
			"with kube-proxy's mode nftables; nodeport-addresses all is what "
			"its mode iptables does");
}

static void on_checked(void *data, const struct checker_endpoint *endpoint)
{
	struct engine *e = data;

	e->endpoint_health.sync = e->is_ready ? e->sync : NULL;
	endpoint_health_changed(&e->endpoint_health, endpoint);
	if (e->hooks.checked)
		e->hooks.checked(e->hooks.data, endpoint,
				 state_find_service(sync_state(e->sync), endpoint->ns,
						    endpoint->name,
						    addr_family(&endpoint->addr),
						    IPPROTO_TCP));
}

static void make_knowledge(struct engine *e)
{
	e->loop = ev_loop_new(EVFLAG_AUTO);
	e->opened_us = clock_monotonic_us();
	e->cluster = cluster_new(e->node_name);
	cluster_set_triggers_since(e->cluster, clock_wall_us());
	e->rejections = rejections_new(false);
	rejections_start(e->rejections, e->loop);
	node_info_init(&e->node_info, e->config, e->node_name);
	e->node_info.options.reject = rejections_reject(e->rejections);
	node_info_ask_host(&e->node_info);
	e->checker = checker_new(e->loop, on_checked, e);
	e->endpoint_health.cluster = e->cluster;
	left_out_log_init(&e->left_out, e->cluster);
	e->node_info.options.health = checker_plan_health(e->checker);
	ev_timer_init(&e->pod_cidr_timer, on_pod_cidr_timeout, POD_CIDR_TIMEOUT_SEC, 0.);
	e->pod_cidr_timer.data = e;
}

/* Two daemons would undo each other's rules for ever. */
static int log_holder(pid_t pid)
{
	static const char hint[] = "run --take-over replaces it in mode userspace";

	if (pid)
		log_err("another sluice (pid %d) programs this network namespace; %s",
			(int)pid, hint);
	else
		log_err("another sluice, in another PID namespace, programs this network "
			"namespace; %s",
			hint);
	return -EADDRINUSE;
}

/* *ret_pid is that of a holder that may hand over. */
static int take_lock(struct engine *e, pid_t *ret_pid)
{
	int err = netns_lock_take(&e->lock, ret_pid);

	if (err == -EADDRINUSE)
		return e->config->userspace.take_over ? 0 : log_holder(*ret_pid);
	if (err)
		log_err("lock of the network namespace: %s", strerror(-err));
	return err;
}

bool engine_take_lock(struct engine *e)
{
	pid_t pid;

	if (e->lock) /* the predecessor had not got it yet when this process started */
		return true;
	if (netns_lock_take(&e->lock, &pid) != 0)
		return false;
	netns_lock_start(e->lock, e->loop);
	return true;
}

int engine_open(struct engine *e, const struct config *config, const struct parts *parts,
		const struct engine_hooks *hooks)
{
	int err = node_name_find(config->hostname_override, &e->node_name);
	pid_t holder = 0;

	if (err != 0) {
		log_err("this node has no name: set --hostname-override");
		return err;
	}
	e->config = config;
	e->parts = parts;
	e->hooks = *hooks;
	make_knowledge(e);
	log_mode(config);
	err = take_lock(e, &holder);
	if (err == 0)
		err = open_hosts(e);
	if (err == 0)
		err = parts->make_source(config, e->node_name, e->cluster,
					 rejections_reject(e->rejections), &e->source);
	if (err == 0)
		err = planes_open(parts, config, e->loop, &e->dataplane, &e->plane,
				  &e->plane_why);
	if (err == 0 && !e->lock && !e->dataplane.is_taking_over)
		err = log_holder(holder);
	if (err != 0)
		return err;
	node_info_set_loopback(&e->node_info, e->plane->has_loopback);
	/* An API server has checked its objects, and may send endpoints before their Service. */
	if (!e->source->ops->api) {
		e->node_info.options.planned = left_out_log_planned;
		e->node_info.options.planned_data = &e->left_out;
	}
	e->counts = counts_new(&e->dataplane);
	e->sync = sync_new(&(struct sync_params){
		.loop = e->loop,
		.config = config,
		.cluster = e->cluster,
		.node_info = &e->node_info,
		.dataplane = &e->dataplane,
		.ran = on_ran,
		.refused = on_refused,
		.repaired = on_repaired,
		.data = e,
	});
	counts_timer_init(&e->counts_timer, e->counts, sync_state(e->sync),
			  &e->node_info.env);
	e->last_census = last_census_new(e->loop, &e->dataplane, sync_state(e->sync),
					 &e->node_info.env);
	log_info("sluice %s: mode %s, node %s, objects from %s", SLUICE_VERSION,
		 e->dataplane.mode, e->node_name, e->source->ops->name);
	return 0;
}

int engine_start(struct engine *e)
{
	const struct source_events events = {
		.synced = on_source_synced,
		.changed = on_source_changed,
		.data = e,
		.answered = on_source_answered,
	};

	if (e->lock)
		netns_lock_start(e->lock, e->loop);
	host_addresses_start(e->hosts, e->loop, on_hosts_changed, e);
	for (size_t i = 0; i < e->dataplane.n_sinks; i++)
		e->source->wants_pods |= e->dataplane.sinks[i]->ops->exclude_pods != NULL;
	engine_saved_start(e);
	return e->source->ops->start(e->source, e->loop, &events);
}

/* The service that clients have before the first sync. */
static const char *served_meanwhile(const struct engine *e)
{
	if (e->plane->needs_daemon)
		return "nothing is served";
	if (engine_saved_find_rules(e) == 0)
		return "nothing is served: the kernel has no rules of an earlier run";
	return "the kernel serves the rules of an earlier run";
}

char *engine_unready(const struct engine *e)
{
	const char *rest;
	_cleanup_(freep) char *unread = NULL;
	unsigned long long sec = (clock_monotonic_us() - e->opened_us) / 1000000;

	if (sync_stats(e->sync).n_runs)
		return NULL;
	rest = served_meanwhile(e);
	if (e->is_ready)
		return xasprintf("nothing programmed yet: the first sync is due; %s",
				 rest);
	if (e->is_synced)
		return xasprintf("nothing programmed yet: node %s has no podCIDRs since "
				 "%llu s; %s",
				 e->node_name, sec, rest);
	if (e->source->ops->unread)
		unread = e->source->ops->unread(e->source);
	return xasprintf("nothing read yet: %s, since %llu s; %s",
			 unread ? unread : e->source->ops->name, sec, rest);
}

void engine_cleanup_others(const struct engine *e)
{
	_cleanup_(buf_fini) struct buf removed = BUF_INIT;

	/* errors are logged; traffic does not depend on it */
	(void)planes_cleanup(e->parts, e->config, e->plane, &removed);
	if (removed.len)
		log_info("removed what other modes left: %s", buf_string(&removed) + 2);
}

void engine_close(struct engine *e)
{
	free(e->node_name);
	buf_fini(&e->plane_why);
	if (!e->loop)
		return;
	ev_timer_stop(e->loop, &e->pod_cidr_timer);
	engine_saved_stop(e);
	source_close(e->source);
	host_addresses_free(e->hosts);
	if (e->counts)
		counts_timer_stop(&e->counts_timer, e->loop);
	counts_free(e->counts);
	last_census_free(e->last_census);
	sync_free(e->sync);
	/* before the sinks: connections of userspace mode may outlive a hand-over for long */
	netns_lock_release(e->lock);
	dataplane_close(&e->dataplane);
	node_info_fini(&e->node_info);
	checker_free(e->checker);
	left_out_log_fini(&e->left_out);
	rejections_free(e->rejections);
	cluster_free(e->cluster);
	ev_loop_destroy(e->loop);
}
